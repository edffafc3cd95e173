"""The node's kube-proxy: Services reach programs, and programs reach Services and the API server.

On the machine it listens on the ClusterIP and port of every Service that has a ready pod. Inside every
sandbox it listens on the API server's address, as the name server, and on the ClusterIPs of all such
Services; ports that the program itself listens on are left out there, because the program takes them on
every address.
"""

import errno
import itertools
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from deployments.rehearsal.node.dns import ADDRESS, answer_query
from deployments.rehearsal.node.launching import Sandbox
from deployments.rehearsal.node.network import Connect, Network, OpenListener, connect_to, socket_from_thread
from deployments.rehearsal.node.services import (
    ServicePort,
    container_port,
    host_names,
    selects,
    service_ports,
)
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest

Address = tuple[str, int]

_DNS_PORT = 53
_FIRST_FREE_PORT = 1024
_ARRIVAL = timedelta(seconds=5)
"""How long a connection may be on its way to a pod that ends."""


class Backend(Protocol):
    """A pod that traffic can go to."""

    address: str

    @property
    def pod(self) -> Manifest:
        """The pod."""

    @property
    def ready(self) -> bool:
        """Whether it may be sent traffic."""

    @property
    def sandbox(self) -> Sandbox | None:
        """Its network; None when nothing runs in it."""


@dataclass(frozen=True)
class _Attached:
    pod: Manifest
    own_ports: frozenset[int]
    fixed: tuple[OpenListener, ...]
    services: dict[ServicePort, OpenListener]


class ServiceProxy:
    """Keeps the listeners in step with Services and pods.

    Args:
        network: Runs the listeners.
        reachable: Addresses of the machine that every sandbox reaches, the API server's first.
        backends: The pods of the node at the moment.
        report: Told about addresses that cannot be listened on.
    """

    def __init__(
        self,
        network: Network,
        reachable: Sequence[Address],
        backends: Callable[[], Iterable[Backend]],
        report: Callable[[str], None],
    ) -> None:
        self._network = network
        self._reachable = tuple(reachable)
        self._backends = backends
        self._report = report
        self._lock = threading.Lock()
        self._services: dict[str, Manifest] = {}
        self._names: Mapping[str, str] = {}
        self._on_host: dict[ServicePort, OpenListener] = {}
        self._attached: dict[Sandbox, _Attached] = {}
        self._turn = itertools.count()
        # A lock of its own: the network's thread must not wait for one that is held while it is waited for.
        self._arrivals = threading.Condition()
        self._arriving: Counter[str] = Counter()

    def service_changed(self, service: Manifest) -> None:
        """A Service is new or different."""
        with self._lock:
            self._services[service["metadata"]["uid"]] = service
            self._sync()

    def service_deleted(self, service: Manifest) -> None:
        """A Service has gone."""
        with self._lock:
            self._services.pop(service["metadata"]["uid"], None)
            self._sync()

    def pods_changed(self) -> None:
        """A pod came, went, or changed its readiness."""
        with self._lock:
            self._sync()

    def let_arrive(self, backend: Backend) -> None:
        """Wait until no connection is on its way to a pod that is not ready any more.

        After that it may be told to end, and answers everybody who was sent to it.
        """
        with self._arrivals:
            self._arrivals.wait_for(lambda: not self._arriving[backend.address], _ARRIVAL.total_seconds())

    def attach(self, sandbox: Sandbox, pod: Manifest, own_ports: frozenset[int]) -> None:
        """Give a sandbox its way out, before its program starts.

        Args:
            sandbox: The sandbox.
            pod: The pod it belongs to.
            own_ports: What the program listens on, besides the targets of the pod's Services.

        Raises:
            OSError: The sandbox has ended.
        """
        with self._lock:
            outside = [
                self._network.listen(_bound(sandbox.tcp_socket(), address), _to_machine(address))
                for address in self._reachable
            ]
            names = self._network.answer(
                _bound(sandbox.udp_socket(), (ADDRESS, _DNS_PORT)),
                lambda query: answer_query(query, self._address_of),
            )
            self._attached[sandbox] = _Attached(pod, own_ports, (*outside, names), {})
            self._sync()

    def detach(self, sandbox: Sandbox) -> None:
        """Close everything that belongs to a sandbox."""
        with self._lock:
            attached = self._attached.pop(sandbox, None)
            if attached is not None:
                for listener in (*attached.fixed, *attached.services.values()):
                    listener.close()
            self._sync()

    def _sync(self) -> None:
        self._names = host_names(self._services.values())
        served = {port: service for service in self._services.values() for port in service_ports(service)}
        active = {port for port, service in served.items() if self._ready_backends(service)}
        self._adjust(self._on_host, active, _host_socket)
        api = {port for port in served if port.is_api_server}
        for sandbox, attached in self._attached.items():
            targets = {
                container_port(attached.pod, port.target)
                for port, service in served.items()
                if selects(service, attached.pod)
            }
            taken = attached.own_ports | targets
            wanted = {port for port in active | api if port.port not in taken}
            self._adjust(attached.services, wanted, sandbox.tcp_socket)

    def _adjust(
        self,
        listeners: dict[ServicePort, OpenListener],
        wanted: set[ServicePort],
        make: Callable[[], socket.socket],
    ) -> None:
        for port in [port for port in listeners if port not in wanted]:
            listeners.pop(port).close()
        for port in sorted(wanted - listeners.keys(), key=str):
            try:
                listener = _bound(make(), (port.address, port.port))
            except ConnectionResetError:
                # The sandbox has ended and will be detached.
                return
            except OSError as error:
                self._report(_cannot_listen(port, error))
                continue
            listeners[port] = self._network.listen(listener, self._connector(port))

    def _connector(self, port: ServicePort) -> Connect:
        if port.is_api_server:
            return _to_machine(self._reachable[0])

        async def connect() -> socket.socket:
            with self._on_its_way(port) as (backend, number):
                return await connect_to_pod(backend, number)

        return connect

    @contextmanager
    def _on_its_way(self, port: ServicePort) -> Iterator[tuple[Backend, int]]:
        with self._arrivals:
            backend, number = self._choose(port)
            self._arriving[backend.address] += 1
        try:
            yield backend, number
        finally:
            with self._arrivals:
                self._arriving[backend.address] -= 1
                self._arrivals.notify_all()

    def _choose(self, port: ServicePort) -> tuple[Backend, int]:
        backends = [
            (backend, number)
            for service in list(self._services.values())
            if port in service_ports(service)
            for backend in self._ready_backends(service)
            if (number := container_port(backend.pod, port.target)) is not None
        ]
        if not backends:
            raise ConnectionRefusedError(port.host_name)
        return backends[next(self._turn) % len(backends)]

    def _address_of(self, host_name: str) -> str | None:
        return self._names.get(host_name)

    def _ready_backends(self, service: Manifest) -> list[Backend]:
        return [each for each in self._backends() if each.ready and selects(service, each.pod)]


async def connect_to_pod(backend: Backend, port: int) -> socket.socket:
    """A connection to a port of a pod.

    Raises:
        OSError: Nothing listens there.
    """
    sandbox = backend.sandbox
    if sandbox is None:
        raise ConnectionRefusedError(backend.address)
    # In a thread, because the answer comes from another process.
    fresh = await socket_from_thread(sandbox.tcp_socket)
    return await connect_to(fresh, (backend.address, port))


def _to_machine(address: Address) -> Connect:
    async def connect() -> socket.socket:
        return await connect_to(_host_socket(), address)

    return connect


def _host_socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)


def _bound(fresh: socket.socket, address: Address) -> socket.socket:
    try:
        if fresh.type is socket.SOCK_STREAM:
            fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        fresh.bind(address)
    except OSError:
        fresh.close()
        raise
    return fresh


def _cannot_listen(port: ServicePort, error: OSError) -> str:
    next_step = ""
    if error.errno == errno.EACCES and port.port < _FIRST_FREE_PORT:
        next_step = f"Run as root, or: sysctl net.ipv4.ip_unprivileged_port_start={port.port}."
    return str(
        PrerequisiteError(
            f"listen on {port.address}:{port.port}",
            f"Service {port.namespace}/{port.service}",
            found=error.strerror or type(error).__name__,
            next_step=next_step,
        )
    )
