"""What a person reads of a cluster whose flow run left no result."""

from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import ValidationError

from tasks.core.errors import Reaction
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.failures import RunFacts, run_error
from tasks.core.execution.waiting import GivenUp

CHOICE = ExecutionChoice(start_within=timedelta(minutes=10), finish_within=timedelta(hours=1))
RUN = RunFacts("verify-cluster/edge", "edge-pool", "verify-cluster/fra-1", "4711", "CRASHED", "Crashed")


def told(run: RunFacts) -> str:
    return str(run_error("look at the cluster", "fra-1", run, CHOICE))


def test_a_crash_names_deployment_run_state_and_what_to_do() -> None:
    assert told(RUN) == (
        "Could not look at the cluster (fra-1: deployment verify-cluster/edge, flow run verify-cluster/fra-1 "
        "(4711)): expected a flow run that leaves its result; found Crashed: its process ended without a "
        "word. Read the worker's log: memory, a pod or a machine that went away. Then run again."
    )


def test_a_run_that_nobody_began_names_the_work_pool() -> None:
    run = replace(RUN, type="SCHEDULED", state="Late", given_up=GivenUp.NOT_STARTED)

    assert "found Late: no worker began it within 0:10:00, so it was cancelled" in told(run)
    assert "prefect worker start --pool edge-pool" in told(run)


def test_a_run_that_did_not_end_names_its_limit() -> None:
    run = replace(RUN, type="RUNNING", state="Running", given_up=GivenUp.NOT_FINISHED)

    assert "found Running for more than 1:00:00, so it was cancelled" in told(run)
    assert "execution.finish_within" in told(run)


@pytest.mark.parametrize(
    ("type_", "state", "found"),
    [
        ("CANCELLED", "Cancelled", "found Cancelled: somebody cancelled it."),
        ("CANCELLING", "Cancelling", "found Cancelling: somebody cancels it."),
        ("FAILED", "TimedOut", "found TimedOut by an unexpected error."),
        ("COMPLETED", "Completed", "found Completed without a result."),
        ("PAUSED", "Suspended", "found Suspended."),
    ],
)
def test_every_other_end_is_told_as_what_it_is(type_: str, state: str, found: str) -> None:
    assert found in told(replace(RUN, type=type_, state=state))


def test_nothing_changes_by_itself() -> None:
    assert run_error("look", "fra-1", RUN, CHOICE).reaction is Reaction.REFUSE


def test_by_default_clusters_are_worked_on_in_tasks() -> None:
    assert ExecutionChoice().mode is Execution.TASKS


def test_a_deployment_has_the_name_of_its_flow_in_front() -> None:
    with pytest.raises(ValidationError, match="deployment"):
        ExecutionChoice(deployment="verify-cluster")
