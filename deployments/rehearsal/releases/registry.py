"""The pull side of an OCI distribution registry with token, basic and bearer authentication, and faults.

OCI distribution specification, "Pull"; distribution docs/content/spec/auth/token.md.
"""

import base64
import json
import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from deployments.rehearsal.releases.exchange import Reply, SeenRequest
from deployments.rehearsal.releases.image_building import Repository, StoredContent
from deployments.rehearsal.releases.repositories import RepositoryName

RETRY_AFTER_SECONDS = 30
"""What `faults/too-many-requests` asks for."""

_SERVICE = "rehearsal-registry"
_BUNDLE_NAMES = {name.value for name in RepositoryName}


@dataclass(frozen=True)
class RegistryLogin:
    """What the private repositories take; made anew for every server."""

    username: str = "rehearsal"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    bearer_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def basic(self) -> str:
        """The Authorization header for the user."""
        pair = f"{self.username}:{self.password}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


class Registry:
    """Answers requests below `/v2/`, `/token` and `/storage/`.

    Args:
        repositories: By name.
        login: For the private ones.
    """

    def __init__(self, repositories: Mapping[str, Repository], login: RegistryLogin) -> None:
        self._repositories = repositories
        self._login = login
        self._tokens: dict[str, str] = {}
        self._asked: Counter[str] = Counter()
        self.storage = ""
        """host:port of the storage host that blobs are redirected to."""

    def answer(self, request: SeenRequest) -> Reply | None:
        """The reply to a request for the registry; None for any other one."""
        if request.path == "/token":
            return self._token(request)
        if request.path.startswith("/storage/"):
            return self._stored_blob(request)
        if request.path.startswith("/v2/"):
            return self._pull(request)
        return None

    def _token(self, request: SeenRequest) -> Reply:
        scope = request.query.get("scope", "")
        name = scope.removeprefix("repository:").removesuffix(":pull")
        if request.authorization not in ("", self._login.basic):
            return _error(401, "UNAUTHORIZED", "user name or password is wrong")
        if name == RepositoryName.PRIVATE and not request.authorization:
            return _error(401, "UNAUTHORIZED", "this repository is not public")
        token = secrets.token_urlsafe(16)
        self._tokens[token] = name
        return Reply(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def _pull(self, request: SeenRequest) -> Reply:
        name, kind, target = _split(request.path)
        repository = self._repositories.get(name)
        denied = self._challenge(name, request)
        if denied is not None:
            return denied
        if repository is None:
            return _error(404, "NAME_UNKNOWN", "no such repository")
        self._asked[name] += 1
        fault = self._fault(name, kind)
        if fault is not None:
            return fault
        if kind == "manifests":
            return self._manifest(name, repository, target)
        return self._blob(name, repository, target)

    def _challenge(self, name: str, request: SeenRequest) -> Reply | None:
        sent = request.authorization
        if name == RepositoryName.BEARER:
            wanted = f"Bearer {self._login.bearer_token}"
            return None if sent == wanted else _unauthorized('Bearer realm="", error="invalid_token"')
        if name == RepositoryName.BASIC:
            return None if sent == self._login.basic else _unauthorized('Basic realm="rehearsal"')
        if self._tokens.get(sent.removeprefix("Bearer ")) == name:
            return None
        host = self.storage if name == RepositoryName.TOKEN_ELSEWHERE else request.host
        scope = "" if name == RepositoryName.PRIVATE else f',scope="repository:{name}:pull"'
        return _unauthorized(f'Bearer realm="http://{host}/token",service="{_SERVICE}"{scope}')

    def _fault(self, name: str, kind: str) -> Reply | None:
        if name == RepositoryName.TOO_MANY_REQUESTS:
            limit = _error(429, "TOOMANYREQUESTS", "slow down")
            return Reply(429, limit.body, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        if name == RepositoryName.UNAVAILABLE_TWICE and self._asked[name] <= 2:  # noqa: PLR2004 - its name
            return Reply(503, b"starting")
        if name == RepositoryName.REDIRECT_LOOP and kind == "blobs":
            return Reply(307, headers={"Location": "?again"})
        return None

    def _manifest(self, name: str, repository: Repository, target: str) -> Reply:
        manifest = repository.manifests.get(target)
        if manifest is None:
            return _error(404, "MANIFEST_UNKNOWN", "no such tag or digest")
        body = manifest.body + b"\n" if name == RepositoryName.TAMPERED_MANIFEST else manifest.body
        headers = {"Content-Type": manifest.media_type, "Docker-Content-Digest": manifest.digest}
        return Reply(200, body, headers)

    def _blob(self, name: str, repository: Repository, digest: str) -> Reply:
        blob = repository.blobs.get(digest)
        if blob is None:
            return _error(404, "BLOB_UNKNOWN", "no such blob")
        if name == RepositoryName.PUBLIC:
            location = f"http://{self.storage}/storage/{digest}?signature={secrets.token_hex(8)}"
            return Reply(307, headers={"Location": location})
        return _with_blob_fault(name, blob)

    def _stored_blob(self, request: SeenRequest) -> Reply:
        # Object storage refuses a signed address together with a header of credentials.
        if request.authorization:
            return Reply(400, b"credentials were sent to the storage host")
        digest = request.path.removeprefix("/storage/")
        blob = self._repositories[RepositoryName.PUBLIC].blobs.get(digest)
        return Reply(200, blob.body) if blob is not None else Reply(404)


def _split(path: str) -> tuple[str, str, str]:
    for kind in ("manifests", "blobs"):
        name, found, target = path.removeprefix("/v2/").partition(f"/{kind}/")
        if found:
            return name, kind, target
    return "", "", ""


def _with_blob_fault(name: str, blob: StoredContent) -> Reply:
    body = blob.body
    if name == RepositoryName.TAMPERED_BLOB:
        body = bytes([*body[:-1], body[-1] ^ 1])
    if name == RepositoryName.OVERSIZED_BLOB:
        body += bytes(1024)
    sent = len(body) // 2 if name == RepositoryName.TRUNCATED_BLOB else None
    return Reply(200, body, {"Content-Type": "application/octet-stream"}, sent_bytes=sent)


def _unauthorized(challenge: str) -> Reply:
    body = _error(401, "UNAUTHORIZED", "authentication required").body
    return Reply(401, body, {"WWW-Authenticate": challenge})


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())
