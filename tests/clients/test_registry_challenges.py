"""WWW-Authenticate headers and the trust in the token servers that they name."""

import pytest

from tasks.clients.registry.access import RegistryAccess, Scheme
from tasks.clients.registry.challenges import Challenge, pull_scope, read_challenges, trusted_realm
from tasks.core.errors import RegistryError


def _bearer(realm: str) -> Challenge:
    return Challenge("bearer", {"realm": realm})


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            'Bearer realm="https://a.example/token",service="s",scope="repository:x:pull"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://a.example/token", "service": "s", "scope": "repository:x:pull"},
                )
            ],
        ),
        ("BASIC Realm=plain", [Challenge("basic", {"realm": "plain"})]),
        ("Negotiate", [Challenge("negotiate", {})]),
        (
            'Basic realm="a, b", Bearer realm="c" , service=d',
            [Challenge("basic", {"realm": "a, b"}), Challenge("bearer", {"realm": "c", "service": "d"})],
        ),
        (r'Basic realm="say \"hi\""', [Challenge("basic", {"realm": 'say "hi"'})]),
        ('Bearer realm="never closed', [Challenge("bearer", {})]),
        ("", []),
        (", ,", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[Challenge]) -> None:
    """RFC 9110 section 11.6.1."""
    assert read_challenges([header]) == expected


def test_several_headers_are_several_challenges() -> None:
    assert [challenge.scheme for challenge in read_challenges(["Basic", "Bearer"])] == ["basic", "bearer"]


def test_a_header_without_end_is_cut_off() -> None:
    assert read_challenges(["Bearer " + "a=b," * 100_000])[0].scheme == "bearer"


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("", "repository:team/tea:pull"),
        ("repository:team/tea:pull", "repository:team/tea:pull"),
        ("repository:team/tea:pull,push,delete", "repository:team/tea:pull"),
        ("repository:proxy/team/tea:*", "repository:proxy/team/tea:pull"),
        ("registry:catalog:*", "repository:team/tea:pull"),
        ("repository:a:pull repository:b:push", "repository:a:pull repository:b:pull"),
        ("nonsense", "repository:team/tea:pull"),
    ],
)
def test_a_token_is_asked_for_reading_only(scope: str, expected: str) -> None:
    assert pull_scope(Challenge("bearer", {"scope": scope}), "team/tea") == expected


@pytest.mark.parametrize(
    ("host", "realm"),
    [
        ("iad.ocir.io", "https://iad.ocir.io/20180419/docker/token"),
        ("docker.io", "https://auth.docker.io/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("registry.example.co.uk", "https://auth.example.co.uk/token"),
        ("registry.example.com:5000", "https://registry.example.com/token"),
    ],
)
def test_a_token_server_of_the_same_domain_is_trusted(host: str, realm: str) -> None:
    assert str(trusted_realm(_bearer(realm), RegistryAccess(host), "test")) == realm


@pytest.mark.parametrize(
    ("host", "realm", "reason"),
    [
        ("iad.ocir.io", "https://evil.example/token", "evil.example; nothing was sent to it"),
        ("iad.ocir.io", "https://iad.ocir.io.evil.example/token", "nothing was sent"),
        ("iad.ocir.io", "https://evilocir.io/token", "nothing was sent"),
        ("one.co.uk", "https://other.co.uk/token", "nothing was sent"),
        ("one.azurecr.io", "https://other.azurecr.io/token", "nothing was sent"),
        ("10.0.0.1", "https://10.0.0.2/token", "nothing was sent"),
        ("iad.ocir.io", "https://127.0.0.1/token", "nothing was sent"),
        ("iad.ocir.io", "http://iad.ocir.io/token", "a token server with https"),
        ("iad.ocir.io", "http://127.0.0.1/token", "a token server with https"),
        ("iad.ocir.io", "ftp://iad.ocir.io/token", "a token server with https"),
        ("iad.ocir.io", "/token", "a token server in the challenge"),
        ("iad.ocir.io", "", "a token server in the challenge"),
        ("iad.ocir.io", "https://user@iad.ocir.io/token", "a token server in the challenge"),
        ("iad.ocir.io", "https://[::1/token", "a token server in the challenge"),
    ],
)
def test_any_other_token_server_is_refused(host: str, realm: str, reason: str) -> None:
    with pytest.raises(RegistryError, match=reason):
        trusted_realm(_bearer(realm), RegistryAccess(host), "test")


def test_an_allowed_token_server_is_trusted() -> None:
    access = RegistryAccess("iad.ocir.io", token_realms=frozenset({"auth.example.com"}))

    assert trusted_realm(_bearer("https://auth.example.com/t"), access, "test").host == "auth.example.com"


def test_a_registry_on_this_machine_may_have_its_token_server_here() -> None:
    access = RegistryAccess("localhost:5000", scheme=Scheme.HTTP)

    assert trusted_realm(_bearer("http://localhost:5001/t"), access, "test").port == 5001
