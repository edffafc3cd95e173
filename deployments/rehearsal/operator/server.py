"""The HTTPS server of the webhooks and the HTTP server of the health endpoints."""

import ssl
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from deployments.rehearsal.operator.admission import MalformedReviewError, answer_review
from deployments.rehearsal.operator.certificates import ReloadingCertificate
from deployments.rehearsal.operator.handlers import Handler

Address = tuple[str, int]

MAX_BODY_BYTES = 7 * 1024 * 1024
"""An API server accepts objects of 3 MiB; a review holds two of them."""

_QUIET_SECONDS = 10.0
"""How long a client may stay silent, in a handshake or in a request."""

_LAST_ANSWERS_SECONDS = 5.0
"""How long the end of the server waits for answers that are under way; a node's patience may end before."""

_END_NOTICED_SECONDS = 0.05
"""How soon the server notices that it is to end."""

_HEALTH_PATHS = ("/healthz", "/readyz")


class WebhookServer(ThreadingHTTPServer):
    """Answers AdmissionReviews over TLS, one connection per call.

    Handshakes run in the connection's own thread: a client that never finishes one blocks nobody else. Who is
    connected when the server is closed gets an answer, as with Go's http.Server.Shutdown.

    Args:
        address: Where to listen.
        handlers: The handler of each path.
        certificate: The serving certificate.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: Address, handlers: Mapping[str, Handler], certificate: ReloadingCertificate
    ) -> None:
        self.handlers = handlers
        self._certificate = certificate
        self._idle = threading.Condition()
        self._under_way = 0
        self._drained = False
        super().__init__(address, _WebhookRequest)

    def serve_until_end(self) -> None:
        """Serve until `end` is called."""
        self.serve_forever(_END_NOTICED_SECONDS)

    def end(self) -> None:
        """Have `serve_until_end` return soon, without an interruption of what it does; returns at once."""
        threading.Thread(target=self.shutdown, name="end", daemon=True).start()

    @override
    def server_close(self) -> None:
        """Accept and answer who waits, then close; a client that stays silent is not waited for."""
        self.timeout = 0
        while not self._drained:
            self.handle_request()
        super().server_close()
        with self._idle:
            self._idle.wait_for(lambda: self._under_way == 0, _LAST_ANSWERS_SECONDS)

    @override
    def handle_timeout(self) -> None:
        """Nobody is left who waits to be accepted."""
        self._drained = True

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        with self._idle:
            self._under_way += 1
        super().process_request(request, client_address)

    @override
    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        with self._idle:
            self._under_way -= 1
            self._idle.notify_all()

    @override
    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_QUIET_SECONDS)
        with self._handshake(request) as connection:
            super().finish_request(connection, client_address)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        sys.stderr.write(f"connection from {client_address[0]} failed: {type(error).__name__}: {error}\n")

    def _handshake(self, connection: socket) -> ssl.SSLSocket:
        return self._certificate.context().wrap_socket(connection, server_side=True)


class HealthServer(ThreadingHTTPServer):
    """Answers `/healthz` and `/readyz` with 200, like a manager whose checks are pings."""

    daemon_threads = True

    def __init__(self, address: Address) -> None:
        super().__init__(address, _HealthRequest)


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "rehearsal-operator"
    sys_version = ""
    timeout = _QUIET_SECONDS

    def answer(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        # An API server that keeps a connection never notices that the certificate behind it has changed.
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        sys.stderr.write(f"{format % args}\n")


class _WebhookRequest(_Request):
    server: WebhookServer

    def do_POST(self) -> None:
        handler = self.server.handlers.get(urlsplit(self.path).path)
        if handler is None:
            self.answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")
            return
        try:
            answer = answer_review(self._body(), handler)
        except MalformedReviewError as error:
            self.answer(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            return
        self.answer(HTTPStatus.OK, answer, "application/json")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            raise MalformedReviewError(f"the request needs a Content-Length of at most {MAX_BODY_BYTES}")
        return self.rfile.read(int(length))


class _HealthRequest(_Request):
    def do_GET(self) -> None:
        if urlsplit(self.path).path in _HEALTH_PATHS:
            self.answer(HTTPStatus.OK, b"ok")
        else:
            self.answer(HTTPStatus.NOT_FOUND, b"404 page not found\n")

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: probes come every few seconds."""
