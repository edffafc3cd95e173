"""Facts are read once while they are fresh."""

from datetime import timedelta

import pytest

from tasks.clients.remembering import Memory


def test_a_value_is_read_again_when_its_time_is_over() -> None:
    now = [0.0]
    reads = iter(["first", "second"])
    memory: Memory[str] = Memory(timedelta(minutes=1), lambda: now[0])

    early = memory.recall("key", lambda: next(reads)), memory.recall("key", lambda: next(reads))
    now[0] = 60.0
    late = memory.recall("key", lambda: next(reads))

    assert (early, late) == (("first", "first"), "second")


def test_keys_are_apart() -> None:
    memory: Memory[str] = Memory(timedelta(minutes=1))

    assert memory.recall("a", lambda: "of a") == "of a"
    assert memory.recall("b", lambda: "of b") == "of b"
    assert memory.recall("a", lambda: "another") == "of a"


def test_a_failure_is_not_remembered() -> None:
    memory: Memory[float] = Memory(timedelta(minutes=1))

    with pytest.raises(ZeroDivisionError):
        memory.recall("key", lambda: 1 / 0)

    assert memory.recall("key", lambda: 1.0) == 1.0
