"""One connection to one port of one pod, through the API server: neither pod network nor Service is needed.

The protocol is v4.channel.k8s.io over a WebSocket, as the official client's `kubernetes.stream.portforward`
speaks it. That one takes client keys as files only and swaps a method of the shared ApiClient during a call,
so several at once get into each other's way; this one is spoken over the same library, websocket-client, with
our own TLS context, in one thread.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import unquote, urlsplit, urlunsplit

import websocket

from tasks.clients.cluster.connection import Transport
from tasks.clients.cluster.errors import error_from_response
from tasks.core.deadlines import Deadline
from tasks.core.errors import ClusterUnavailableError, InputError
from tasks.core.manifests import ObjectRef

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PORT_BYTES = 2
_TEXT_LIMIT = 300
_CLOSE_SECONDS = 1.0


class ForwardedPort:
    """An open connection. Get one from `open_port`; for use in one thread.

    Every method raises `ClusterUnavailableError` when the deadline passes, when the kubelet reports that the
    port cannot be reached (the message has its words), and when the connection breaks.
    """

    def __init__(self, connection: websocket.WebSocket, subject: str, deadline: Deadline) -> None:
        self._connection = connection
        self._subject = subject
        self._deadline = deadline
        # The first message on a channel is the port's number.
        self._opening = {_DATA, _ERROR}

    def send(self, data: bytes) -> None:
        """Send bytes to the pod."""
        with _reported("send to the port", self._subject):
            self._connection.settimeout(_seconds_left(self._deadline))
            self._connection.send_binary(bytes([_DATA]) + data)

    def receive(self) -> bytes:
        """Wait for bytes from the pod; empty when the connection has been closed."""
        while True:
            with _reported("receive from the port", self._subject):
                self._connection.settimeout(_seconds_left(self._deadline))
                opcode, message = self._connection.recv_data()
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return b""
            if data := self._data_of(message):
                return data

    def _data_of(self, message: bytes) -> bytes:
        if not message:
            return b""
        channel, data = message[0], message[1:]
        if channel in self._opening:
            self._opening.remove(channel)
            data = data[_PORT_BYTES:]
        if channel == _ERROR and data:
            text = data.decode(errors="replace")[:_TEXT_LIMIT]
            raise ClusterUnavailableError("reach the port", self._subject, found=text)
        return data if channel == _DATA else b""


@contextlib.contextmanager
def open_port(transport: Transport, pod: ObjectRef, port: int, timeout: timedelta) -> Iterator[ForwardedPort]:
    """Open a connection of its own to a port of a pod; leaving closes it.

    Args:
        transport: The API server.
        pod: The pod.
        port: The container's port; the kubelet connects to it inside the pod's network.
        timeout: For everything until the connection is left.

    Raises:
        ClusterForbiddenError: The account may not `get` and, from Kubernetes 1.35 on, `create`
            `pods/portforward`.
        ClusterError: Anything else the API server says, such as a pod that has gone.
        ClusterUnavailableError: No answer, or not in time.
        InputError: The proxy is one that a WebSocket cannot go through.
    """
    deadline = Deadline.after(timeout, time.monotonic)
    subject = f"{transport.name}: {pod}, port {port}"
    path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/portforward"
    options: dict[str, object] = {"context": transport.context}
    if transport.server_name:
        options["server_hostname"] = transport.server_name
    connection = websocket.WebSocket(sslopt=options)
    with _reported(f"open {path}", subject):
        connection.connect(  # type: ignore[no-untyped-call]  # annotated in part only
            _websocket_url(f"{transport.server}{path}", port),
            header=transport.headers(),
            subprotocols=[_PROTOCOL],
            suppress_origin=True,
            timeout=_seconds_left(deadline),
            # A redirect could take the credentials to another host.
            redirect_limit=0,
            **_proxy_options(transport.proxy_url),
        )
    try:
        yield ForwardedPort(connection, subject, deadline)
    finally:
        with contextlib.suppress(websocket.WebSocketException, OSError):
            connection.settimeout(_CLOSE_SECONDS)
            connection.send_close()
        connection.shutdown()  # type: ignore[no-untyped-call]  # annotated in part only


def _websocket_url(url: str, port: int) -> str:
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return urlunsplit((scheme, parts.netloc, parts.path, f"ports={port}", ""))


def _proxy_options(proxy_url: str) -> dict[str, object]:
    if not proxy_url:
        # Without this the library would take one from the environment.
        return {"http_no_proxy": ["*"]}
    parts = urlsplit(proxy_url)
    if parts.scheme != "http":
        raise InputError(
            "forward a port through the proxy", "proxy-url", "an http:// proxy", f"{parts.scheme}://"
        )
    options: dict[str, object] = {
        "http_proxy_host": parts.hostname,
        "http_proxy_port": parts.port or 80,
        # A list that matches nothing: with an empty one, NO_PROXY of the environment would count.
        "http_no_proxy": ["none.invalid"],
    }
    if parts.username:
        options["http_proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    return options


def _seconds_left(deadline: Deadline) -> float:
    left = deadline.left().total_seconds()
    if not left:
        raise TimeoutError("timed out")
    return left


@contextlib.contextmanager
def _reported(attempted: str, subject: str) -> Iterator[None]:
    """Turn the library's errors into ours. Their texts may hold headers: only known ones are passed on."""
    try:
        yield
    except websocket.WebSocketBadStatusException as error:
        raise error_from_response(error.status_code, error.resp_body or b"", attempted, subject) from None
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise ClusterUnavailableError(attempted, subject, "an answer in time", "timed out") from None
    except websocket.WebSocketException as error:
        raise ClusterUnavailableError(attempted, subject, "a WebSocket", type(error).__name__) from None
    except OSError as error:
        raise ClusterUnavailableError(
            attempted, subject, "a connection", f"{type(error).__name__}: {error}"[:_TEXT_LIMIT]
        ) from None
