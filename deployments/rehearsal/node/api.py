"""What a kubelet asks of the API server beyond reading and patching: watches, tokens, final deletes."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from typing_extensions import override

from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.errors import error_from_response
from tasks.core.errors import ClusterUnavailableError
from tasks.core.manifests import Manifest, ObjectRef

COMPONENT = "rehearsal-kubelet"
"""The source of our events."""

_TIMEOUT = urllib3.Timeout(connect=10, read=60)


class WatchEventType(StrEnum):
    """What happened to an object (Kubernetes API concepts, "Efficient detection of changes")."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class WatchEvent:
    """One event of a watch; `manifest` is the object after it, or its last state when it was deleted."""

    type: WatchEventType
    manifest: Manifest


class WatchExpiredError(Exception):
    """The watch cannot go on from its resourceVersion: list again."""


@dataclass(frozen=True)
class ApiAccess:
    """Where the API server is and who we are there.

    Attributes:
        server: `https://host:port`.
        ca_file: The authority of the server's certificate.
        token: Our bearer token. A secret.
    """

    server: str
    ca_file: Path
    token: str

    @override
    def __repr__(self) -> str:
        """Without the token."""
        return f"ApiAccess({self.server})"


class NodeApi:
    """The node's connection to its API server.

    Args:
        client: For everything that is plain reading and patching.
        access: For the rest.
    """

    def __init__(self, client: ClusterClient, access: ApiAccess) -> None:
        self.client = client
        self.access = access
        self._headers = {"Authorization": f"Bearer {access.token}", "Content-Type": "application/json"}
        self._pool = urllib3.PoolManager(
            ca_certs=str(access.ca_file), cert_reqs="CERT_REQUIRED", maxsize=16, retries=False
        )

    def list_page(self, path: str) -> tuple[list[Manifest], str]:
        """All objects of a collection and the resourceVersion to watch from.

        Raises:
            ClusterError: The API server refuses or gives no usable answer.
        """
        answer = self._send("GET", path, None)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def open_watch(self, path: str, resource_version: str) -> urllib3.BaseHTTPResponse:
        """Start a watch; read it with `read_watch` and end it from another thread with `shutdown()`.

        Raises:
            ClusterError: The API server refuses or gives no usable answer.
        """
        query = urlencode({"watch": "true", "resourceVersion": resource_version})
        url = f"{self.access.server}{path}?{query}"
        try:
            response = self._pool.request(
                "GET",
                url,
                headers=self._headers,
                preload_content=False,
                timeout=urllib3.Timeout(connect=10, read=None),
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unavailable(f"watch {path}", error) from None
        if response.status != 200:  # noqa: PLR2004 - HTTP
            with closing(response):
                body = response.read()
            raise error_from_response(response.status, body, f"watch {path}", self.client.name)
        return response

    def request_token(self, namespace: str, account: str, body: Manifest) -> str:
        """A token for a pod's ServiceAccount (TokenRequest). A secret."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        answer = self._send("POST", path, body)
        token: str = answer["status"]["token"]
        return token

    def delete_pod(self, namespace: str, name: str, uid: str) -> None:
        """Take a terminated pod out of the API server; absent is fine."""
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": uid},
        }
        self._send("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", body, missing_is_fine=True)

    def emit_event(self, pod: Manifest, reason: str, message: str) -> None:
        """Write a Warning event about a pod."""
        metadata = pod["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = ObjectRef("v1", "Pod", metadata["name"], metadata["namespace"])
        self.client.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"generateName": f"{about.name}.", "namespace": about.namespace},
                "involvedObject": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": about.name,
                    "namespace": about.namespace,
                    "uid": metadata["uid"],
                },
                "type": "Warning",
                "reason": reason,
                "message": message[:1000],
                "source": {"component": COMPONENT},
                "firstTimestamp": now,
                "lastTimestamp": now,
                "count": 1,
            }
        )

    def close(self) -> None:
        """Close the idle connections."""
        self._pool.clear()

    def _send(
        self, method: str, path: str, body: Manifest | None, *, missing_is_fine: bool = False
    ) -> Manifest:
        attempted = f"{method} {path}"
        payload = None if body is None else json.dumps(body).encode()
        try:
            response = self._pool.request(
                method, self.access.server + path, body=payload, headers=self._headers, timeout=_TIMEOUT
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unavailable(attempted, error) from None
        if response.status in (404, 409) and missing_is_fine:
            return {}
        if response.status not in (200, 201, 202):
            raise error_from_response(response.status, response.data, attempted, self.client.name)
        answer: Manifest = json.loads(response.data)
        return answer

    def _unavailable(self, attempted: str, error: Exception) -> ClusterUnavailableError:
        return ClusterUnavailableError(attempted, self.client.name, found=type(error).__name__)


def read_watch(response: urllib3.BaseHTTPResponse) -> Iterator[WatchEvent]:
    """The events of an open watch until it ends.

    Raises:
        WatchExpiredError: The API server says that the resourceVersion is too old.
    """
    rest = b""
    try:
        for chunk in response.stream(65536, decode_content=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield _event(json.loads(line))
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        # Closed by us or by an API server that stops; whoever reads lists again.
        return


def _event(data: Manifest) -> WatchEvent:
    if data["type"] not in WatchEventType.__members__:
        raise WatchExpiredError
    return WatchEvent(WatchEventType(data["type"]), data["object"])
