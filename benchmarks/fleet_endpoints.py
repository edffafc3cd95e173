"""Cluster endpoints in front of one API server, in a process of their own.

Each has its own address, certificate and identity: the uid of the API server's kube-system is replaced by the
endpoint's, wherever it appears in an answer. Every request arrives later by the chosen delay. An endpoint can
also hang: it accepts connections and never answers. `python -m benchmarks.fleet_endpoints SETTINGS.json` says
`ready`, then answers every line on standard input with what it counted since the one before, until the input
ends.
"""

import asyncio
import json
import resource
import ssl
import sys
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from typing_extensions import override

from benchmarks.fleet_http import AnswerEnds, replace_in_stream

_METHODS = (b"GET ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ")
_BACKLOG = 64


@dataclass(frozen=True)
class Endpoint:
    """One address.

    Attributes:
        uid: What its kube-system has for a uid; as long as the API server's own.
        certificate: PEM file with certificate and key for the address; empty: it hangs.
    """

    address: str
    port: int
    uid: str
    certificate: str = ""


@dataclass(frozen=True)
class EndpointSettings:
    """What the process is told.

    Attributes:
        uid: The uid of kube-system as the API server has it.
        delay: How much later a request arrives, in seconds.
    """

    host: str
    port: int
    authority: str
    uid: str
    delay: float
    endpoints: tuple[Endpoint, ...]

    def write(self, path: Path) -> None:
        """Write it for the process."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        content = json.loads(path.read_text())
        endpoints = tuple(Endpoint(**each) for each in content.pop("endpoints"))
        return cls(**content, endpoints=endpoints)


@dataclass
class Counts:
    """What went through."""

    connections: int = 0
    requests: int = 0
    sent: int = 0
    by_address: dict[str, int] = field(default_factory=dict)


class Backends:
    """Connections to the API server, used again when an answer is complete."""

    def __init__(self, settings: EndpointSettings) -> None:
        self._settings = settings
        self._context = ssl.create_default_context(cafile=settings.authority)
        self._idle: list[Backend] = []

    async def take(self) -> "Backend":
        """An idle one, or a new one."""
        while self._idle:
            backend = self._idle.pop()
            if not backend.closed:
                return backend
        loop = asyncio.get_running_loop()
        _, backend = await loop.create_connection(
            Backend, self._settings.host, self._settings.port, ssl=self._context
        )
        return backend

    def give_back(self, backend: "Backend") -> None:
        """Keep one for another client."""
        backend.client = None
        self._idle.append(backend)


class Backend(asyncio.Protocol):
    """One connection to the API server."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.closed = False
        self.transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self.transport = transport

    @override
    def data_received(self, data: bytes) -> None:
        if self.client is None:
            self.transport.close()
        else:
            self.client.answered(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self.client is not None:
            self.client.transport.close()


class Client(asyncio.Protocol):
    """One connection of somebody who takes the endpoint for a cluster."""

    def __init__(
        self, endpoint: Endpoint, settings: EndpointSettings, backends: Backends, counts: Counts
    ) -> None:
        self._endpoint = endpoint
        self._settings = settings
        self._backends = backends
        self._counts = counts
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._ends = AnswerEnds()
        self._asked = 0
        self._backend: Backend | None = None
        self._closed = False
        self.transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(type(transport).__name__)
        self.transport = transport
        self._counts.connections += 1
        task = asyncio.get_running_loop().create_task(self._connect())
        # The loop keeps weak references only.
        self._task = task

    @override
    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        if data.startswith(_METHODS):
            self._asked += 1
            self._counts.requests += 1
            by_address = self._counts.by_address
            by_address[self._endpoint.address] = by_address.get(self._endpoint.address, 0) + 1
        due = loop.time() + self._settings.delay
        self._waiting.append((due, data))
        loop.call_at(due, self._pass_on)

    def answered(self, data: bytes) -> None:
        """Pass an answer on."""
        self._ends.feed(data)
        if not self._ends.upgraded:
            data = replace_in_stream(data, self._settings.uid.encode(), self._endpoint.uid.encode())
        self._counts.sent += len(data)
        self.transport.write(data)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        backend = self._backend
        if backend is None:
            return
        if self._ends.reusable and self._ends.count == self._asked and not self._waiting:
            self._backends.give_back(backend)
        else:
            backend.client = None
            backend.transport.close()

    async def _connect(self) -> None:
        backend = await self._backends.take()
        if self._closed:
            self._backends.give_back(backend)
            return
        backend.client = self
        self._backend = backend
        self._pass_on()

    def _pass_on(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._backend is not None and self._waiting and self._waiting[0][0] <= now:
            self._backend.transport.write(self._waiting.popleft()[1])


class Silent(asyncio.Protocol):
    """Takes everything and says nothing."""


async def serve(settings: EndpointSettings) -> None:
    """Listen until standard input ends."""
    loop = asyncio.get_running_loop()
    counts, backends = Counts(), Backends(settings)
    for endpoint in settings.endpoints:
        if not endpoint.certificate:
            await loop.create_server(Silent, endpoint.address, endpoint.port, backlog=_BACKLOG)
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(endpoint.certificate)
        await loop.create_server(
            lambda endpoint=endpoint: Client(endpoint, settings, backends, counts),  # type: ignore[misc]  # mypy knows no default of a lambda's parameter
            endpoint.address,
            endpoint.port,
            ssl=context,
            backlog=_BACKLOG,
        )
    _say("ready")
    while await loop.run_in_executor(None, sys.stdin.readline):
        _say(json.dumps(asdict(counts)))
        counts.connections = counts.requests = counts.sent = 0
        counts.by_address.clear()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve what the settings' file says."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(EndpointSettings.read(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
