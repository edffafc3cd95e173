"""Pulls bundles from an OCI registry: verified, bounded, credentials only for those they are meant for.

OCI distribution specification, "Pulling manifests" and "Pulling blobs".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from pydantic import SecretStr

from tasks.clients.registry.access import BasicCredentials, RegistryAccess, TokenCredentials
from tasks.clients.registry.challenges import Challenge, pull_scope, read_challenges, trusted_realm
from tasks.clients.registry.errors import RegistryContentError, RegistryDigestError, error_from_answer
from tasks.clients.registry.manifests import (
    ACCEPT,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Platform,
    StoredManifest,
    read_stored_manifest,
)
from tasks.clients.web import Answer, Method, Pacing, ReadRequest, WebErrors, WebReader
from tasks.core.archives import unpack_layers
from tasks.core.deadlines import Deadline
from tasks.core.errors import InputError, RegistryError, RegistryUnavailableError
from tasks.core.manifests import sha256_hex
from tasks.core.references import ImageReference, checked_digest

_OK = 200
_UNAUTHORIZED = 401
_MAX_TOKEN_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True)
class PulledBundle:
    """The content of a bundle image.

    Attributes:
        files: Content by path.
        digest: What the reference stood for: the index's digest when it is one, else the manifest's.
    """

    files: Mapping[str, bytes]
    digest: str


class RegistryClient:
    """One registry.

    Args:
        access: Host, credentials and trust.
        pacing: Repetitions while no usable answer comes; tests make them short.

    Every method raises `RegistryUnavailableError` (retryable) when no usable answer came before the deadline,
    `RegistryDeniedError`, `RegistryNotFoundError` or `RegistryContentError` for what the registry said.
    """

    def __init__(self, access: RegistryAccess, pacing: Pacing | None = None) -> None:
        self._access = access
        errors = WebErrors(unavailable=RegistryUnavailableError, refused=RegistryContentError)
        self._web = WebReader(errors, pacing, access.ca_certificates)
        self._authorizations: dict[str, SecretStr] = {}

    def __enter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._web.close()

    def resolve_digest(self, reference: ImageReference, deadline: Deadline) -> str:
        """The digest that a reference stands for now, without reading the image.

        A reference with a digest is checked for existence and its digest returned.
        """
        attempted = "resolve the image's digest"
        path = self._manifest_path(reference, reference.target)
        answer = self._read(reference, self._request(path, attempted, deadline, method=Method.HEAD))
        digest = answer.headers.get("docker-content-digest")
        if reference.digest or not digest:
            # Without that header only the bytes tell.
            return self._stored_manifest(reference, reference.target, deadline).digest
        return _answered_digest(digest, attempted, str(reference))

    def pull_bundle(
        self, reference: ImageReference, deadline: Deadline, platform: Platform | None = None
    ) -> PulledBundle:
        """Read all layers of an image and unpack them.

        Raises:
            ManifestError: A layer is a hostile or damaged archive.
        """
        top = self._stored_manifest(reference, reference.target, deadline)
        image = self._image(reference, top, deadline, platform or Platform())
        layers = [self._blob(reference, layer, deadline) for layer in image.layers()]
        return PulledBundle(unpack_layers(layers, str(reference)), top.digest)

    def _image(
        self, reference: ImageReference, top: StoredManifest, deadline: Deadline, platform: Platform
    ) -> StoredManifest:
        if not top.is_index:
            return top
        descriptor = top.select(platform)
        image = self._stored_manifest(reference, descriptor.digest, deadline)
        if image.is_index:
            raise RegistryContentError(
                "read the image's manifest", str(reference), "an image", "an index again"
            )
        return image

    def _stored_manifest(self, reference: ImageReference, target: str, deadline: Deadline) -> StoredManifest:
        attempted, subject = "read the image's manifest", str(reference)
        request = self._request(self._manifest_path(reference, target), attempted, deadline)
        answer = self._read(reference, replace(request, limit_bytes=MAX_MANIFEST_BYTES))
        digest = f"sha256:{sha256_hex(answer.body)}"
        announced = answer.headers.get("docker-content-digest", digest)
        expected = target if ":" in target else announced
        if digest != expected:
            raise RegistryDigestError(attempted, subject, f"a manifest with {expected}"[:120], digest)
        return read_stored_manifest(answer.body, answer.headers.get("content-type", ""), digest, subject)

    def _blob(self, reference: ImageReference, layer: Descriptor, deadline: Deadline) -> bytes:
        attempted = "read a layer of the image"
        request = self._request(f"/{reference.repository}/blobs/{layer.digest}", attempted, deadline)
        body = self._read(reference, replace(request, limit_bytes=layer.size)).body
        digest = f"sha256:{sha256_hex(body)}"
        if digest != layer.digest or len(body) != layer.size:
            expected = f"{layer.digest} of {layer.size} bytes"
            found = f"{digest} of {len(body)} bytes"
            raise RegistryContentError(attempted, str(reference), expected, found)
        return body

    def _manifest_path(self, reference: ImageReference, target: str) -> str:
        if reference.registry != self._access.host:
            raise InputError(
                "use the registry",
                str(reference),
                f"an image in {self._access.host}, which the ContainerRegistry block is for",
                reference.registry,
            )
        return f"/{reference.repository}/manifests/{target}"

    def _request(
        self, path: str, attempted: str, deadline: Deadline, method: Method = Method.GET
    ) -> ReadRequest:
        headers = {"Accept": f"{ACCEPT}, */*;q=0.1"} if "/manifests/" in path else {}
        return ReadRequest(self._access.url + path, attempted, deadline, method, headers)

    def _read(self, reference: ImageReference, request: ReadRequest) -> Answer:
        answer = self._web.read(replace(request, authorization=self._known_authorization(reference)))
        if answer.status == _UNAUTHORIZED and not answer.redirected:
            authorization = self._authorize(reference, request, answer)
            if authorization is not None:
                answer = self._web.read(replace(request, authorization=authorization))
        if answer.status != _OK:
            raise error_from_answer(answer, request.attempted, str(reference), self._access.credentials)
        return answer

    def _known_authorization(self, reference: ImageReference) -> SecretStr | None:
        if isinstance(self._access.credentials, TokenCredentials):
            return self._access.credentials.header()
        return self._authorizations.get(reference.repository)

    def _authorize(self, reference: ImageReference, request: ReadRequest, answer: Answer) -> SecretStr | None:
        headers = answer.headers.get_list("www-authenticate")
        challenges = {challenge.scheme: challenge for challenge in read_challenges(headers)}
        credentials = self._access.credentials
        if isinstance(credentials, TokenCredentials):
            return None
        # A bearer challenge without a realm wants a token that was given out elsewhere.
        if "bearer" in challenges and challenges["bearer"].parameters.get("realm"):
            authorization = self._fetch_token(reference, request, challenges["bearer"])
        elif "basic" in challenges and isinstance(credentials, BasicCredentials):
            authorization = credentials.header()
        else:
            return None
        self._authorizations[reference.repository] = authorization
        return authorization

    def _fetch_token(
        self, reference: ImageReference, request: ReadRequest, challenge: Challenge
    ) -> SecretStr:
        attempted = "get a pull token"
        realm = trusted_realm(challenge, self._access, attempted)
        query = {"scope": pull_scope(challenge, reference.repository)}
        if challenge.parameters.get("service"):
            query["service"] = challenge.parameters["service"]
        credentials = self._access.credentials
        answer = self._web.read(
            ReadRequest(
                url=str(realm.copy_merge_params(query)),
                attempted=attempted,
                deadline=request.deadline,
                authorization=credentials.header() if isinstance(credentials, BasicCredentials) else None,
                limit_bytes=_MAX_TOKEN_ANSWER_BYTES,
            )
        )
        if answer.status != _OK:
            raise error_from_answer(answer, attempted, f"{reference} at {realm.host}", credentials)
        return _token(answer, attempted, f"{reference} at {realm.host}")


def _token(answer: Answer, attempted: str, subject: str) -> SecretStr:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    token = (document.get("token") or document.get("access_token")) if isinstance(document, dict) else None
    # A line break in the token would become a header of its own.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise RegistryError(attempted, subject, "a JSON answer with a token", "none")
    return SecretStr(f"Bearer {token}")


def _answered_digest(digest: str, attempted: str, subject: str) -> str:
    try:
        return checked_digest(digest, subject)
    except InputError as error:
        raise RegistryContentError(attempted, subject, error.expected, error.found) from error
