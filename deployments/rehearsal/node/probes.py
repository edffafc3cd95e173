"""Readiness probes, asked inside the sandbox as a kubelet asks inside the pod's network."""

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from typing_extensions import override

OpenSocket = Callable[[], socket.socket]
"""Makes an unconnected TCP socket in the pod's network; OSError when the program has ended."""

_DEFAULT_PERIOD = 10
_DEFAULT_FAILURES = 3


@dataclass(frozen=True)
class Probe:
    """One readiness probe.

    Attributes:
        port: Where it is asked; 0 for one that only wants the process to run.
        path: The path of an HTTP GET; empty for a mere connection.
        tls: Whether the GET is HTTPS; the certificate is not verified, as in a kubelet.
        period: Seconds between two probes once the container is ready.
        failures: How many failures in a row make a ready container not ready.
        timeout: Seconds that one probe may take.
    """

    port: int
    path: str
    tls: bool
    period: float
    failures: int
    timeout: float

    @classmethod
    def of(cls, container: Mapping[str, Any]) -> Self | None:
        """The readiness probe of a container; None when it has none.

        gRPC probes and commands that ask a gRPC port (`grpc_health_probe -addr=:PORT`) become connections to
        that port. Other commands are not run: the process running is enough.
        """
        found = container.get("readinessProbe")
        if not found:
            return None
        http_get = found.get("httpGet") or {}
        return cls(
            port=_port(found, container.get("ports") or []),
            path=http_get.get("path") or ("/" if http_get else ""),
            tls=http_get.get("scheme") == "HTTPS",
            period=found.get("periodSeconds") or _DEFAULT_PERIOD,
            failures=found.get("failureThreshold") or _DEFAULT_FAILURES,
            timeout=found.get("timeoutSeconds") or 1,
        )

    def failure(self, address: str, open_socket: OpenSocket) -> str:
        """Ask once. Returns why it failed, in a kubelet's words; empty when it succeeded."""
        if not self.port:
            return ""
        try:
            with open_socket() as connection:
                connection.settimeout(self.timeout)
                connection.connect((address, self.port))
                return self._ask(address, connection) if self.path else ""
        except (OSError, http.client.HTTPException) as error:
            what = f"Get {self._url(address)}" if self.path else f"dial tcp {address}:{self.port}"
            return f"{what}: {_reason(error)}"

    def _ask(self, address: str, connection: socket.socket) -> str:
        headers = {"User-Agent": "kube-probe/rehearsal", "Connection": "close"}
        with self._secured(connection) as secured:
            client = _ConnectedClient(address, secured, self.timeout)
            client.request("GET", self.path, headers=headers)
            with client.getresponse() as response:
                status = response.status
        if HTTPStatus.OK <= status < HTTPStatus.BAD_REQUEST:
            return ""
        return f"HTTP probe failed with statuscode: {status}"

    def _secured(self, connection: socket.socket) -> socket.socket:
        if not self.tls:
            return connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(connection)

    def _url(self, address: str) -> str:
        return f'"{"https" if self.tls else "http"}://{address}:{self.port}{self.path}"'


class _ConnectedClient(http.client.HTTPConnection):
    """An HTTP client on a connection that exists."""

    def __init__(self, host: str, connection: socket.socket, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self.sock = connection

    @override
    def connect(self) -> None:
        """Nothing to do."""


def _port(probe: Mapping[str, Any], ports: Sequence[Mapping[str, Any]]) -> int:
    if "exec" in probe:
        return _port_of_command(probe["exec"].get("command") or [])
    action = probe.get("httpGet") or probe.get("tcpSocket") or probe.get("grpc") or {}
    port = action.get("port", 0)
    if isinstance(port, int):
        return port
    return next((each["containerPort"] for each in ports if each.get("name") == port), 0)


def _port_of_command(command: Sequence[str]) -> int:
    if not command or not command[0].endswith("grpc_health_probe"):
        return 0
    addresses = [part.partition("=")[2] for part in command if part.lstrip("-").startswith("addr=")]
    port = addresses[0].rpartition(":")[2] if addresses else ""
    return int(port) if port.isdecimal() else 0


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "context deadline exceeded"
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    return getattr(error, "strerror", None) or type(error).__name__
