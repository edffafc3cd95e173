"""The node's forwarding: bytes, half-closed connections, nobody there."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from deployments.rehearsal.node.network import Connect, Network, connect_to

HOST = "127.0.0.1"


@pytest.fixture
def network() -> Iterator[Network]:
    running = Network()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def echo() -> Iterator[tuple[str, int]]:
    """A server that answers with everything it got, once the client has finished sending."""
    with socket.create_server((HOST, 0)) as server:
        thread = threading.Thread(target=_echo, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()


def _echo(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(connection.makefile("rb").read())


def _bound() -> socket.socket:
    listener = socket.socket()
    listener.bind((HOST, 0))
    return listener


def _to(address: tuple[str, int]) -> Connect:
    return lambda: connect_to(socket.socket(), address)


async def _nobody() -> socket.socket:
    raise ConnectionRefusedError


def test_copies_both_ways_and_passes_the_end_on(network: Network, echo: tuple[str, int]) -> None:
    listener = _bound()
    address = listener.getsockname()
    network.listen(listener, _to(echo))
    payload = bytes(range(256)) * 4096

    with socket.create_connection(address) as client:
        client.sendall(payload)
        client.shutdown(socket.SHUT_WR)
        answer = client.makefile("rb").read()

    assert answer == payload


def test_a_client_is_reset_when_nobody_is_behind(network: Network) -> None:
    listener = _bound()
    address = listener.getsockname()
    network.listen(listener, _nobody)

    with socket.create_connection(address) as client, pytest.raises(ConnectionResetError):
        client.recv(1)


def test_a_closed_listener_gives_its_address_back(network: Network, echo: tuple[str, int]) -> None:
    listener = _bound()
    address = listener.getsockname()

    network.listen(listener, _to(echo)).close()

    with socket.create_server(address) as again:
        assert again.getsockname() == address


def test_established_connections_go_on_after_their_listener_is_closed(
    network: Network, echo: tuple[str, int]
) -> None:
    listener = _bound()
    with closing(socket.socket()) as client:
        opened = network.listen(listener, _to(echo))
        client.connect(listener.getsockname())
        client.sendall(b"before")
        _wait_for_relay(network)
        opened.close()
        client.sendall(b" after")
        client.shutdown(socket.SHUT_WR)

        assert client.makefile("rb").read() == b"before after"


def test_stopping_ends_every_connection(echo: tuple[str, int]) -> None:
    network = Network()
    network.start()
    listener = _bound()
    network.listen(listener, _to(echo))
    with socket.create_connection(listener.getsockname()) as client:
        client.sendall(b"x")
        _wait_for_relay(network)

        network.stop()

        assert _has_ended(client)


def test_answers_datagrams(network: Network) -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((HOST, 0))
    address = server.getsockname()
    network.answer(server, lambda query: query.upper() if query else b"")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.sendto(b"", address)
        client.sendto(b"query", address)

        assert client.recv(100) == b"QUERY"


def _has_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _wait_for_relay(network: Network) -> None:
    _wait_until(lambda: network.connections > 0)


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(0.01)
