"""Our own calls to Prefect's API."""

import logging
import re
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from typing_extensions import override

from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import PrefectUnavailableError


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
    # Three refusals, the first word that was taken, and the question.
    assert busy.asked == 5
    pauses = [float(found) for found in re.findall(r"will be made in ([0-9.]+)s", caplog.text)]
    # The announced pause and what Prefect adds at most, so that not all come back at once.
    assert [below <= pause <= 1.2 * below for below, pause in zip((0.1, 0.2, 0.4), pauses, strict=True)] == [
        True,
        True,
        True,
    ]


def test_a_server_that_is_being_restarted_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        address = place.getsockname()
    restarted: list[ThreadingHTTPServer] = []

    def restart() -> None:
        restarted.append(ThreadingHTTPServer(address, BusyServer))
        restarted[0].serve_forever()

    # Later than the second and a half after which a new client of Prefect gives up.
    threading.Timer(4, restart).start()
    with (
        temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{address[1]}/api"}),
        prefect_api() as client,
    ):
        answer = client.hello()
    restarted[0].shutdown()
    restarted[0].server_close()

    assert answer.json() == "hello"


def test_a_server_that_stays_away_is_named_without_the_password_of_its_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as place:
        port = place.getsockname()[1]

    with (
        temporary_settings({PREFECT_API_URL: f"http://somebody:s3cret@127.0.0.1:{port}/api"}),
        pytest.raises(PrefectUnavailableError) as refusal,
        prefect_api(patience=timedelta(seconds=1)),
    ):
        pass

    assert str(refusal.value) == (
        f"Could not call Prefect's API (http://127.0.0.1:{port}): expected a connection within 1.0 s; found "
        "[Errno 111] Connection refused. Start the Prefect server, or correct the setting PREFECT_API_URL."
    )
