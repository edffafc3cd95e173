"""Waiting for the world: ask again until an answer satisfies, inside one deadline."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tasks.core.deadlines import Deadline
from tasks.core.errors import ClusterUnavailableError, StalledError

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0
_GROWTH = 1.4


def deadline_after(duration: timedelta) -> Deadline:
    """A deadline on this machine's monotonic clock."""
    return Deadline.after(duration, time.monotonic)


def deadline_at(moment: datetime) -> Deadline:
    """The deadline of a stage that has to be over at `moment` (time zone aware).

    Raises:
        StalledError: That moment has passed, as for a retry that starts too late.
    """
    left = moment - datetime.now(UTC)
    if left <= timedelta(0):
        raise StalledError(
            "start another try", expected="time left in the stage", found="its deadline passed"
        )
    return deadline_after(left)


def wait_for(observe: Callable[[], T], satisfied: Callable[[T], bool], deadline: Deadline) -> T:
    """Observe until `satisfied` or the deadline; returns the last observation either way.

    A `ClusterUnavailableError` of one observation is outlived, so that a restart of the API server does not
    end a wait; it is raised when the last observation before the deadline failed with it.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            seen = observe()
        except ClusterUnavailableError:
            if deadline.expired:
                raise
        else:
            if satisfied(seen) or deadline.expired:
                return seen
        time.sleep(min(pause, max(0.0, deadline.left().total_seconds())))
        pause = min(_LONGEST_PAUSE, pause * _GROWTH)
