"""What is left: the object storage namespace, and the token endpoint of the container registry."""

import base64
import secrets

from deployments.rehearsal.tenancy.answers import Answer, RefusedError, Request, Route
from deployments.rehearsal.tenancy.store import Store


class NamespaceService:
    """`GetNamespace` of Object Storage: the first half of a registry login."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[Route]:
        """All operations with their paths."""
        return [Route("GET", "/n/", self._get), Route("GET", "/n", self._get)]

    def _get(self, request: Request) -> Answer:
        return Answer(f"{self._store.tenancy_of(request).name}ns")


class RegistryTokens:
    """The token endpoint of OCIR (Docker token authentication), for signed, named and anonymous callers.

    Attributes:
        passwords: Auth tokens by login (`namespace/user`).
        public: Repositories that anonymous callers may pull.
    """

    PATH = "/20180419/docker/token"

    def __init__(self) -> None:
        self.passwords: dict[str, str] = {}
        self.public: set[str] = set()
        self.issued: dict[str, str] = {}

    def answer_signed(self, scope: str) -> Answer:
        """A token for a caller whose signature was verified."""
        return self._token(scope)

    def answer(self, authorization: str, scope: str) -> Answer:
        """A token for Basic credentials, or for an anonymous caller and a public repository."""
        if not authorization:
            repository = scope.split(":")[1] if scope.count(":") else ""
            if repository not in self.public:
                raise RefusedError(401, "NotAuthenticated", "anonymous callers may not pull this repository")
            return self._token(scope)
        login, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if not secrets.compare_digest(self.passwords.get(login, "\n"), password):
            raise RefusedError(401, "NotAuthenticated", "unknown login or wrong auth token")
        return self._token(scope)

    def _token(self, scope: str) -> Answer:
        token = secrets.token_urlsafe(24)
        self.issued[token] = scope
        return Answer({"token": token, "access_token": token, "expires_in": 3600})
