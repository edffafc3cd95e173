"""Port-forwarding as a kubelet does it over WebSocket: the subprotocol `v4.channel.k8s.io`, one port.

Binary messages start with a channel byte. Channel 0 carries the port's data, channel 1 errors; each begins
with the port number in two bytes, lowest first (k8s.io/kubelet pkg/cri/streaming/portforward/websocket.go).
The frames are those of RFC 6455.
"""

import base64
import hashlib
import select
import ssl
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from socket import socket

PROTOCOL = "v4.channel.k8s.io"

_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNK = 65536
_DATA, _ERRORS = b"\0", b"\1"
_LENGTH_16, _LENGTH_64 = 126, 127
_MAX_MESSAGE = 16 * 1024 * 1024
_IDLE_SECONDS = 4 * 60 * 60  # a kubelet's default streaming-connection-idle-timeout


class Opcode(IntEnum):
    """The frames that occur (RFC 6455, section 5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True)
class Frame:
    """One frame, unmasked."""

    opcode: Opcode
    payload: bytes


class NotAWebSocketError(ValueError):
    """The request cannot be upgraded; the text says why."""


def upgrade_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the 101 answer to an upgrade request.

    Raises:
        NotAWebSocketError: It asks for another protocol, such as SPDY.
    """
    key = headers.get("Sec-WebSocket-Key", "")
    if headers.get("Upgrade", "").lower() != "websocket" or not key:
        raise NotAWebSocketError("only WebSocket upgrades are served")
    offered = [each.strip() for each in headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if PROTOCOL not in offered:
        raise NotAWebSocketError(f"only the subprotocol {PROTOCOL} is served")
    digest = hashlib.sha1(key.encode() + _ACCEPT_SUFFIX, usedforsecurity=False).digest()
    return {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": base64.b64encode(digest).decode(),
        "Sec-WebSocket-Protocol": PROTOCOL,
    }


def encode_frame(opcode: Opcode, payload: bytes) -> bytes:
    """A frame as a server sends it: final and unmasked."""
    length = len(payload)
    if length < _LENGTH_16:
        head = struct.pack("!BB", 0x80 | opcode, length)
    elif length < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, _LENGTH_16, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, _LENGTH_64, length)
    return head + payload


class FrameReader:
    """Takes bytes in and gives frames out."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            ValueError: A frame is too long or has an unknown opcode.
        """
        self._buffer += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Frame | None:
        parsed = self._header()
        if parsed is None:
            return None
        start, length, masked = parsed
        if length > _MAX_MESSAGE:
            raise ValueError("the frame is too long")
        mask_size = 4 if masked else 0
        end = start + mask_size + length
        if len(self._buffer) < end:
            return None
        opcode = Opcode(self._buffer[0] & 0x0F)
        mask = bytes(self._buffer[start : start + mask_size])
        payload = bytes(self._buffer[start + mask_size : end])
        del self._buffer[:end]
        return Frame(opcode, _unmask(payload, mask))

    def _header(self) -> tuple[int, int, bool] | None:
        if len(self._buffer) < 2:  # noqa: PLR2004 - RFC 6455, section 5.2
            return None
        masked, length = bool(self._buffer[1] & 0x80), self._buffer[1] & 0x7F
        extended = {_LENGTH_16: "!H", _LENGTH_64: "!Q"}.get(length)
        if extended is None:
            return 2, length, masked
        start = 2 + struct.calcsize(extended)
        if len(self._buffer) < start:
            return None
        (length,) = struct.unpack_from(extended, self._buffer, 2)
        return start, length, masked


def _unmask(payload: bytes, mask: bytes) -> bytes:
    if not mask:
        return payload
    repeated = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return mixed.to_bytes(len(payload), "big")


def forward(client: ssl.SSLSocket, port: int, connect: Callable[[], socket]) -> None:
    """Forward one port over an upgraded connection until either side ends.

    Args:
        client: The connection, after the 101 answer.
        port: The port, which both channels begin with.
        connect: Connects to the port of the pod; OSError when it cannot.
    """
    client.settimeout(_IDLE_SECONDS)
    for channel in (_DATA, _ERRORS):
        _send(client, channel + struct.pack("<H", port))
    try:
        backend = connect()
    except OSError as error:
        _send(client, _ERRORS + f"an error occurred forwarding {port}: {error.strerror}".encode())
        client.sendall(encode_frame(Opcode.CLOSE, b""))
        return
    with backend:
        _relay(client, backend)


def _relay(client: ssl.SSLSocket, backend: socket) -> None:
    reader = FrameReader()
    while True:
        # What the TLS layer has decrypted already shows in no file descriptor.
        waiting = [client] if client.pending() else select.select([client, backend], [], [])[0]
        if backend in waiting:
            data = backend.recv(_CHUNK)
            if not data:
                client.sendall(encode_frame(Opcode.CLOSE, b""))
                return
            _send(client, _DATA + data)
        if client in waiting:
            data = client.recv(_CHUNK)
            if not data or not all(_pass_on(frame, client, backend) for frame in reader.feed(data)):
                return


def _pass_on(frame: Frame, client: ssl.SSLSocket, backend: socket) -> bool:
    """Take one frame from the client; false when it was the last one."""
    if frame.opcode is Opcode.CLOSE:
        client.sendall(encode_frame(Opcode.CLOSE, frame.payload))
        return False
    if frame.opcode is Opcode.PING:
        client.sendall(encode_frame(Opcode.PONG, frame.payload))
    elif frame.payload[:1] == _DATA:
        backend.sendall(frame.payload[1:])
    return True


def _send(client: ssl.SSLSocket, message: bytes) -> None:
    client.sendall(encode_frame(Opcode.BINARY, message))
