"""The kubelet's port forwarding: `/portForward/{namespace}/{pod}?port=…` over a WebSocket.

The protocol is v4.channel.k8s.io (k8s.io/cri-streaming pkg/streaming/portforward/websocket.go): every message
begins with the number of its channel; the n-th port has channel 2n for data and 2n + 1 for an error text; the
server's first message on either is the port, two bytes, little endian. An API server passes the upgraded
connection through as it is, unless the client asks for SPDY in it, as kubectl does: that is not served here.
"""

import contextlib
import selectors
import socket
import ssl
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from deployments.rehearsal.node.proxy import Backend

OpenPort = Callable[[int], socket.socket]
"""Connects to a port of the pod; OSError when nothing listens there."""

_PROTOCOL = Subprotocol("v4.channel.k8s.io")
_CHUNK = 65536
_CONNECT_SECONDS = 10.0
_PORTS = range(1, 65536)


def forwarded_ports(query: str) -> tuple[int, ...]:
    """The ports that a request's query asks for.

    Raises:
        ValueError: There is none, or one of them is not a port.
    """
    listed = [port for value in parse_qs(query).get("port", []) for port in value.split(",")]
    ports = tuple(int(port) for port in listed)
    if not ports or any(port not in _PORTS for port in ports):
        raise ValueError('the query parameter "port" must be one or more ports')
    return ports


def connect_to_port(backend: Backend, port: int) -> socket.socket:
    """A connection to a port of a pod, made inside its network, with a timeout.

    Raises:
        OSError: Nothing listens there.
    """
    sandbox = backend.sandbox
    if sandbox is None:
        raise ConnectionRefusedError("connection refused")
    fresh = sandbox.tcp_socket()
    try:
        fresh.settimeout(_CONNECT_SECONDS)
        fresh.connect((backend.address, port))
    except OSError:
        fresh.close()
        raise
    return fresh


class PortForwarding:
    """Serves one request whose headers have been read, until one side is done.

    Args:
        connection: To the client. Stays open, in a state in which it can only be closed.
        path: The request's target.
        headers: The request's headers.
        open_port: Connects to the pod.
    """

    def __init__(
        self,
        connection: ssl.SSLSocket,
        path: str,
        headers: Iterable[tuple[str, str]],
        open_port: OpenPort,
    ) -> None:
        self._connection = connection
        self._request = Request(path, Headers(headers))
        self._open_port = open_port
        self._protocol = ServerProtocol(subprotocols=[_PROTOCOL])
        self._channels: dict[int, socket.socket] = {}
        self._unsent: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._incoming = 0

    def serve(self, ports: Sequence[int]) -> None:
        """Upgrade the connection and copy bytes. A client that goes away ends it silently."""
        with contextlib.suppress(OSError, InvalidState), contextlib.ExitStack() as opened:
            if not self._upgrade():
                return
            for index, port in enumerate(ports):
                self._open(2 * index, port, opened)
            self._copy()
            self._protocol.send_close(1000)
            self._flush()

    def _upgrade(self) -> bool:
        # The protocol object wants to read the request itself.
        self._protocol.receive_data(self._request.serialize())
        self._protocol.events_received()
        self._protocol.send_response(self._protocol.accept(self._request))
        self._flush()
        return self._protocol.state is State.OPEN

    def _open(self, channel: int, port: int, opened: contextlib.ExitStack) -> None:
        number = struct.pack("<H", port)
        self._send(channel, number)
        self._send(channel + 1, number)
        try:
            pod = opened.enter_context(self._open_port(port))
            pod.settimeout(0)
            self._channels[channel] = pod
        except OSError as error:
            reason = (error.strerror or str(error) or type(error).__name__).lower()
            self._send(channel + 1, f"error forwarding port {port}: dial tcp: connect: {reason}".encode())

    def _copy(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._connection, selectors.EVENT_READ)
            for channel, pod in self._channels.items():
                selector.register(pod, selectors.EVENT_READ, channel)
            while self._channels and self._protocol.state is State.OPEN:
                self._copy_once(selector)

    def _copy_once(self, selector: selectors.BaseSelector) -> None:
        # What TLS has decrypted already is not seen by the selector.
        ready = selector.select(0 if self._connection.pending() else None)
        if self._connection.pending() or any(key.data is None for key, _ in ready):
            self._from_client()
        for key, events in ready:
            if key.data is not None and not self._serve_pod(key.data, events):
                selector.unregister(key.fileobj)
                del self._channels[key.data]
        for channel, pod in self._channels.items():
            wanted = selectors.EVENT_WRITE if self._unsent[channel] else 0
            selector.modify(pod, selectors.EVENT_READ | wanted, channel)

    def _from_client(self) -> None:
        received = self._connection.recv(_CHUNK)
        if received:
            self._protocol.receive_data(received)
        else:
            self._protocol.receive_eof()
        for frame in self._protocol.events_received():
            if isinstance(frame, Frame):
                self._keep(frame)
        self._flush()

    def _keep(self, frame: Frame) -> None:
        # Not sent at once: a pod that does not read must not keep us from reading what it writes.
        data = bytes(frame.data)
        if frame.opcode is Opcode.BINARY and data:
            self._incoming, data = data[0], data[1:]
        elif frame.opcode is not Opcode.CONT:
            return
        self._unsent[self._incoming] += data

    def _serve_pod(self, channel: int, events: int) -> bool:
        """Move bytes from and to a pod; false when it has ended."""
        try:
            if events & selectors.EVENT_WRITE:
                del self._unsent[channel][: self._channels[channel].send(self._unsent[channel])]
            if not events & selectors.EVENT_READ:
                return True
            received = self._channels[channel].recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if received:
            self._send(channel, received)
        return bool(received)

    def _send(self, channel: int, data: bytes) -> None:
        self._protocol.send_binary(bytes([channel]) + data)
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._connection.sendall(data)
