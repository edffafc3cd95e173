"""Release files by SHA-256 and the releases listing (R2, R6, R11)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from deployments.rehearsal.releases import ReleaseServer
from deployments.rehearsal.releases.listing import REPOSITORY
from tasks.clients.downloads import PinnedFile, fetch_file, list_releases
from tasks.core.errors import DownloadError, DownloadUnavailableError, InputError
from tasks.core.releases import newest_supported
from tests.support.bundle_files import bundle_files
from tests.support.release_server import NO_PAUSES, deadline


@pytest.fixture(scope="module")
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer(bundle=bundle_files()) as running:
        yield running


def test_a_file_with_the_pinned_content_is_read(server: ReleaseServer) -> None:
    """R11: the metrics server's manifest is pinned."""
    file = server.metrics_server_file()

    content = fetch_file(PinnedFile(file.url, file.sha256), deadline())

    assert b"v1beta1.metrics.k8s.io" in content


def test_a_file_with_other_content_is_refused_with_both_hashes(server: ReleaseServer) -> None:
    file = server.metrics_server_file()

    with pytest.raises(DownloadError, match=f"SHA-256 {'0' * 64}; found {file.sha256}"):
        fetch_file(PinnedFile(file.url, "0" * 64), deadline())


@pytest.mark.parametrize("pin", ["", "abc", "A" * 64, "0" * 65])
def test_a_pin_is_never_optional(pin: str) -> None:
    with pytest.raises(InputError, match="its SHA-256"):
        PinnedFile("https://example.com/olm.yaml", pin)


def test_a_file_that_is_not_there_is_refused(server: ReleaseServer) -> None:
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch_file(PinnedFile(f"{server.url}/olm/9.9.9/olm.yaml", "0" * 64), deadline())


def test_a_server_that_is_not_there_is_retryable() -> None:
    with pytest.raises(DownloadUnavailableError, match="refused"):
        fetch_file(PinnedFile("http://127.0.0.1:1/olm.yaml", "0" * 64), deadline(), NO_PAUSES)


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="an https URL"):
        fetch_file(PinnedFile("http://example.com/olm.yaml", "0" * 64), deadline())


def test_a_path_and_a_file_url_name_the_same_file(tmp_path: Path) -> None:
    """R5: a disconnected realm brings its files along."""
    path = tmp_path / "olm release.yaml"
    path.write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    assert fetch_file(PinnedFile(str(path), empty), deadline()) == b""
    assert fetch_file(PinnedFile(path.as_uri(), empty), deadline()) == b""


def test_a_local_file_is_pinned_too(tmp_path: Path) -> None:
    path = tmp_path / "olm.yaml"
    path.write_bytes(b"other")

    with pytest.raises(DownloadError, match="Do not change the pin"):
        fetch_file(PinnedFile(str(path), "0" * 64), deadline())


def test_a_file_url_with_another_host_is_refused() -> None:
    with pytest.raises(InputError, match="on this worker"):
        fetch_file(PinnedFile("file://server/share/olm.yaml", "0" * 64), deadline())


def test_a_missing_local_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"olm\.yaml\): expected a readable file on the worker"):
        fetch_file(PinnedFile(str(tmp_path / "olm.yaml"), "0" * 64), deadline())


def test_the_listing_is_read_to_its_last_page(httpserver: HTTPServer) -> None:
    path = f"/repos/{REPOSITORY}/releases"
    following = httpserver.url_for(f"{path}?per_page=100&page=2")
    first = httpserver.expect_ordered_request(path, query_string="per_page=100")
    first.respond_with_json([{"tag_name": "v1.1.9"}], headers={"Link": f'<{following}>; rel="next"'})
    second = httpserver.expect_ordered_request(path, query_string="per_page=100&page=2")
    second.respond_with_json([{"tag_name": "v1.1.8"}])

    releases = list_releases(REPOSITORY, deadline(), httpserver.url_for(""))

    assert [release["tag_name"] for release in releases] == ["v1.1.9", "v1.1.8"]


def test_the_newest_supported_release_is_1_1_9(server: ReleaseServer) -> None:
    """R6: X.X.X is read off the releases page."""
    releases = list_releases(REPOSITORY, deadline(), server.url)

    assert str(newest_supported(releases)) == "1.1.9"


@pytest.mark.parametrize("following", ["https://example.com/more", "https://[::1"])
def test_a_listing_does_not_continue_on_another_host(httpserver: HTTPServer, following: str) -> None:
    link = f'<{following}>; rel="next"'
    httpserver.expect_request("/repos/a/b/releases").respond_with_json([], headers={"Link": link})

    assert list_releases("a/b", deadline(), httpserver.url_for("")) == []


def test_a_listing_without_end_is_cut_off(httpserver: HTTPServer) -> None:
    link = f'<{httpserver.url_for("/repos/a/b/releases")}>; rel="next"'
    page = httpserver.expect_request("/repos/a/b/releases")
    page.respond_with_json([{"tag_name": "v1"}], headers={"Link": link})

    assert len(list_releases("a/b", deadline(), httpserver.url_for(""))) == 10


def test_githubs_rate_limit_is_named_and_retryable(httpserver: HTTPServer) -> None:
    limit = httpserver.expect_request("/repos/a/b/releases")
    limit.respond_with_json({"message": "limit"}, status=403, headers={"X-RateLimit-Remaining": "0"})

    with pytest.raises(DownloadUnavailableError, match="GitHub's rate limit"):
        list_releases("a/b", deadline(), httpserver.url_for(""))


@pytest.mark.parametrize(("body", "status"), [("{}", 200), ("<html>", 200), ("[]", 404), ("[]", 403)])
def test_anything_but_a_listing_is_refused(httpserver: HTTPServer, body: str, status: int) -> None:
    httpserver.expect_request("/repos/a/b/releases").respond_with_data(body, status=status)

    with pytest.raises(DownloadError, match=f"a list of releases; found HTTP {status}"):
        list_releases("a/b", deadline(), httpserver.url_for(""))


@pytest.mark.parametrize("repository", ["", "a", "a/b/c", "../x", "a/b?x"])
def test_a_repository_is_owner_and_name(repository: str) -> None:
    with pytest.raises(InputError, match="owner/name"):
        list_releases(repository, deadline())
