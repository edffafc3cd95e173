"""When the flow run of a cluster is waited for no longer."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.execution.choice import ExecutionChoice
from tasks.core.execution.waiting import GivenUp, RunPhase, RunView, attempt_key, give_up

CHOICE = ExecutionChoice(start_within=timedelta(minutes=10), finish_within=timedelta(hours=1))
START = datetime(2026, 11, 25, 8, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def waiting(type_: str = "SCHEDULED") -> RunView:
    return RunView(type_, START)


def running(since: float) -> RunView:
    return RunView("RUNNING", START, at(since))


def ended(since: float, until: float, type_: str = "COMPLETED") -> RunView:
    return RunView(type_, START, at(since), at(until))


@pytest.mark.parametrize(
    ("type_", "phase"),
    [
        ("SCHEDULED", RunPhase.WAITING),
        ("PENDING", RunPhase.WAITING),
        ("PAUSED", RunPhase.WAITING),
        ("", RunPhase.WAITING),
        ("RUNNING", RunPhase.RUNNING),
        ("COMPLETED", RunPhase.ENDED),
        ("FAILED", RunPhase.ENDED),
        ("CRASHED", RunPhase.ENDED),
        ("CANCELLED", RunPhase.ENDED),
        ("CANCELLING", RunPhase.ENDED),
    ],
)
def test_a_run_that_is_being_cancelled_counts_as_ended_and_one_that_is_being_started_as_waiting(
    type_: str, phase: RunPhase
) -> None:
    assert RunView(type_, START).phase is phase


def test_a_run_that_nobody_begins_is_given_up() -> None:
    run = waiting()

    assert give_up(run, [run], at(9.9), CHOICE) is None
    assert give_up(run, [run], at(10), CHOICE) is GivenUp.NOT_STARTED


def test_a_worker_that_took_it_and_never_began_is_none() -> None:
    run = waiting("PENDING")

    assert give_up(run, [run], at(10), CHOICE) is GivenUp.NOT_STARTED


def test_its_time_does_not_pass_while_another_one_has_the_place() -> None:
    run = waiting()

    assert give_up(run, [run, running(since=1)], at(50), CHOICE) is None


def test_a_queue_that_moves_is_no_dead_one() -> None:
    run, before = waiting(), ended(since=1, until=49)

    assert give_up(run, [run, before], at(58.9), CHOICE) is None
    assert give_up(run, [run, before], at(59), CHOICE) is GivenUp.NOT_STARTED


def test_runs_that_wait_for_each_other_keep_nobody_waiting() -> None:
    """That another one was asked for later is no movement of the queue."""
    first, second = waiting(), RunView("SCHEDULED", at(5))

    assert give_up(first, [first, second], at(10), CHOICE) is GivenUp.NOT_STARTED
    assert give_up(second, [first, second], at(10), CHOICE) is None


def test_a_run_that_does_not_end_is_given_up_by_its_own_time_alone() -> None:
    run = running(since=5)

    assert give_up(run, [run, ended(since=1, until=64)], at(64.9), CHOICE) is None
    assert give_up(run, [run, running(since=60)], at(65), CHOICE) is GivenUp.NOT_FINISHED


def test_one_that_ran_before_this_process_began_to_wait_is_judged_by_its_own_start() -> None:
    """Its caller was killed and started again."""
    run = RunView("RUNNING", asked_at=at(70), started_at=at(0))

    assert give_up(run, [run], at(70), CHOICE) is GivenUp.NOT_FINISHED


def test_one_that_ended_is_not_given_up() -> None:
    run = ended(since=0, until=90, type_="CRASHED")

    assert give_up(run, [run], at(900), CHOICE) is None


def test_every_part_of_the_work_and_every_attempt_has_a_key_of_its_own() -> None:
    assert attempt_key("run", "fra-1", "ALL", 2) == "run/fra-1/ALL/2"
