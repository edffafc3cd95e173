"""One deadline that is passed down, instead of a timeout at every call."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tasks.core.errors import InputError


@dataclass(frozen=True)
class Deadline:
    """A point on a monotonic clock by which something has to be finished.

    Attributes:
        clock: Returns seconds on a monotonic clock; passed in because core has none.
        expires_at: Seconds on that clock.
    """

    clock: Callable[[], float]
    expires_at: float

    @classmethod
    def after(cls, duration: timedelta, clock: Callable[[], float]) -> "Deadline":
        """Start a deadline now.

        Raises:
            InputError: `duration` is not positive.
        """
        if duration <= timedelta(0):
            raise InputError("start a deadline", expected="a positive duration", found=str(duration))
        return cls(clock=clock, expires_at=clock() + duration.total_seconds())

    def left(self) -> timedelta:
        """The time that is left, never negative."""
        return timedelta(seconds=max(0.0, self.expires_at - self.clock()))

    @property
    def expired(self) -> bool:
        """Whether nothing is left."""
        return self.left() == timedelta(0)

    def part(self, duration: timedelta) -> "Deadline":
        """A deadline for one stage: `duration` from now, but never later than this one."""
        return Deadline(self.clock, min(self.expires_at, self.clock() + duration.total_seconds()))
