"""Image references (R5, R6: the bundle reference is a parameter)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import InputError
from tasks.core.references import ImageReference, checked_digest, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "iad.ocir.io/oracle/oci-service-operator-bundle:1.1.9",
            ImageReference("iad.ocir.io", "oracle/oci-service-operator-bundle", "1.1.9"),
        ),
        ("localhost:5000/bundle:v1", ImageReference("localhost:5000", "bundle", "v1")),
        ("127.0.0.1:39001/a/b/c:x", ImageReference("127.0.0.1:39001", "a/b/c", "x")),
        (f"quay.io/team/opm@{DIGEST}", ImageReference("quay.io", "team/opm", "", DIGEST)),
        (f"Quay.IO/team/opm:v1@{DIGEST}", ImageReference("quay.io", "team/opm", "v1", DIGEST)),
        (
            "registry.example.com/a_b/c__d/e-f.g:1",
            ImageReference("registry.example.com", "a_b/c__d/e-f.g", "1"),
        ),
    ],
)
def test_a_reference_is_split_into_its_parts(text: str, expected: ImageReference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("bundle:1.1.9", "a registry host"),
        ("library/bundle:1.1.9", "a registry host"),
        ("", "a registry host"),
        ("quay.io/team/opm", "a tag or a digest"),
        ("quay.io/team/opm:", "a tag of at most 128"),
        ("quay.io/team/opm:" + "a" * 129, "a tag of at most 128"),
        ("quay.io/Team/opm:1", "lower-case letters"),
        ("quay.io/team//opm:1", "lower-case letters"),
        ("quay.io/../opm:1", "lower-case letters"),
        ("quay.io/team/opm@sha256:abc", "64 lower-case hexadecimal"),
        ("quay.io/team/opm@sha512:" + "a" * 64, "64 lower-case hexadecimal"),
        ("https://quay.io/team/opm:1", "without a scheme"),
        (" quay.io/team/opm:1", "no white space"),
        ("quay.io/team/opm:1\n", "no white space"),
        ("user@quay.io/team/opm:1", "64 lower-case hexadecimal"),
    ],
)
def test_a_malformed_reference_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_reference(text)


def test_a_digest_wins_over_the_tag_when_the_registry_is_asked() -> None:
    assert parse_reference(f"quay.io/opm:v1@{DIGEST}").target == DIGEST


def test_without_a_digest_the_registry_is_asked_for_the_tag() -> None:
    assert parse_reference("quay.io/opm:v1").target == "v1"


def test_pinning_keeps_the_tag_for_the_reader() -> None:
    assert str(parse_reference("quay.io/opm:v1").pinned(DIGEST)) == f"quay.io/opm:v1@{DIGEST}"


def test_pinning_to_something_else_than_a_digest_is_refused() -> None:
    with pytest.raises(InputError, match="sha256"):
        parse_reference("quay.io/opm:v1").pinned("latest")


def test_a_digest_in_capitals_is_refused() -> None:
    with pytest.raises(InputError, match="lower-case"):
        checked_digest(DIGEST.upper(), "opm")


@given(
    registry=st.from_regex(r"[a-z0-9]{1,10}\.[a-z]{2,5}(:[0-9]{2,5})?", fullmatch=True),
    repository=st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True),
    tag=st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True),
)
def test_writing_and_reading_are_inverse(registry: str, repository: str, tag: str) -> None:
    reference = ImageReference(registry, repository, tag, DIGEST)

    assert parse_reference(str(reference)) == reference
