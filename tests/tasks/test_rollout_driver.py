"""Rollouts in one flow run: waves in threads, budgets, gates, and runs that begin again.

The work on a cluster is a function here, so that each rule is seen by itself;
tests/flows/test_install_waves.py does the same on real clusters.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import AwaitingRetry

from tasks.core.errors import InstallError
from tasks.core.rollout.plans import FleetCluster, plan_rollout
from tasks.core.rollout.settings import RolloutChoice
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.rollout.driver import RolloutEnd, RolloutWork, roll_out, show_plan
from tests.support.artifacts import newest_artifact
from tests.support.gates import OwnRun, answer, own_run

GOOD, BAD, PREPARED = ClusterState.SUCCEEDED, ClusterState.FAILED, ClusterState.PREPARED
CANARY = {"name": "canary", "selector": "canary"}
REST = {"name": "rest"}
FLEET = [FleetCluster("one", {"canary": ""}), FleetCluster("two"), FleetCluster("three")]


@dataclass
class Ground:
    """What the clusters are like, and what was done to them."""

    ends: dict[str, ClusterState] = field(default_factory=dict)
    visits: list[str] = field(default_factory=list)
    decided: list[str] = field(default_factory=list)
    meeting: threading.Barrier | None = None
    bug: str = ""
    last: list[RolloutEnd] = field(default_factory=list)

    def prepare(self, cluster: str) -> ClusterProgress:
        self.visits.append(cluster)
        if cluster == self.bug:
            raise ZeroDivisionError("with something secret")
        if self.meeting and cluster != "one":
            self.meeting.wait(timeout=60)
        return self._progress(self.ends.get(cluster, GOOD))

    def finish(self, cluster: str) -> ClusterProgress:
        self.visits.append(f"{cluster} again")
        return self._progress(GOOD)

    def _progress(self, state: ClusterState) -> ClusterProgress:
        return ClusterProgress(state, datetime.now(UTC), f"{state.value} on the ground")


_ground = Ground()


@pytest.fixture
def ground(prefect_server: SyncPrefectClient) -> Iterator[Ground]:
    _ground.__init__()  # type: ignore[misc]  # the flow of a run that begins again has to find the same one
    yield _ground
    _ground.__init__()  # type: ignore[misc]  # as above


@flow(name="rollout-of-tests", persist_result=True)
def rollout_of_tests(rollout: RolloutChoice) -> None:
    """What a flow does with a plan."""
    plan = plan_rollout(rollout, FLEET, "what is rolled out")
    show_plan(plan)
    work = RolloutWork(_ground.prepare, _ground.finish, _ground.decided.append)
    end = roll_out(plan, work, timedelta(hours=1))
    _ground.last.append(end)
    if end.stopped:
        raise InstallError("roll out", found=end.stopped)


def go(client: SyncPrefectClient, *waves: dict[str, Any], **more: object) -> OwnRun:
    run = own_run(client, rollout_of_tests, {"rollout": {"waves": list(waves), **more}})
    run.go()
    return run


def test_a_wave_begins_after_the_one_before_it_and_its_clusters_are_worked_on_side_by_side(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    ground.meeting = threading.Barrier(2)

    run = go(prefect_server, CANARY, {**REST, "max_concurrency": 2})

    assert run.state().name == "Completed"
    assert ground.visits[0] == "one"
    assert sorted(ground.visits[1:]) == ["three", "two"]
    assert ground.last[0].stopped == ""
    assert "3 of 3 clusters succeeded" in newest_artifact(prefect_server, "rollout", run.run_id)
    assert "what is rolled out" in newest_artifact(prefect_server, "rollout-plan", run.run_id)


def test_a_failing_canary_leaves_the_rest_untouched_and_the_run_tried_again_goes_on(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    ground.ends["one"] = BAD

    run = go(prefect_server, CANARY, REST)
    stopped, visited = ground.last[0].stopped, list(ground.visits)
    ground.ends.clear()
    prefect_server.set_flow_run_state(run.run_id, AwaitingRetry(), force=True)
    run.go()

    assert stopped == "wave canary stops: 1 of 1 clusters failed and 0 may: one"
    assert visited == ["one"]
    assert ground.visits == ["one", "one", "two", "three"]
    assert run.state().name == "Completed"


def test_a_bug_on_one_cluster_is_a_failure_of_that_cluster_without_the_text_of_the_bug(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    ground.bug = "two"

    go(prefect_server, {**REST, "max_failures": 1, "max_concurrency": 3})

    states = {name: one.state for name, one in ground.last[0].states.items()}
    assert states == {"one": GOOD, "two": BAD, "three": GOOD}
    assert ground.last[0].states["two"].detail == (
        "unexpected ZeroDivisionError; see the log of this task run"
    )


def test_certificates_are_decided_once_per_wave_between_preparing_and_finishing(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    ground.ends = {"one": PREPARED, "two": PREPARED, "three": ClusterState.OFFLINE}

    go(prefect_server, CANARY, REST)

    assert ground.decided == ["canary", "rest"]
    assert ground.visits == ["one", "one again", "two", "three", "two again"]


def test_a_manual_wave_suspends_the_run_until_a_person_lets_it_begin(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    run = go(prefect_server, CANARY, {**REST, "approval": "MANUAL"})
    waiting, visited = run.state().name, list(ground.visits)

    begin = {"decision": "BEGIN", "reason": "the canary is fine", "approver": "Ada Lovelace"}
    accepted = answer(prefect_server, run.run_id, begin)
    run.go()

    assert (waiting, visited) == ("Suspended", ["one"])
    assert accepted.status is SetStateStatus.ACCEPT
    # The canary is looked at again: what is true counts, not what was remembered.
    assert ground.visits == ["one", "one", "two", "three"]
    assert "May wave rest begin?" in newest_artifact(prefect_server, "rollout-approval", run.run_id)


def test_a_person_can_end_the_rollout_before_a_wave(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    run = go(prefect_server, CANARY, {**REST, "approval": "MANUAL"})

    answer(
        prefect_server,
        run.run_id,
        {"decision": "STOP", "reason": "holidays", "approver": "Ada Lovelace"},
    )
    run.go()

    assert ground.last[0].stopped == "wave rest was stopped by Ada Lovelace (claimed): holidays"
    assert ground.visits == ["one", "one"]


def test_another_plan_and_another_try_ask_again(prefect_server: SyncPrefectClient, ground: Ground) -> None:
    manual = {**REST, "approval": "MANUAL"}
    run = go(prefect_server, manual)
    answer(
        prefect_server, run.run_id, {"decision": "BEGIN", "reason": "go ahead", "approver": "Ada Lovelace"}
    )

    other = OwnRun(
        prefect_server,
        run.flow,
        {"rollout": {"waves": [{**manual, "max_failures": 1}]}},
        run.run_id,
    )

    assert other.go().name == "Suspended"
    assert ground.visits == []


def test_a_cluster_that_proves_itself_is_waited_for(
    prefect_server: SyncPrefectClient, ground: Ground
) -> None:
    run = go(prefect_server, {**CANARY, "min_success_time": "PT1S"}, REST)

    ended = ground.last[0].states
    assert run.state().name == "Completed"
    assert ended["two"].since - ended["one"].since >= timedelta(seconds=1)
