"""What is left: the object storage namespace, the registry's token endpoint, the tokens of OKE clusters."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from deployments.rehearsal.tenancy.answers import Answer, Caller, RefusedError, Request, Route
from deployments.rehearsal.tenancy.signatures import KeyFinder, SignedRequest, verify
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


class ClusterTokens:
    """Reviews the tokens of OKE clusters for their API servers (TokenReview, authentication.k8s.io/v1).

    A token is a signed request for the cluster, with the signature in its query, as one word of base64url.

    Args:
        store: The tenancies.
        find_key: Gives the public key and the caller of a key id.
        address: Gives the URL of the region's services, which tokens are signed for.

    Attributes:
        accepted: SHA-256 of each accepted token, in the order in which they first came.
    """

    PATH = "/rehearsal/token-reviews/"

    def __init__(self, store: Store, find_key: KeyFinder, address: Callable[[], str]) -> None:
        self._store = store
        self._find_key = find_key
        self._address = address
        self.accepted: dict[str, None] = {}

    def review(self, cluster_id: str, body: bytes) -> Answer:
        """Say who a token stands for, or that it stands for nobody."""
        token = str(json.loads(body)["spec"]["token"])
        try:
            with self._store.lock:
                user = self._user(self._caller_of(token, cluster_id))
                self.accepted.setdefault(hashlib.sha256(token.encode()).hexdigest())
            status: dict[str, object] = {"authenticated": True, "user": user}
        except (RefusedError, ValueError) as error:
            reason = error.message if isinstance(error, RefusedError) else "it is no token of OKE"
            status = {"authenticated": False, "error": reason}
        return Answer({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status})

    def _caller_of(self, token: str, cluster_id: str) -> Caller:
        url = base64.urlsafe_b64decode(token).decode()
        parts = urlsplit(url)
        if url.partition("?")[0] != f"{self._address()}/cluster_request/{cluster_id}":
            raise RefusedError(401, "NotAuthenticated", "the token is for another cluster or region")
        moved = {name: values[0] for name, values in parse_qs(parts.query).items()}
        signed = SignedRequest("GET", parts.path, {**moved, "host": parts.netloc}, b"")
        caller = verify(signed, self._find_key, self._store.clock())
        if cluster_id not in self._store.tenancies[caller.tenancy_id].objects:
            raise RefusedError(401, "NotAuthenticated", "the cluster belongs to another tenancy")
        return caller

    def _user(self, caller: Caller) -> dict[str, object]:
        """RBAC of an OKE cluster knows people and groups by their OCIDs."""
        memberships = self._store.all(self._store.tenancies[caller.tenancy_id], "UserGroupMembership")
        groups = [entry.model.group_id for entry in memberships if entry.model.user_id == caller.principal_id]
        return {"username": caller.principal_id, "uid": caller.principal_id, "groups": groups}
