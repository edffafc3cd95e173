"""A deadline is one point in time that stages share."""

from datetime import timedelta

import pytest

from tasks.core.deadlines import Deadline
from tasks.core.errors import InputError


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_what_is_left_shrinks_and_is_never_negative() -> None:
    clock = Clock()
    deadline = Deadline.after(timedelta(seconds=10), clock)

    clock.seconds += 4
    assert deadline.left() == timedelta(seconds=6)

    clock.seconds += 60
    assert deadline.left() == timedelta(0)
    assert deadline.expired


def test_a_part_never_ends_after_the_whole() -> None:
    deadline = Deadline.after(timedelta(seconds=10), Clock())

    assert deadline.part(timedelta(seconds=3)).left() == timedelta(seconds=3)
    assert deadline.part(timedelta(seconds=30)).left() == timedelta(seconds=10)


def test_a_duration_that_is_not_positive_is_refused() -> None:
    with pytest.raises(InputError, match="a positive duration"):
        Deadline.after(timedelta(0), Clock())
