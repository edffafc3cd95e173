"""Answers of registries that follow the specification loosely, or not at all."""

import json
from collections.abc import Iterator

import pytest
from pytest_httpserver import HTTPServer

from tasks.clients.registry import RegistryAccess, RegistryClient, Scheme
from tasks.clients.registry.errors import RegistryContentError, RegistryDeniedError
from tasks.core.errors import RegistryError
from tasks.core.manifests import sha256_hex
from tasks.core.references import ImageReference, parse_reference
from tests.support.release_server import NO_PAUSES, deadline

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
MANIFEST_PATH = "/v2/tea/manifests/1"


@pytest.fixture
def client(httpserver: HTTPServer) -> Iterator[RegistryClient]:
    host = f"{httpserver.host}:{httpserver.port}"
    with RegistryClient(RegistryAccess(host, scheme=Scheme.HTTP), NO_PAUSES) as opened:
        yield opened


@pytest.fixture
def reference(httpserver: HTTPServer) -> ImageReference:
    return parse_reference(f"{httpserver.host}:{httpserver.port}/tea:1")


def test_without_a_digest_header_the_bytes_tell(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    body = b'{"layers": []}'
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(body, content_type=IMAGE)

    assert client.resolve_digest(reference, deadline()) == f"sha256:{sha256_hex(body)}"


def test_a_malformed_digest_header_is_refused(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    headers = {"Docker-Content-Digest": "sha256:../../etc"}
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(b"", headers=headers)

    with pytest.raises(RegistryContentError, match="64 lower-case hexadecimal"):
        client.resolve_digest(reference, deadline())


def test_a_digest_header_that_contradicts_the_bytes_is_refused(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    headers = {"Docker-Content-Digest": "sha256:" + "0" * 64, "Content-Type": IMAGE}
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(b"{}", headers=headers)

    with pytest.raises(RegistryContentError, match="a manifest with sha256:0000"):
        client.pull_bundle(reference, deadline())


def test_an_index_inside_an_index_is_refused(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    inner = json.dumps({"mediaType": INDEX, "manifests": []}).encode()
    digest = f"sha256:{sha256_hex(inner)}"
    entry = {"mediaType": IMAGE, "digest": digest, "size": len(inner)}
    httpserver.expect_request(MANIFEST_PATH).respond_with_json({"mediaType": INDEX, "manifests": [entry]})
    httpserver.expect_request(f"/v2/tea/manifests/{digest}").respond_with_data(inner, content_type=INDEX)

    with pytest.raises(RegistryContentError, match="an index again"):
        client.pull_bundle(reference, deadline())


@pytest.mark.parametrize(
    "answer",
    ["<html>", "[]", "{}", '{"token": 7}', '{"token": "two\\r\\nX-Header: lines"}', '{"token": "ä"}'],
)
def test_an_answer_without_a_usable_token_is_refused(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer, answer: str
) -> None:
    _challenge(httpserver, f'Bearer realm="{httpserver.url_for("/token")}"')
    httpserver.expect_request("/token").respond_with_data(answer)

    with pytest.raises(RegistryError, match="a JSON answer with a token"):
        client.resolve_digest(reference, deadline())


def test_the_other_name_of_the_token_is_understood(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    """Distribution docs/content/spec/auth/token.md: `token` or `access_token`."""
    granted = httpserver.expect_request(MANIFEST_PATH, headers={"Authorization": "Bearer tea"})
    granted.respond_with_data(headers={"Docker-Content-Digest": "sha256:" + "1" * 64})
    _challenge(httpserver, f'Bearer realm="{httpserver.url_for("/token")}"')
    httpserver.expect_request("/token").respond_with_json({"access_token": "tea"})

    assert client.resolve_digest(reference, deadline()) == "sha256:" + "1" * 64


@pytest.mark.parametrize("challenge", ["", "Negotiate", "Bearer", "=,=", 'Basic realm="x"'])
def test_a_challenge_that_cannot_be_answered_is_a_denial(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer, challenge: str
) -> None:
    _challenge(httpserver, challenge)

    with pytest.raises(RegistryDeniedError, match="HTTP 401"):
        client.resolve_digest(reference, deadline())


def test_a_token_that_is_not_accepted_is_a_denial_and_no_loop(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    _challenge(httpserver, f'Bearer realm="{httpserver.url_for("/token")}"')
    httpserver.expect_request("/token").respond_with_json({"token": "tea"})

    with pytest.raises(RegistryDeniedError, match="HTTP 401"):
        client.resolve_digest(reference, deadline())

    assert [request.path for request, _ in httpserver.log] == [MANIFEST_PATH, "/token", MANIFEST_PATH]


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"errors": []}', b'{"errors": {}}', b'{"errors": ["x"]}', b"[" * 50_000]
)
def test_an_error_without_a_readable_message_is_an_error_nonetheless(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer, body: bytes
) -> None:
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(body, status=403)

    with pytest.raises(RegistryDeniedError, match=r"HTTP 403 with no credentials \(anonymous\)\."):
        client.pull_bundle(reference, deadline())


def test_a_message_of_the_registry_is_shown_without_control_characters(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    errors = {"errors": [{"code": "DENIED", "message": "no\x1b[31m\nway" + "y" * 500}]}
    httpserver.expect_request(MANIFEST_PATH).respond_with_json(errors, status=403)

    with pytest.raises(RegistryDeniedError, match=r"DENIED no\[31mwayy+\. Check") as caught:
        client.pull_bundle(reference, deadline())

    assert len(str(caught.value)) < 600


def test_an_unexpected_status_is_named(
    client: RegistryClient, reference: ImageReference, httpserver: HTTPServer
) -> None:
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(status=418)

    with pytest.raises(RegistryError, match="expected HTTP 200; found HTTP 418"):
        client.pull_bundle(reference, deadline())


def _challenge(httpserver: HTTPServer, challenge: str) -> None:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    httpserver.expect_request(MANIFEST_PATH).respond_with_data(status=401, headers=headers)
