"""The operator's servers over real TLS: certificates, handshakes, garbage, health."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from deployments.rehearsal.operator.admission import ALLOWED, Verdict
from deployments.rehearsal.operator.certificates import CertificateError, ReloadingCertificate
from deployments.rehearsal.operator.server import HealthServer, WebhookServer

HOST = "127.0.0.1"
NAME = "webhook.test"


class Authority:
    """A CA whose leaves are written like a mounted Secret: all at once, by replacing files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.folder.mkdir(exist_ok=True)

    def write_leaf(self) -> None:
        leaf = self.ca.issue_cert(NAME)
        content = {
            "tls.crt": b"".join(each.bytes() for each in leaf.cert_chain_pems),
            "tls.key": leaf.private_key_pem.bytes(),
        }
        for name, data in content.items():
            (self.folder / f"{name}.new").write_bytes(data)
            (self.folder / f"{name}.new").rename(self.folder / name)

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path / "certificates")
    made.write_leaf()
    return made


@pytest.fixture
def server(authority: Authority) -> Iterator[WebhookServer]:
    handlers = {
        "/allow": lambda _request: ALLOWED,
        "/deny": lambda _request: Verdict(denial="never"),
    }
    with WebhookServer((HOST, 0), handlers, ReloadingCertificate(authority.folder)) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _port(server: WebhookServer | HealthServer) -> int:
    return int(server.server_address[1])


def _connect(server: WebhookServer, authority: Authority) -> ssl.SSLSocket:
    raw = socket.create_connection((HOST, _port(server)))
    return authority.client_context().wrap_socket(raw, server_hostname=NAME)


def _serial(connection: ssl.SSLSocket) -> object:
    certificate = connection.getpeercert()
    assert certificate is not None
    return certificate["serialNumber"]


def _post(connection: socket.socket, path: str, body: bytes) -> http.client.HTTPResponse:
    head = f"POST {path} HTTP/1.1\r\nHost: {NAME}\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response


def _review() -> bytes:
    request: dict[str, Any] = {"uid": "u", "operation": "CREATE", "object": {}}
    return json.dumps(
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    ).encode()


def test_answers_a_review_and_closes_the_connection(server: WebhookServer, authority: Authority) -> None:
    with _connect(server, authority) as connection:
        response = _post(connection, "/allow?timeout=10s", _review())
        allowed = json.load(response)["response"]["allowed"]

        assert response.status == 200
        assert response.headers["Connection"] == "close"
        assert allowed is True
        assert connection.recv(1) == b""


def test_a_denial_is_an_answer_and_not_an_error(server: WebhookServer, authority: Authority) -> None:
    with _connect(server, authority) as connection:
        response = _post(connection, "/deny", _review())
        answer = json.load(response)

    assert response.status == 200
    assert answer["response"]["status"]["message"] == "never"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/nowhere", b"{}", 404), ("/allow", b"{}", 400), ("/allow", b"\xff\x00", 400)],
)
def test_refuses_what_it_cannot_answer(
    path: str, body: bytes, status: int, server: WebhookServer, authority: Authority
) -> None:
    with _connect(server, authority) as connection:
        response = _post(connection, path, body)
        response.read()

    assert response.status == status


@pytest.mark.parametrize("length", ["", "Content-Length: -1\r\n", "Content-Length: 99999999999\r\n"])
def test_refuses_a_body_without_a_sane_length(
    length: str, server: WebhookServer, authority: Authority
) -> None:
    with _connect(server, authority) as connection:
        connection.sendall(f"POST /allow HTTP/1.1\r\nHost: {NAME}\r\n{length}\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()

    assert response.status == 400


def test_a_client_that_never_finishes_its_handshake_blocks_nobody(
    server: WebhookServer, authority: Authority
) -> None:
    silent = [socket.create_connection((HOST, _port(server))) for _ in range(20)]

    with _connect(server, authority) as connection:
        response = _post(connection, "/allow", _review())
        response.read()

    for each in silent:
        each.close()
    assert response.status == 200


def test_garbage_instead_of_a_handshake_does_no_harm(server: WebhookServer, authority: Authority) -> None:
    with socket.create_connection((HOST, _port(server))) as garbage:
        garbage.sendall(b"GET / HTTP/1.0\r\n\r\n" * 50)

    with _connect(server, authority) as connection:
        response = _post(connection, "/allow", _review())
        response.read()

    assert response.status == 200


def test_new_connections_get_the_new_certificate_and_old_ones_go_on(
    server: WebhookServer, authority: Authority
) -> None:
    """R21: what is served after the Secret has changed."""
    with _connect(server, authority) as before:
        authority.write_leaf()
        with _connect(server, authority) as after:
            assert _serial(after) != _serial(before)

        response = _post(before, "/allow", _review())
        response.read()
        assert response.status == 200


def test_a_key_of_another_certificate_keeps_the_old_pair(server: WebhookServer, authority: Authority) -> None:
    with _connect(server, authority) as before:
        serial = _serial(before)
    key = authority.ca.issue_cert(NAME).private_key_pem.bytes()

    (authority.folder / "tls.key").write_bytes(key)

    with _connect(server, authority) as after:
        assert _serial(after) == serial


def test_a_certificate_that_vanishes_for_a_moment_keeps_the_old_pair(
    server: WebhookServer, authority: Authority
) -> None:
    (authority.folder / "tls.crt").unlink()
    with _connect(server, authority) as during:
        serial = _serial(during)

    authority.write_leaf()

    with _connect(server, authority) as after:
        assert _serial(after) != serial


def test_starts_only_with_a_usable_pair(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"no usable tls\.crt and tls\.key"):
        ReloadingCertificate(tmp_path)


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/", 404)])
def test_health_answers(path: str, status: int) -> None:
    with HealthServer((HOST, 0)) as health:
        thread = threading.Thread(target=health.serve_forever, args=(0.01,))
        thread.start()
        client = http.client.HTTPConnection(HOST, _port(health))
        client.request("GET", path)
        response = client.getresponse()
        response.read()
        client.close()
        health.shutdown()
        thread.join()

    assert response.status == status


def _program(folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "deployments.rehearsal.operator", "--listen", "127.0.0.1:0"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    return subprocess.Popen(  # noqa: S603 - our own module in our own interpreter
        [*command, "--health", "127.0.0.1:0", "--certificates", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
    )


def test_the_program_ends_with_1_when_there_is_no_certificate(tmp_path: Path) -> None:
    with _program(tmp_path) as program:
        _, errors = program.communicate()

    assert program.returncode == 1
    assert "no usable tls.crt and tls.key" in errors


def test_the_program_serves_until_it_is_told_to_end(authority: Authority) -> None:
    with _program(authority.folder) as program:
        assert program.stderr is not None
        line = program.stderr.readline()
        program.send_signal(signal.SIGTERM)
        program.communicate()

    assert line.startswith("serving webhooks on 127.0.0.1:")
    assert program.returncode == 0
