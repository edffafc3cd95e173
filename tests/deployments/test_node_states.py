"""The status of pods as a kubelet reports it."""

from datetime import UTC, datetime, timedelta

import pytest

from deployments.rehearsal.node.settings import BackOff
from deployments.rehearsal.node.states import (
    ContainerReport,
    ContainerState,
    PodReport,
    Running,
    Terminated,
    Waiting,
    WaitingReason,
)
from tasks.core.manifests import Manifest

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RUNNING = Running(NOW)
FAILED = Terminated(1, NOW, NOW, "panic")
DONE = Terminated(0, NOW, NOW)
CRASHING = Waiting(WaitingReason.CRASH_LOOP_BACK_OFF, "back-off 10s")


def _report(*states: ContainerState, always: bool = True, last: Terminated | None = None) -> Manifest:
    containers = [
        ContainerReport(f"c{index}", "image", state, last, ready=isinstance(state, Running))
        for index, state in enumerate(states)
    ]
    report = PodReport(
        NOW, "127.1.0.1", containers, pod_ip="198.18.0.2", restarts_always=always, conditions_before={}
    )
    return report.to_json("uid", NOW)


def _condition(status: Manifest, kind: str) -> Manifest:
    found: Manifest = next(each for each in status["conditions"] if each["type"] == kind)
    return found


def test_a_running_container() -> None:
    status = _report(RUNNING)

    assert status["phase"] == "Running"
    assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
    assert _condition(status, "Ready")["status"] == "True"


def test_a_crash_loop_shows_why_it_ended_last() -> None:
    status = _report(CRASHING, last=FAILED)

    container = status["containerStatuses"][0]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert container["lastState"]["terminated"]["message"] == "panic"
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert _condition(status, "Ready")["reason"] == "ContainersNotReady"


@pytest.mark.parametrize(
    ("states", "always", "phase"),
    [
        ([Waiting()], True, "Pending"),
        ([RUNNING, Waiting()], True, "Pending"),
        ([RUNNING, RUNNING], True, "Running"),
        ([FAILED], True, "Running"),
        ([FAILED], False, "Failed"),
        ([DONE], False, "Succeeded"),
        ([DONE, FAILED], False, "Failed"),
        ([DONE, RUNNING], False, "Running"),
    ],
)
def test_phases(
    states: list[ContainerState],
    always: bool,  # noqa: FBT001 - a table
    phase: str,
) -> None:
    assert _report(*states, always=always)["phase"] == phase


def test_a_container_between_two_runs_counts_as_running() -> None:
    assert _report(CRASHING, last=FAILED)["phase"] == "Running"


def test_conditions_keep_the_time_of_their_last_change() -> None:
    earlier = {"type": "Ready", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2025-01-01T00:00:00Z"}
    containers = [ContainerReport("c", "image", RUNNING, ready=True)]
    before = {each["type"]: each for each in (earlier, scheduled)}

    status = PodReport(NOW, "127.1.0.1", containers, conditions_before=before).to_json("uid", NOW)

    assert _condition(status, "Ready") == earlier
    assert _condition(status, "PodScheduled") == scheduled


def test_the_back_off_starts_after_the_first_restart_and_doubles() -> None:
    back_off = BackOff(timedelta(seconds=10), timedelta(seconds=300))

    waits = [back_off.before_restart(number).total_seconds() for number in (1, 2, 3, 4, 7, 8, 999)]

    assert waits == [0, 10, 20, 40, 300, 300, 300]
