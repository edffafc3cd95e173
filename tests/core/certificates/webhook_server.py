"""A webhook over TLS that allows everything and closes every connection: each call shakes hands anew."""

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from typing_extensions import override

PORT = 9443


class _AllowAll(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Server)
        self.server.calls += 1
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {**review, "response": {"uid": review["request"]["uid"], "allowed": True}}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet."""


class _Server(ThreadingHTTPServer):
    calls = 0

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """The client turned our certificate down: its own answer is what the test looks at."""


class WebhookServer:
    """Serves on a Service's address while the context is open.

    Args:
        address: The ClusterIP, which is a loopback address here.
        certificate: tls.crt, PEM.
        key: tls.key, PEM.
        folder: Where the TLS library may read both from.
    """

    def __init__(self, address: str, certificate: bytes, key: bytes, folder: Path) -> None:
        (folder / "tls.crt").write_bytes(certificate)
        (folder / "tls.key").write_bytes(key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        self._server = _Server((address, PORT), _AllowAll)
        # The handshake belongs to the thread of the connection, not to the one that accepts.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def calls(self) -> int:
        """How many reviews arrived."""
        return self._server.calls

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving and free the address."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
