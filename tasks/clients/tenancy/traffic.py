"""Good manners towards a tenancy: few requests at once, a rate per service, none to a service that is down.

The SDK's own circuit breaker is one object for the whole process, so that throttling in one tenancy stops
the requests to another. These are per tenancy, region and service.
"""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyUnavailableError

AT_ONCE = 4
"""Requests at once per tenancy."""
_FAILURES_TO_OPEN = 5
_OPEN_SECONDS = 30.0


@dataclass(frozen=True)
class Timing:
    """The clock and the way to wait, so that tests need neither."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass
class Breaker:
    """Opens after five failures in a row and lets one request through every 30 seconds after that.

    Args:
        timing: Clock and sleep.
    """

    timing: Timing
    _failures: int = 0
    _open_until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def admits(self) -> bool:
        """Whether a request may be sent now; the one that tests an open breaker keeps others waiting."""
        with self._lock:
            if self._failures < _FAILURES_TO_OPEN:
                return True
            if self.timing.clock() < self._open_until:
                return False
            self._open_until = self.timing.clock() + _OPEN_SECONDS
            return True

    def succeeded(self) -> None:
        """The service answered; an error that is not its own counts as an answer."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """The service gave no usable answer."""
        with self._lock:
            self._failures += 1
            self._open_until = self.timing.clock() + _OPEN_SECONDS


@dataclass
class Rate:
    """At most `count` requests in any second.

    Args:
        count: The limit.
        timing: Clock and sleep.
    """

    count: int
    timing: Timing
    _sent: deque[float] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Wait until one more request keeps the limit, and count it."""
        with self._lock:
            if len(self._sent) >= self.count:
                pause = self._sent.popleft() + 1.0 - self.timing.clock()
                if pause > 0:
                    self.timing.sleep(pause)
            self._sent.append(self.timing.clock())


class TenancyTraffic:
    """What all clients of a tenancy in this process share.

    Args:
        timing: Clock and sleep.
    """

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self._breakers: dict[tuple[str, str], Breaker] = {}
        self._rates: dict[tuple[str, str], Rate] = {}
        self._lock = threading.Lock()

    def breaker(self, region: str, service: str) -> Breaker:
        """The breaker of a service in a region."""
        with self._lock:
            return self._breakers.setdefault((region, service), Breaker(self.timing))

    def rate(self, region: str, service: str, count: int) -> Rate:
        """The rate of a service in a region."""
        with self._lock:
            return self._rates.setdefault((region, service), Rate(count, self.timing))

    @contextmanager
    def slot(self, deadline: Deadline) -> Iterator[None]:
        """Hold one of the places for a request.

        Raises:
            TenancyUnavailableError: None became free before the deadline.
        """
        if not self._slots.acquire(timeout=deadline.left().total_seconds()):
            raise TenancyUnavailableError("send a request to OCI", found="no free place before the deadline")
        try:
            yield
        finally:
            self._slots.release()


_shared: weakref.WeakValueDictionary[str, TenancyTraffic] = weakref.WeakValueDictionary()
_shared_lock = threading.Lock()


def traffic_of(tenancy_id: str) -> TenancyTraffic:
    """The traffic of a tenancy in this process, made when somebody first asks and kept while in use."""
    with _shared_lock:
        found = _shared.get(tenancy_id)
        if found is None:
            found = TenancyTraffic()
            _shared[tenancy_id] = found
        return found
