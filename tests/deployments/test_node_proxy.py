"""The node's Service proxy at the end of a pod: who was sent there arrives before the pod is told to end."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.rehearsal.node.launching import Sandbox
from deployments.rehearsal.node.network import Network
from deployments.rehearsal.node.proxy import ServiceProxy
from tasks.core.manifests import Manifest

ADDRESS = "127.0.0.1"


class SlowSandbox:
    """A pod's network on the machine; it makes a socket when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.may_go = threading.Event()

    def tcp_socket(self) -> socket.socket:
        self.asked.set()
        self.may_go.wait()
        return socket.socket()


class EndingPod:
    """A pod whose readiness the test decides about."""

    address = ADDRESS

    def __init__(self, port: int) -> None:
        self.network = SlowSandbox()
        self.ready = True
        container = {"name": "main", "ports": [{"containerPort": port}]}
        metadata = {"name": "web", "namespace": "shop", "labels": {"app": "web"}}
        self.pod: Manifest = {"metadata": metadata, "spec": {"containers": [container]}}

    @property
    def sandbox(self) -> Sandbox | None:
        return self.network  # type: ignore[return-value]  # only its socket is asked for


@pytest.fixture
def network() -> Iterator[Network]:
    running = Network()
    running.start()
    yield running
    running.stop()


def test_a_pod_is_told_to_end_only_when_nobody_is_on_the_way_to_it(network: Network) -> None:
    with socket.create_server((ADDRESS, 0)) as server, socket.create_server((ADDRESS, 0)) as free:
        target, port = server.getsockname()[1], free.getsockname()[1]
        free.close()
        pod = EndingPod(target)
        proxy = ServiceProxy(network, [], lambda: [pod], pytest.fail)
        ports = [{"port": port, "targetPort": target}]
        spec = {"clusterIP": ADDRESS, "ports": ports, "selector": {"app": "web"}}
        proxy.service_changed({"metadata": {"uid": "s", "name": "web", "namespace": "shop"}, "spec": spec})
        with socket.create_connection((ADDRESS, port)), ThreadPoolExecutor(1) as threads:
            pod.network.asked.wait()
            pod.ready = False
            arrived = threads.submit(proxy.let_arrive, pod)
            pod.network.may_go.set()

            arrived.result()
            # It is there already: nothing is waited for.
            server.settimeout(0)
            server.accept()[0].close()
