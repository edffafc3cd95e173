"""Faults on demand: what a service or the way to it does wrong, by plan or at random with a seed."""

import random
import threading
from dataclasses import dataclass, field
from enum import StrEnum


class FaultKind(StrEnum):
    """What happens instead of an answer."""

    THROTTLED = "THROTTLED"
    """429 TooManyRequests with Retry-After."""
    BROKEN = "BROKEN"
    """500 InternalServerError."""
    NOT_FOUND = "NOT_FOUND"
    """404 NotAuthorizedOrNotFound."""
    RESET = "RESET"
    """The connection is closed without an answer."""
    LOST = "LOST"
    """The request is carried out, but its answer never arrives."""
    SLOW = "SLOW"
    """The answer comes after a while."""


@dataclass
class Fault:
    """A planned fault.

    Attributes:
        kind: What happens.
        path: The beginning of the paths that it happens on.
        times: How often; endless when it is None.
        share: How many of the requests it takes, 1.0 for all.
        seconds: Retry-After of THROTTLED, the wait of SLOW.
        method: Only this method; empty for all.
    """

    kind: FaultKind
    path: str = "/"
    times: int | None = None
    share: float = 1.0
    seconds: float = 1.0
    method: str = ""


@dataclass
class Faults:
    """The faults that are in force; `seed` makes shares repeatable."""

    seed: int = 0
    planned: list[Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Start the random sequence."""
        self._random = random.Random(self.seed)  # noqa: S311 - faults, not secrets

    def add(self, fault: Fault) -> None:
        """Plan one more fault."""
        with self._lock:
            self.planned.append(fault)

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self.planned.clear()

    def next_for(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets; counts it."""
        with self._lock:
            for fault in self.planned:
                if self._meets(fault, method, path):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    def _meets(self, fault: Fault, method: str, path: str) -> bool:
        if fault.times == 0 or not path.startswith(fault.path) or fault.method not in ("", method):
            return False
        return fault.share >= 1 or self._random.random() < fault.share
