"""Facts that are read once and kept for a while, by whoever asks first."""

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Slot(Generic[T]):
    lock: threading.Lock = field(default_factory=threading.Lock)
    value: T | None = None
    until: float = 0.0


class Memory(Generic[T]):
    """Values by key. Threads that want the same one wait for the first of them; others do not.

    Args:
        lifetime: How long a value is kept.
        clock: Seconds on a monotonic clock.
    """

    def __init__(self, lifetime: timedelta, clock: Callable[[], float] = time.monotonic) -> None:
        self._lifetime = lifetime.total_seconds()
        self._clock = clock
        self._slots: dict[Hashable, _Slot[T]] = {}
        self._lock = threading.Lock()

    def recall(self, key: Hashable, read: Callable[[], T]) -> T:
        """The value of a key, read when it is not known or too old. What `read` raises is not kept."""
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
        with slot.lock:
            if slot.value is None or self._clock() >= slot.until:
                slot.value = read()
                slot.until = self._clock() + self._lifetime
            return slot.value
