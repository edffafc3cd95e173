"""Clusters worked on in flow runs of their own: started once, judged by what the server says of them.

No worker takes these runs: what one would report, the test reports. tests/flows/test_verify_fleet_runs.py
does the same with a worker.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import ArtifactCreate, WorkPoolCreate
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Cancelled, Completed, Crashed, Failed, Running
from pydantic import BaseModel

from tasks.cluster_runs import ClusterRuns
from tasks.core.errors import InputError
from tasks.core.execution.choice import ExecutionChoice
from tasks.core.execution.failures import ClusterRunError
from tasks.documents import fenced
from tests.support.gates import own_run

T = TypeVar("T")
DEFAULT = "cluster-work/cluster-work"


class Outcome(BaseModel):
    """What the runs of this file leave."""

    said: str


@flow(name="cluster-work")
def cluster_work(cluster: str) -> None:
    """Never called: there is no worker."""


@dataclass(frozen=True)
class Nowhere:
    """A deployment on a work pool without a worker."""

    client: SyncPrefectClient
    name: str
    pool: str

    def runs(self, **choice: object) -> ClusterRuns:
        return ClusterRuns(ExecutionChoice.model_validate({"deployment": self.name, **choice}), DEFAULT)

    def report(self, run: UUID, state: State[None]) -> None:
        """As a worker would."""
        self.client.set_flow_run_state(run, state, force=True)

    def leave(self, run: UUID, key: str, said: str) -> None:
        document = fenced(Outcome(said=said))
        self.client.create_artifact(ArtifactCreate(key=key, type="markdown", data=document, flow_run_id=run))

    def read(self, run: UUID) -> FlowRun:
        return self.client.read_flow_run(run)


def nowhere_in(client: SyncPrefectClient, limit: int | None = None) -> Nowhere:
    pool, name = f"pool-{uuid4().hex[:8]}", f"nowhere-{uuid4().hex[:8]}"
    client.create_work_pool(WorkPoolCreate(name=pool, type="process", concurrency_limit=limit))
    client.create_deployment(client.create_flow(cluster_work), name, work_pool_name=pool)
    return Nowhere(client, f"cluster-work/{name}", pool)


@pytest.fixture
def nowhere(prefect_server: SyncPrefectClient) -> Nowhere:
    return nowhere_in(prefect_server)


def in_a_flow(function: Callable[[], T]) -> T:
    """What the function returns, called by a flow run."""
    return flow(name="caller-of-cluster-runs")(function)()


def told(runs: ClusterRuns, run: UUID) -> str:
    runs.wait([run])
    with pytest.raises(ClusterRunError) as raised:
        runs.result(run, "work on the cluster", "fra-1", Outcome)
    return str(raised.value)


def test_a_caller_that_starts_again_finds_the_run_that_runs_and_replaces_the_one_that_ended(
    nowhere: Nowhere,
) -> None:
    """Each ClusterRuns is a process of the same flow run, the one before it was killed."""

    def call() -> list[UUID]:
        first = nowhere.runs().start("fra-1", {"cluster": "fra-1"})
        again = nowhere.runs().start("fra-1", {"cluster": "fra-1"})
        other = nowhere.runs().start("fra-2", {"cluster": "fra-2"})
        part = nowhere.runs().start("fra-1", {"cluster": "fra-1"}, "another part")
        nowhere.report(first, Crashed())
        return [first, again, other, part, nowhere.runs().start("fra-1", {"cluster": "fra-1"})]

    first, again, other, part, new = in_a_flow(call)

    assert again == first
    assert len({first, other, part, new}) == 4
    assert nowhere.read(new).parameters == {"cluster": "fra-1"}
    assert nowhere.read(first).name == "cluster-work/fra-1"
    assert nowhere.read(first).parent_task_run_id is not None


def test_a_run_that_nobody_takes_is_told_and_cancelled_so_that_it_never_begins(nowhere: Nowhere) -> None:
    def call() -> tuple[UUID, str]:
        runs = nowhere.runs(start_within=timedelta(seconds=1))
        run = runs.start("fra-1", {"cluster": "fra-1"})
        return run, told(runs, run)

    run, message = in_a_flow(call)

    assert f"fra-1: deployment {nowhere.name}, flow run cluster-work/fra-1 ({run})" in message
    assert "no worker began it within 0:00:01, so it was cancelled" in message
    assert f"prefect worker start --pool {nowhere.pool}" in message
    assert nowhere.read(run).state_name == "Cancelled"


def test_a_run_that_does_not_end_is_told_and_cancelled(nowhere: Nowhere) -> None:
    def call() -> tuple[UUID, str]:
        runs = nowhere.runs(finish_within=timedelta(seconds=1))
        run = runs.start("fra-1", {"cluster": "fra-1"})
        nowhere.report(run, Running())
        return run, told(runs, run)

    run, message = in_a_flow(call)

    assert "found Running for more than 0:00:01" in message
    assert nowhere.read(run).state_name == "Cancelling"


def test_a_run_that_was_given_up_keeps_no_other_one_waiting(nowhere: Nowhere) -> None:
    def call() -> list[str]:
        runs = nowhere.runs(finish_within=timedelta(seconds=1), start_within=timedelta(seconds=1))
        running, waiting = (runs.start(name, {"cluster": name}) for name in ("fra-1", "fra-2"))
        nowhere.report(running, Running())
        runs.wait([running, waiting])
        return [told(runs, running), told(runs, waiting)]

    running, waiting = in_a_flow(call)

    assert "found Running for more than 0:00:01" in running
    assert "no worker began it within 0:00:01" in waiting


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (Crashed(), "found Crashed: its process ended without a word"),
        (Cancelled(), "found Cancelled: somebody cancelled it"),
        (Failed(message="with something secret"), "found Failed by an unexpected error"),
        (Completed(), "found Completed without a result"),
    ],
    ids=lambda value: value.name if isinstance(value, State) else "",
)
def test_a_run_without_a_result_is_told_as_what_it_is(
    nowhere: Nowhere, state: State[None], found: str
) -> None:
    def call() -> str:
        runs = nowhere.runs()
        run = runs.start("fra-1", {"cluster": "fra-1"})
        nowhere.report(run, state)
        return told(runs, run)

    message = in_a_flow(call)

    assert found in message
    assert "secret" not in message


def test_a_result_counts_whatever_the_state_says_and_only_that_of_the_run_itself(nowhere: Nowhere) -> None:
    """A run that ended badly after it had done its work has done its work."""

    def call() -> Outcome:
        runs = nowhere.runs()
        mine, other = (runs.start(name, {"cluster": name}) for name in ("fra-1", "fra-2"))
        nowhere.leave(other, "cluster-run-fra-1", "of another run")
        nowhere.leave(mine, "cluster-run-fra-1", "done")
        nowhere.report(mine, Crashed())
        runs.wait([mine])
        return runs.result(mine, "work on the cluster", "fra-1", Outcome)

    assert in_a_flow(call) == Outcome(said="done")


def test_a_deployment_that_cannot_do_it_is_refused_before_anything_is_started(
    prefect_server: SyncPrefectClient,
) -> None:
    client = prefect_server
    client.create_deployment(client.create_flow(cluster_work), "without-a-pool")

    def refusal_of(deployment: str) -> str:
        with pytest.raises(InputError) as raised:
            in_a_flow(lambda: ClusterRuns(ExecutionChoice(deployment=deployment), DEFAULT))
        return str(raised.value)

    assert "(execution.deployment): expected a deployment of that name; found none" in refusal_of(
        "cluster-work/not-there"
    )
    assert "expected a deployment of the flow cluster-work" in refusal_of("install-fleet/install-fleet")
    assert "expected a deployment with a work pool" in refusal_of("cluster-work/without-a-pool")


def test_a_pool_whose_only_place_the_caller_has_is_refused(prefect_server: SyncPrefectClient) -> None:
    """Otherwise it would wait for a place that it takes up itself."""
    narrow = nowhere_in(prefect_server, limit=1)

    @flow(name="caller-in-a-narrow-pool")
    def caller() -> None:
        narrow.runs()

    run = own_run(prefect_server, caller, {}, work_pool=narrow.pool)

    assert run.go().name == "Failed"
    assert "found pool " + narrow.pool + " with concurrency limit 1" in str(run.state().message)
