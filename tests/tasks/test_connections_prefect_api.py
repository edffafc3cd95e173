"""Our own calls to Prefect's API."""

import logging
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typing_extensions import override

from tasks.connections.prefect_api import prefect_api


class BusyServer(BaseHTTPRequestHandler):
    """Refuses as Prefect's server does while its SQLite database is locked, so many times."""

    refusals: ClassVar[int] = 0
    asked: ClassVar[int] = 0

    def do_GET(self) -> None:
        cls = type(self)
        cls.asked += 1
        busy = cls.asked <= cls.refusals
        self.send_response(503 if busy else 200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}" if busy else b'"hello"')

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy() -> Iterator[type[BusyServer]]:
    class Handler(BusyServer):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{server.server_port}/api"}):
            yield Handler
        server.shutdown()


def test_a_request_that_a_busy_server_refuses_is_sent_again_soon(
    busy: type[BusyServer], caplog: pytest.LogCaptureFixture
) -> None:
    busy.refusals = 3
    caplog.set_level(logging.DEBUG, "prefect.client")

    with prefect_api() as client:
        answer = client.hello()

    assert answer.json() == "hello"
    assert busy.asked == 4
    pauses = [float(found) for found in re.findall(r"will be made in ([0-9.]+)s", caplog.text)]
    # The announced pause and what Prefect adds at most, so that not all come back at once.
    assert [below <= pause <= 1.2 * below for below, pause in zip((0.1, 0.2, 0.4), pauses, strict=True)] == [
        True,
        True,
        True,
    ]
