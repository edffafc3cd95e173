"""The end of the operator's program: who is connected gets an answer, so that a rollout loses no call."""

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from deployments.rehearsal.operator.certificates import ReloadingCertificate
from deployments.rehearsal.operator.server import WebhookServer
from tests.deployments.test_operator_server import HOST, NAME, Authority

REVIEW = json.dumps(
    {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "u", "operation": "DELETE", "object": None},
    }
).encode()
HEAD = (
    "POST /validate-servicemesh-oci-oracle-com-v1beta1-mesh HTTP/1.1\r\n"
    f"Host: {NAME}\r\nContent-Length: {len(REVIEW)}\r\n\r\n"
).encode()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "certificates")
    made.write_leaf()
    return made


@pytest.fixture
def operator(authority: Authority) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    command = [sys.executable, "-m", "deployments.rehearsal.operator", "--listen", f"{HOST}:0"]
    with subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--certificates", str(authority.folder)], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rsplit(":", 1)[1])
        yield process, port
        process.kill()


def _status(connection: socket.socket) -> int:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status


def test_a_request_that_is_under_way_at_the_end_is_answered(
    operator: tuple["subprocess.Popen[str]", int], authority: Authority
) -> None:
    process, port = operator
    raw = socket.create_connection((HOST, port))
    with authority.client_context().wrap_socket(raw, server_hostname=NAME) as connection:
        connection.sendall(HEAD)
        process.send_signal(signal.SIGTERM)
        connection.sendall(REVIEW)

        assert _status(connection) == 200
    assert process.wait() == 0


def test_who_was_connected_but_not_accepted_yet_is_answered(
    operator: tuple["subprocess.Popen[str]", int], authority: Authority
) -> None:
    process, port = operator
    process.send_signal(signal.SIGSTOP)
    raw = socket.create_connection((HOST, port))
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)

    with authority.client_context().wrap_socket(raw, server_hostname=NAME) as connection:
        connection.sendall(HEAD + REVIEW)

        assert _status(connection) == 200


def test_the_end_does_not_interrupt_who_is_being_accepted(authority: Authority) -> None:
    class EndedWhileAccepting(WebhookServer):
        @override
        def process_request(self, request: Any, client_address: Any) -> None:
            signal.raise_signal(signal.SIGUSR1)
            super().process_request(request, client_address)

    server = EndedWhileAccepting((HOST, 0), {}, ReloadingCertificate(authority.folder))
    before = signal.signal(signal.SIGUSR1, lambda *_: server.end())
    with ThreadPoolExecutor(1) as client:
        status = client.submit(_post, server.server_address[1], authority)
        server.serve_until_end()
        server.server_close()

    signal.signal(signal.SIGUSR1, before)
    assert status.result() == HTTPStatus.NOT_FOUND


def _post(port: int, authority: Authority) -> int:
    raw = socket.create_connection((HOST, port))
    with authority.client_context().wrap_socket(raw, server_hostname=NAME) as connection:
        connection.sendall(HEAD + REVIEW)
        return _status(connection)


def test_a_silent_client_does_not_keep_the_program(
    operator: tuple["subprocess.Popen[str]", int],
) -> None:
    process, port = operator

    with socket.create_connection((HOST, port)):
        process.send_signal(signal.SIGTERM)

        assert process.wait() == 0
