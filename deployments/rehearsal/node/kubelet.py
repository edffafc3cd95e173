"""The kubelet's own API, as far as an API server and a metrics server use it: logs, ports, resource metrics.

Who may use it is decided as a kubelet does with webhook authorization: a client certificate of the cluster's
authority for the group system:masters (the API server has one), or a token that the API server accepts and
whose user may `get nodes/metrics`, `nodes/log` or `nodes/proxy`.
"""

import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from deployments.rehearsal.node.portforward import PortForwarding, forwarded_ports
from deployments.rehearsal.node.usage import ContainerUsage, machine_usage, resource_metrics
from tasks.clients.cluster import ClusterClient
from tasks.core.errors import ClusterError

_QUIET_SECONDS = 10.0
_MASTERS = ("organizationName", "system:masters")
_LOG_PARTS = 4
_FORWARD_PARTS = 3


class Pods(Protocol):
    """Reaches into the pods of the node."""

    def container_log(self, namespace: str, pod: str, container: str, *, previous: bool) -> bytes | None:
        """The output of a container, or of its run before this one; None when there is no such container."""

    def connect_port(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to a port of a pod; OSError when there is none."""


@dataclass(frozen=True)
class KubeletFiles:
    """What the server proves itself with.

    Attributes:
        certificate: Its certificate.
        key: The key of it.
        authority: Who signs the certificates of its clients.
    """

    certificate: Path
    key: Path
    authority: Path


class KubeletServer(ThreadingHTTPServer):
    """The server. `start` it, `stop` it.

    Args:
        host: The address that it listens on, on a free port.
        files: Its certificate.
        client: Asks the API server about tokens.
        pods: Their logs and ports.
        usage: What the containers use at the moment.
    """

    daemon_threads = True

    def __init__(
        self,
        host: str,
        files: KubeletFiles,
        client: ClusterClient,
        pods: Pods,
        usage: Callable[[], list[ContainerUsage]],
    ) -> None:
        self.pods = pods
        self.usage = usage
        self.client = client
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.key)
        self._context.load_verify_locations(files.authority)
        self._context.verify_mode = ssl.CERT_OPTIONAL
        super().__init__((host, 0), _KubeletRequest)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="kubelet", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self.server_address[:2]
        return str(host), int(port)

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; returns when the port is free."""
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake runs in the connection's own thread.
        request.settimeout(_QUIET_SECONDS)
        with self._context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away or speaks no TLS is its own problem."""


class _KubeletRequest(BaseHTTPRequestHandler):
    server: KubeletServer
    protocol_version = "HTTP/1.1"
    timeout = _QUIET_SECONDS

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        if url.path == "/metrics/resource":
            self._guarded("metrics", self._metrics)
        elif parts[0] == "containerLogs" and len(parts) == _LOG_PARTS:
            query = {name: values[-1] for name, values in parse_qs(url.query).items()}
            self._guarded("log", lambda: self._log(parts, query))
        elif parts[0] == "portForward" and len(parts) == _FORWARD_PARTS:
            self._guarded("proxy", lambda: self._forward(parts, url.query))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")

    def _guarded(self, subresource: str, serve: Callable[[], None]) -> None:
        status = self._refusal(subresource)
        if status is None:
            serve()
        else:
            self._answer(status, status.phrase.encode() + b"\n")

    def _refusal(self, subresource: str) -> HTTPStatus | None:
        certificate = self.connection.getpeercert()
        if certificate:
            groups = [pair for relative in certificate["subject"] for pair in relative]
            return None if _MASTERS in groups else HTTPStatus.FORBIDDEN
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return HTTPStatus.UNAUTHORIZED
        try:
            return _refusal_of_token(self.server.client, token, subresource)
        except ClusterError:
            return HTTPStatus.UNAUTHORIZED

    def _metrics(self) -> None:
        text = resource_metrics(machine_usage(), self.server.usage(), datetime.now(UTC))
        self._answer(HTTPStatus.OK, text.encode(), "text/plain; version=0.0.4")

    def _log(self, parts: list[str], query: Mapping[str, str]) -> None:
        _, namespace, pod, container = parts
        previous = query.get("previous") == "true"
        content = self.server.pods.container_log(namespace, pod, container, previous=previous)
        if content is None:
            self._answer(HTTPStatus.NOT_FOUND, f'container "{container}" not found\n'.encode())
            return
        if "tailLines" in query:
            lines = content.splitlines(keepends=True)
            content = b"".join(lines[max(0, len(lines) - int(query["tailLines"])) :])
        if "limitBytes" in query:
            content = content[: int(query["limitBytes"])]
        self._answer(HTTPStatus.OK, content)

    def _forward(self, parts: list[str], query: str) -> None:
        _, namespace, pod = parts
        try:
            ports = forwarded_ports(query)
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            return

        def connect(port: int) -> socket.socket:
            return self.server.pods.connect_port(namespace, pod, port)

        self.close_connection = True
        PortForwarding(self.connection, self.path, self.headers.items(), connect).serve(ports)

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who asks sees the answer."""


def _refusal_of_token(client: ClusterClient, token: str, subresource: str) -> HTTPStatus | None:
    review = client.create(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    )
    if not review["status"].get("authenticated"):
        return HTTPStatus.UNAUTHORIZED
    user = review["status"]["user"]
    access = client.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": user["username"],
                "groups": user.get("groups") or [],
                "resourceAttributes": {"verb": "get", "resource": "nodes", "subresource": subresource},
            },
        }
    )
    return None if access["status"].get("allowed") else HTTPStatus.FORBIDDEN
