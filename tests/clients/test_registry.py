"""The registry client against a real HTTP server: R5 and R6, and a stranger's hostile registry."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from deployments.rehearsal.releases import ReleaseServer, RepositoryName, Tag
from tasks.clients.registry import (
    BasicCredentials,
    Credentials,
    Platform,
    PulledBundle,
    RegistryAccess,
    RegistryClient,
    Scheme,
    TokenCredentials,
)
from tasks.clients.registry.errors import RegistryContentError, RegistryDeniedError, RegistryNotFoundError
from tasks.core.bundles import read_bundle
from tasks.core.errors import (
    InputError,
    ManifestError,
    RegistryError,
    RegistryUnavailableError,
)
from tasks.core.references import parse_reference
from tests.support.bundle_files import bundle_files
from tests.support.release_server import NO_PAUSES, access, deadline


@pytest.fixture(scope="module")
def server() -> Iterator[ReleaseServer]:
    with ReleaseServer(bundle=bundle_files()) as running:
        yield running


@pytest.fixture(autouse=True)
def _forget_requests(server: ReleaseServer) -> None:
    server.seen.clear()


def _user(server: ReleaseServer) -> BasicCredentials:
    return BasicCredentials(server.login.username, SecretStr(server.login.password))


def _pull(
    server: ReleaseServer,
    repository: RepositoryName,
    tag: str = Tag.INDEX,
    credentials: Credentials | None = None,
) -> PulledBundle:
    with RegistryClient(access(server, credentials), NO_PAUSES) as client:
        return client.pull_bundle(parse_reference(server.image(repository, tag)), deadline())


@pytest.mark.parametrize("tag", list(Tag))
def test_every_spelling_of_the_image_gives_the_same_files(server: ReleaseServer, tag: Tag) -> None:
    pulled = _pull(server, RepositoryName.PUBLIC, tag)

    assert pulled.files == bundle_files()


@pytest.mark.parametrize("tag", list(Tag))
def test_the_digest_is_that_of_what_the_tag_names(server: ReleaseServer, tag: Tag) -> None:
    assert _pull(server, RepositoryName.PUBLIC, tag).digest == server.image_digest(tag=tag)


def test_a_pulled_image_is_a_bundle(server: ReleaseServer) -> None:
    """R6: the bundle that is installed is bound to the image's digest."""
    pulled = _pull(server, RepositoryName.PUBLIC)

    bundle = read_bundle(pulled.files, server.image(), pulled.digest)

    assert (bundle.name, bundle.digest) == ("tea.v1.2.3", server.image_digest())


def test_a_tag_is_resolved_by_head_requests_only(server: ReleaseServer) -> None:
    with RegistryClient(access(server)) as client:
        digest = client.resolve_digest(parse_reference(server.image()), deadline())

    assert digest == server.image_digest()
    assert {seen.method for seen in server.seen if seen.path.startswith("/v2/")} == {"HEAD"}


def test_an_image_is_pulled_by_its_digest(server: ReleaseServer) -> None:
    reference = parse_reference(server.image()).pinned(server.image_digest())

    with RegistryClient(access(server)) as client:
        pulled = client.pull_bundle(reference, deadline())

    assert pulled.digest == server.image_digest()


def test_a_digest_that_does_not_exist_is_not_resolved(server: ReleaseServer) -> None:
    reference = parse_reference(server.image()).pinned("sha256:" + "0" * 64)

    with RegistryClient(access(server)) as client, pytest.raises(RegistryNotFoundError):
        client.resolve_digest(reference, deadline())


def test_a_platform_that_the_index_lacks_is_refused_with_those_it_has(server: ReleaseServer) -> None:
    reference = parse_reference(server.image())

    with (
        RegistryClient(access(server)) as client,
        pytest.raises(RegistryContentError, match="linux/s390x; found unknown/unknown, linux/amd64"),
    ):
        client.pull_bundle(reference, deadline(), Platform("linux", "s390x"))


def test_one_token_serves_all_requests_for_an_image(server: ReleaseServer) -> None:
    _pull(server, RepositoryName.PUBLIC)

    assert [seen.path for seen in server.seen].count("/token") == 1


def test_blobs_are_fetched_from_another_host_without_credentials(server: ReleaseServer) -> None:
    """The storage host answers 400 to a request with an Authorization header."""
    _pull(server, RepositoryName.PUBLIC)

    stored = [seen for seen in server.seen if seen.path.startswith("/storage/")]
    assert [seen.host for seen in stored] == [server.storage, server.storage]
    assert [seen.authorization for seen in stored] == ["", ""]


def test_a_private_repository_is_pulled_although_its_challenge_lacks_the_scope(server: ReleaseServer) -> None:
    pulled = _pull(server, RepositoryName.PRIVATE, credentials=_user(server))

    assert pulled.files == bundle_files()
    asked = [seen.query for seen in server.seen if seen.path == "/token"]
    scope = f"repository:{RepositoryName.PRIVATE}:pull"
    assert asked == [{"scope": scope, "service": "rehearsal-registry"}]


def test_the_password_goes_to_the_token_server_only(server: ReleaseServer) -> None:
    _pull(server, RepositoryName.PRIVATE, credentials=_user(server))

    with_password = {seen.path for seen in server.seen if seen.authorization.startswith("Basic ")}
    assert with_password == {"/token"}


def test_a_basic_challenge_is_answered(server: ReleaseServer) -> None:
    assert _pull(server, RepositoryName.BASIC, credentials=_user(server)).files == bundle_files()


def test_a_bearer_token_is_sent_as_it_is(server: ReleaseServer) -> None:
    credentials = TokenCredentials(SecretStr(server.login.bearer_token + "\n"))

    assert _pull(server, RepositoryName.BEARER, credentials=credentials).files == bundle_files()


@pytest.mark.parametrize("repository", [RepositoryName.PRIVATE, RepositoryName.BASIC, RepositoryName.BEARER])
def test_without_credentials_a_private_repository_is_denied(
    server: ReleaseServer, repository: RepositoryName
) -> None:
    with pytest.raises(RegistryDeniedError, match=r"HTTP 401 with no credentials \(anonymous\)"):
        _pull(server, repository)


@pytest.mark.parametrize("repository", [RepositoryName.PRIVATE, RepositoryName.BASIC])
def test_a_wrong_password_is_denied_and_the_message_names_the_user_only(
    server: ReleaseServer, repository: RepositoryName
) -> None:
    wrong = BasicCredentials(server.login.username, SecretStr("swordfish"))

    with pytest.raises(
        RegistryDeniedError, match="HTTP 401 with the credentials of user 'rehearsal'"
    ) as caught:
        _pull(server, repository, credentials=wrong)

    assert "swordfish" not in f"{caught.value} {caught.value!r} {wrong!r}"


def test_a_wrong_bearer_token_is_denied_and_not_shown(server: ReleaseServer) -> None:
    with pytest.raises(RegistryDeniedError, match="HTTP 401 with a bearer token") as caught:
        _pull(server, RepositoryName.BEARER, credentials=TokenCredentials(SecretStr("swordfish")))

    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize("token", ["two\nlines", " ", "ä"])
def test_a_token_that_cannot_stand_in_a_header_is_refused_unseen(server: ReleaseServer, token: str) -> None:
    with pytest.raises(InputError, match="one line of ASCII") as caught:
        _pull(server, RepositoryName.BEARER, credentials=TokenCredentials(SecretStr(token)))

    assert "two" not in str(caught.value)


def test_a_user_name_with_a_colon_is_refused(server: ReleaseServer) -> None:
    with pytest.raises(InputError, match="without a colon"):
        _pull(server, RepositoryName.BASIC, credentials=BasicCredentials("a:b", SecretStr("c")))


def test_a_missing_tag_is_not_found(server: ReleaseServer) -> None:
    with pytest.raises(RegistryNotFoundError, match=r"HTTP 404 with no credentials.*MANIFEST_UNKNOWN"):
        _pull(server, RepositoryName.PUBLIC, "9.9.9")


def test_a_token_server_on_another_host_gets_nothing(server: ReleaseServer) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.2; nothing was sent to it.*token_realms"):
        _pull(server, RepositoryName.TOKEN_ELSEWHERE, credentials=_user(server))

    assert [seen.host for seen in server.seen] == [server.registry]


def test_a_token_server_on_another_host_is_used_when_it_is_allowed(server: ReleaseServer) -> None:
    allowed = access(server, _user(server), "127.0.0.2")
    reference = parse_reference(server.image(RepositoryName.TOKEN_ELSEWHERE))

    with RegistryClient(allowed) as client:
        assert client.pull_bundle(reference, deadline()).files == bundle_files()


def test_too_many_requests_are_retryable_and_say_how_long_to_wait(server: ReleaseServer) -> None:
    reference = parse_reference(server.image(RepositoryName.TOO_MANY_REQUESTS))

    with (
        RegistryClient(access(server), NO_PAUSES) as client,
        pytest.raises(RegistryUnavailableError, match="HTTP 429, Retry-After: 30") as caught,
    ):
        # Shorter than what the registry asks for: waiting would be in vain, so the answer comes at once.
        client.pull_bundle(reference, deadline(minutes=0.25))

    assert caught.value.retryable


def test_a_registry_that_is_unavailable_for_a_moment_is_asked_again(server: ReleaseServer) -> None:
    assert _pull(server, RepositoryName.UNAVAILABLE_TWICE).files == bundle_files()


@pytest.mark.parametrize(
    ("repository", "reason"),
    [
        (RepositoryName.TAMPERED_MANIFEST, "a manifest with sha256:"),
        (RepositoryName.TAMPERED_BLOB, "expected sha256:.* found sha256:"),
        (RepositoryName.OVERSIZED_BLOB, r"at most \d+ bytes; found more"),
        (RepositoryName.HUGE_LAYER, "layers of at most 16777216 bytes"),
        (RepositoryName.REDIRECT_LOOP, "at most 5 redirects"),
    ],
)
def test_content_that_is_not_what_it_claims_is_refused(
    server: ReleaseServer, repository: RepositoryName, reason: str
) -> None:
    with pytest.raises(RegistryContentError, match=reason) as caught:
        _pull(server, repository)

    assert not caught.value.retryable


def test_an_announced_layer_over_the_limit_is_not_even_asked_for(server: ReleaseServer) -> None:
    with pytest.raises(RegistryContentError):
        _pull(server, RepositoryName.HUGE_LAYER)

    assert not [seen for seen in server.seen if "/blobs/" in seen.path]


def test_a_connection_that_ends_in_the_middle_is_retried_and_then_retryable(server: ReleaseServer) -> None:
    with pytest.raises(RegistryUnavailableError, match="RemoteProtocolError"):
        _pull(server, RepositoryName.TRUNCATED_BLOB)

    assert len([seen for seen in server.seen if "/blobs/" in seen.path]) == NO_PAUSES.attempts


def test_a_hostile_archive_is_refused(server: ReleaseServer) -> None:
    with pytest.raises(ManifestError, match="inside the archive's own folder"):
        _pull(server, RepositoryName.HOSTILE_ARCHIVE)


def test_a_registry_that_is_not_there_is_retryable() -> None:
    nowhere = RegistryAccess("127.0.0.1:1", scheme=Scheme.HTTP)
    reference = parse_reference("127.0.0.1:1/bundle:1")

    with (
        RegistryClient(nowhere, NO_PAUSES) as client,
        pytest.raises(RegistryUnavailableError, match="refused"),
    ):
        client.resolve_digest(reference, deadline())


def test_a_reference_to_another_registry_is_refused_before_anything_is_sent(server: ReleaseServer) -> None:
    reference = parse_reference("quay.io/team/bundle:1")

    with RegistryClient(access(server)) as client, pytest.raises(InputError, match="ContainerRegistry block"):
        client.resolve_digest(reference, deadline())

    assert server.seen == []


def test_plain_http_to_another_machine_is_refused() -> None:
    with pytest.raises(InputError, match="expected https; found http outside of this machine"):
        RegistryAccess("registry.example.com:5000", scheme=Scheme.HTTP)
