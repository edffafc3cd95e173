"""Release choice (R6): the 1.x line only, never 'latest'."""

import pytest

from tasks.core.errors import InputError, PrerequisiteError
from tasks.core.releases import ReleaseVersion, choose_version, newest_supported


@pytest.mark.parametrize("wanted", ["1.1.9", "v1.1.9", " v1.1.9 ", "1.1.9+build.5"])
def test_a_leading_v_makes_no_difference(wanted: str) -> None:
    assert str(choose_version(wanted)) == "1.1.9"


@pytest.mark.parametrize("wanted", ["latest", "Latest", " latest "])
def test_latest_is_refused(wanted: str) -> None:
    with pytest.raises(InputError, match="'latest'"):
        choose_version(wanted)


@pytest.mark.parametrize("wanted", ["2.0.0", "v2.0.0-alpha", "2.1.3"])
def test_version_2_is_refused_because_it_has_no_service_mesh(wanted: str) -> None:
    with pytest.raises(InputError, match="no OCI Service Mesh"):
        choose_version(wanted)


@pytest.mark.parametrize("wanted", ["", "1.1", "one", "1.1.9.1", "../1.1.9", "1.1.x", "1.1.9 "[:5] + ";rm"])
def test_what_is_no_version_is_refused(wanted: str) -> None:
    with pytest.raises(InputError, match="a version such as"):
        choose_version(wanted)


def test_a_prerelease_of_the_1_line_is_refused() -> None:
    with pytest.raises(InputError, match="a stable release"):
        choose_version("1.2.0-rc.1")


def test_versions_are_compared_as_numbers() -> None:
    releases = [{"tag_name": "v1.1.9"}, {"tag_name": "v1.1.10"}, {"tag_name": "v1.0.99"}]

    assert newest_supported(releases) == ReleaseVersion(1, 1, 10)


def test_drafts_prereleases_and_other_lines_are_passed_over() -> None:
    releases: list[dict[str, object]] = [
        {"tag_name": "v2.0.0", "draft": False, "prerelease": False},
        {"tag_name": "v1.3.0", "draft": True, "prerelease": False},
        {"tag_name": "v1.2.0", "draft": False, "prerelease": True},
        {"tag_name": "v1.2.0-rc.1", "draft": False, "prerelease": False},
        {"tag_name": "nightly", "draft": False, "prerelease": False},
        {"tag_name": "v1.1.9", "draft": False, "prerelease": False},
        {"draft": False},
    ]

    assert newest_supported(releases) == ReleaseVersion(1, 1, 9)


def test_a_listing_without_the_supported_line_names_what_it_has() -> None:
    with pytest.raises(PrerequisiteError, match=r"found 2\.0\.0"):
        newest_supported([{"tag_name": "v2.0.0"}])


def test_an_empty_listing_is_an_error() -> None:
    with pytest.raises(PrerequisiteError, match="no stable release at all"):
        newest_supported([])
