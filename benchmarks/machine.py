"""How much the machine lets a measurement breathe: load, niceness, and how late a sleeper wakes up."""

import os
import resource
import threading
import time
from datetime import timedelta
from types import TracebackType
from typing import Self

_NAP = 0.1


class Sleeper:
    """A context manager that sleeps in short naps and remembers the one that ended latest.

    On a machine with enough processors a nap ends within milliseconds; where it ends seconds late, calls time
    out for that reason alone.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._latest = 0.0
        self._thread = threading.Thread(target=self._sleep, name="sleeper", daemon=True)

    def take(self) -> timedelta:
        """The longest lateness since this was asked before."""
        with self._lock:
            latest, self._latest = self._latest, 0.0
        return timedelta(seconds=latest)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _sleep(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            self._stop.wait(_NAP)
            late = time.monotonic() - began - _NAP
            with self._lock:
                self._latest = max(self._latest, late)


def cpu_seconds(who: int) -> float:
    """User and system time so far, of `resource.RUSAGE_SELF` or of the ended `resource.RUSAGE_CHILDREN`."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def describe_machine() -> str:
    """Processors, load and niceness in one line."""
    text = f"{os.cpu_count()} cores shared with the control plane and with other work"
    return f"{text} (load {os.getloadavg()[2]:.0f} in the last 15 minutes, niceness {os.nice(0)})"
