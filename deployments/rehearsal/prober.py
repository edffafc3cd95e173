"""Calls a webhook through the API server all the time and keeps what came back, for rotations (R20, R21).

Every call is a server-side dry run, so nothing is stored; the operator stand-in closes each connection, so
every call is a handshake of its own. With connections that stay open every procedure looks perfect.
"""

import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Self

from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest

_KINDS = {
    "unknown authority": re.compile("certificate signed by unknown authority"),
    "wrong name": re.compile("certificate is valid for"),
    "expired": re.compile("certificate has expired"),
    "service not found": re.compile(r"service \S+ not found"),
    "connection refused": re.compile("connection refused"),
    "connection reset": re.compile("connection reset|EOF"),
    "timeout": re.compile("deadline exceeded|timed? ?out", re.IGNORECASE),
}
_OTHER = "other"


@dataclass(frozen=True)
class FailedCall:
    """A call that was not admitted.

    Attributes:
        at: Seconds since the prober started.
        message: What the API server said.
    """

    at: float
    message: str

    @property
    def kind(self) -> str:
        """What went wrong, in two words."""
        return next((kind for kind, pattern in _KINDS.items() if pattern.search(self.message)), _OTHER)


@dataclass(frozen=True)
class ProbeResult:
    """What a prober saw.

    Attributes:
        calls: How many calls were answered.
        failed: Those that were not admitted, oldest first.
        lasted: From its start to its stop.
        slowest: The longest call.
    """

    calls: int
    failed: tuple[FailedCall, ...]
    lasted: timedelta
    slowest: timedelta

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / max(self.lasted.total_seconds(), 1e-9)

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many calls failed, by what went wrong."""
        return dict(sorted(Counter(call.kind for call in self.failed).items()))

    @property
    def window(self) -> timedelta:
        """From the first failed call to the last one."""
        if not self.failed:
            return timedelta(0)
        return timedelta(seconds=self.failed[-1].at - self.failed[0].at)


class Prober:
    """A context manager that probes while it is entered.

    Args:
        clients: Clients of the API servers to ask; each gets a thread of its own.
        manifests: Objects that the webhooks admit; each thread asks about one after the other.
        every: Between the starts of two calls, all threads together.
    """

    def __init__(
        self,
        clients: Sequence[ClusterClient],
        manifests: Sequence[Manifest],
        every: timedelta = timedelta(milliseconds=30),
    ) -> None:
        self._manifests = manifests
        self._pause = every.total_seconds() * len(clients)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._calls = 0
        self._slowest = 0.0
        self._failed: list[FailedCall] = []
        self._started = time.monotonic()
        self._ended: float | None = None
        self._threads = [
            threading.Thread(target=self._probe, args=(client, number), name=f"prober {number}", daemon=True)
            for number, client in enumerate(clients)
        ]

    @property
    def result(self) -> ProbeResult:
        """What was seen so far."""
        with self._lock:
            lasted = (self._ended or time.monotonic()) - self._started
            failed = tuple(sorted(self._failed, key=lambda call: call.at))
            return ProbeResult(
                self._calls, failed, timedelta(seconds=lasted), timedelta(seconds=self._slowest)
            )

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._ended = time.monotonic()

    def _probe(self, client: ClusterClient, number: int) -> None:
        # Each thread begins with another object, so that no validator waits for its turn.
        objects = itertools.islice(itertools.cycle(self._manifests), number, None)
        while not self._stop.is_set():
            started = time.monotonic()
            message = self._call(client, next(objects))
            took = time.monotonic() - started
            with self._lock:
                self._calls += 1
                self._slowest = max(self._slowest, took)
                if message:
                    self._failed.append(FailedCall(started - self._started, message))
            self._stop.wait(max(0.0, self._pause - took))

    def _call(self, client: ClusterClient, manifest: Manifest) -> str:
        try:
            client.create(manifest, ApplyMode.SERVER_DRY_RUN)
        except ClusterError as error:
            return str(error)
        return ""
