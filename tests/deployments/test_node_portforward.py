"""Ports of pods through the API server and the node's kubelet, with clients that are not ours."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
import websocket
from kubernetes import client as sdk
from kubernetes.stream import portforward
from kubernetes.stream.ws_client import PortForward

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.controlplane.credentials import User
from deployments.rehearsal.node import Node
from deployments.rehearsal.node.kubelet import KubeletFiles, KubeletServer
from deployments.rehearsal.node.portforward import forwarded_ports
from deployments.rehearsal.programs import Programs
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.connection import connect
from tasks.core.kubeconfigs import ConnectionSettings
from tasks.core.manifests import ObjectRef
from tests.deployments.test_node_support import (
    OPERATOR,
    OSOK_IMAGE,
    leaf_secret,
    make_namespace,
    pod,
    wait_for,
)

_CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the mount path inside the container
_SMALL = 4096
_PROTOCOL = "v4.channel.k8s.io"


@pytest.fixture(scope="module")
def namespace(control_plane: ControlPlane, programs: Programs) -> Iterator[str]:
    """With the pod `operator`, which answers on 8081 and 9443."""
    with Node(control_plane, programs, OPERATOR):
        client = control_plane.client()
        made = make_namespace(client)
        client.create(leaf_secret(trustme.CA(), made, "tls", "operator"))
        client.create(
            pod(
                made,
                "operator",
                OSOK_IMAGE,
                container_command=["/manager"],
                container_readinessProbe={"httpGet": {"path": "/readyz", "port": 8081}},
                container_volumeMounts=[{"name": "tls", "mountPath": _CERTIFICATES}],
                volumes=[{"name": "tls", "secret": {"secretName": "tls"}}],
            )
        )
        wait_for(lambda: _is_ready(client, made))
        yield made
        client.delete(ObjectRef("v1", "Namespace", made))


def _is_ready(client: ClusterClient, namespace: str) -> bool:
    status = (client.get(ObjectRef("v1", "Pod", "operator", namespace)) or {}).get("status") or {}
    return any(each["ready"] for each in status.get("containerStatuses") or [])


Forward = Callable[[str, str], PortForward]


@pytest.fixture
def forward(control_plane: ControlPlane, namespace: str) -> Iterator[Forward]:
    """Forwards ports of a pod with the official client, as its documentation sets it up."""
    configuration = sdk.Configuration()
    configuration.host = control_plane.server
    configuration.ssl_ca_cert = str(control_plane.ca_file)
    token = control_plane.credentials.tokens[User.ADMIN]
    configuration.api_key["authorization"] = f"Bearer {token}"
    call = sdk.CoreV1Api(sdk.ApiClient(configuration)).connect_get_namespaced_pod_portforward
    opened: list[PortForward] = []

    def begin(pod_name: str, ports: str) -> PortForward:
        opened.append(portforward(call, pod_name, namespace, ports=ports))
        return opened[-1]

    yield begin
    for each in opened:
        # The client leaves its connection to the garbage collector when the other side has closed it.
        each.websocket.shutdown()


@pytest.mark.cluster
def test_the_official_client_reaches_two_ports_of_a_pod_at_once(forward: Forward) -> None:
    forwarded = forward("operator", "8081,9443")

    plain = forwarded.socket(8081)
    plain.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
    # Not to its end: the protocol tells that one of several ports has ended only when all have.
    assert plain.recv(4096).startswith(b"HTTP/1.1 200 OK")
    assert _certificate_behind(forwarded.socket(9443))


def _read_to_end(connection: socket.socket) -> bytes:
    with contextlib.closing(connection):
        return b"".join(iter(lambda: connection.recv(4096), b""))


def _certificate_behind(connection: socket.socket) -> bytes | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="operator")
    with contextlib.closing(connection):
        while not _is_done(tls):
            connection.sendall(outgoing.read())
            incoming.write(connection.recv(4096))
    return tls.getpeercert(binary_form=True)


def _is_done(tls: ssl.SSLObject) -> bool:
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.cluster
def test_the_official_client_is_told_that_nothing_listens(forward: Forward) -> None:
    forwarded = forward("operator", "9999")

    assert _read_to_end(forwarded.socket(9999)) == b""
    assert "error forwarding port 9999" in forwarded.error(9999)
    assert "connection refused" in forwarded.error(9999)


@pytest.mark.cluster
def test_a_pod_without_a_program_has_no_open_port(
    control_plane: ControlPlane, forward: Forward, namespace: str
) -> None:
    client = control_plane.client()
    client.create(pod(namespace, "pause"))
    ref = ObjectRef("v1", "Pod", "pause", namespace)
    wait_for(lambda: (client.get(ref) or {}).get("status", {}).get("phase") == "Running")

    forwarded = forward("pause", "80")

    assert _read_to_end(forwarded.socket(80)) == b""
    assert "connection refused" in forwarded.error(80)


class Echo:
    """A pod whose every port sends back what it receives, and stops when it has received the end."""

    def container_log(self, namespace: str, pod: str, container: str, *, previous: bool) -> bytes | None:
        """No logs."""

    def connect_port(self, *_which: object) -> socket.socket:
        """One end of a pair whose other end echoes."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL)
        threading.Thread(target=self._echo, args=(theirs,), daemon=True).start()
        return ours

    def _echo(self, connection: socket.socket) -> None:
        with connection:
            while received := connection.recv(4096):
                connection.sendall(received)
                if received.endswith(b"the end"):
                    return


Dial = Callable[[str], websocket.WebSocket]


@pytest.fixture
def dial(tmp_path: Path) -> Iterator[Dial]:
    """Connects to a kubelet's server without an API server in between, as a member of system:masters."""
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = KubeletFiles(tmp_path / "server.pem", tmp_path / "server.pem", tmp_path / "ca.pem")
    nobody = connect("unused", ConnectionSettings("https://127.0.0.1:1"), timedelta(seconds=1))
    kubelet = KubeletServer("127.0.0.1", files, nobody, Echo(), list)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    authority.issue_cert("client@example.com", organization_name="system:masters").configure_cert(context)
    opened = []

    def connect_websocket(path: str) -> websocket.WebSocket:
        connection = websocket.WebSocket(sslopt={"context": context})
        opened.append(connection)
        host, port = kubelet.address
        connection.connect(  # type: ignore[no-untyped-call]  # annotated in part only
            f"wss://{host}:{port}{path}", subprotocols=[_PROTOCOL], http_no_proxy=["*"]
        )
        return connection

    kubelet.start()
    yield connect_websocket
    for connection in opened:
        connection.shutdown()  # type: ignore[no-untyped-call]  # annotated in part only
    kubelet.stop()


def test_every_channel_begins_with_its_port(dial: Dial) -> None:
    connection = dial("/portForward/any/pod?port=80&port=9443")

    first = [connection.recv() for _ in range(4)]

    assert first == [b"\x00\x50\x00", b"\x01\x50\x00", b"\x02\xe3\x24", b"\x03\xe3\x24"]


def test_ports_do_not_mix(dial: Dial) -> None:
    connection = dial("/portForward/any/pod?port=80,9443")
    for _ in range(4):
        connection.recv()

    connection.send_binary(b"\x02second")
    connection.send_binary(b"\x00first")

    assert {connection.recv(), connection.recv()} == {b"\x02second", b"\x00first"}


def test_a_pod_that_is_slow_to_read_does_not_stop_the_way_back(dial: Dial) -> None:
    """The echo reads nothing while it writes, and more is on its way than the sockets between can hold."""
    connection = dial("/portForward/any/pod?port=80")
    for _ in range(2):
        connection.recv()
    sent = bytes(range(256)) * 512

    connection.send_binary(b"\x00" + sent)
    received = b""
    while len(received) < len(sent):
        received += _binary(connection)[1:]

    assert received == sent


def _binary(connection: websocket.WebSocket) -> bytes:
    message = connection.recv()
    assert isinstance(message, bytes)
    return message


def test_the_connection_ends_when_every_pod_has_ended(dial: Dial) -> None:
    connection = dial("/portForward/any/pod?port=80")
    for _ in range(2):
        connection.recv()

    connection.send_binary(b"\x00the end")

    assert connection.recv() == b"\x00the end"
    assert connection.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE


@pytest.mark.parametrize("query", ["", "?port=", "?port=0", "?port=65536", "?port=http", "?ports=80"])
def test_a_request_without_ports_is_refused(dial: Dial, query: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        dial(f"/portForward/any/pod{query}")

    assert caught.value.status_code == 400


def test_ports_are_listed_with_commas_or_repeated() -> None:
    assert forwarded_ports("port=1,2&port=65535") == (1, 2, 65535)
