"""verify-fleet with a flow run for each cluster: same results; children and parents killed (R1–R22)."""

import signal
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import AwaitingRetry

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import follow, submit
from deployments.rehearsal.world import World
from flows.verify_fleet import verify_fleet
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tasks.core.manifests import ObjectRef
from tests.support.artifacts import document_in, newest_artifact
from tests.support.cluster_runs import ClusterRunsOf, hanging_cluster
from tests.support.drift_worlds import PATIENCE, DriftBench, drift_bench
from tests.support.events import events_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True),
]

ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
RULES = "/rules/0/verbs"
HANGING = "hanging"
QUICKLY = {"confirm_after": "PT0.1S", "live_checks": "NONE"}


@pytest.fixture(scope="module")
def bench(untouched_world: World, deployed: SyncPrefectClient) -> Iterator[DriftBench]:
    with drift_bench(untouched_world) as found, hanging_cluster(HANGING):
        assert found.settled(frozenset()) == frozenset()
        yield found


def submitted(
    client: SyncPrefectClient, services: PrefectServices, world: World, bench: DriftBench
) -> ClusterRunsOf:
    parameters: dict[str, Any] = {
        **world.parameters(),
        "clusters": [bench.name, HANGING],
        "choice": QUICKLY,
        "execution": {"mode": "DEPLOYMENT_RUNS"},
    }
    run = submit(client, "verify-fleet/verify-fleet", parameters)
    return ClusterRunsOf(client, services, run.id)


def results(client: SyncPrefectClient) -> dict[str, ClusterVerification]:
    fleet = FleetVerification.model_validate(document_in(newest_artifact(client, "fleet-status-json")))
    return {one.cluster: one for one in fleet.clusters}


def test_a_killed_run_is_told_for_its_cluster_and_the_other_is_as_with_tasks(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient, prefect_services: PrefectServices
) -> None:
    """Result, memory and events come back from the other process."""
    with bench.stranger.patched(ROLE, (RULES, ["get"])):
        runs = submitted(deployed, prefect_services, untouched_world, bench)
        killed = runs.running(HANGING)
        runs.signal(killed.id, signal.SIGKILL)
        ended = follow(deployed, deployed.read_flow_run(runs.parent), lambda _: None)
        by_runs = results(deployed)
        by_tasks = verify_fleet(
            **{**untouched_world.parameters(), "clusters": [bench.name]}, choice=QUICKLY, return_state=True
        )
        by_tasks_found = results(deployed)

    hanging = by_runs[HANGING]
    assert ended.state == "NotVerified"
    assert hanging.state is VerificationState.UNVERIFIED
    assert f"deployment verify-cluster/verify-cluster, flow run verify-cluster/{HANGING}" in hanging.error
    assert "found Crashed: its process ended without a word" in hanging.error
    assert f"{HANGING} UNVERIFIED" in ended.message
    assert by_tasks.name == "DriftFound"
    assert by_runs[bench.name].items == by_tasks_found[bench.name].items
    assert [item.field for item in by_runs[bench.name].items] == [RULES]
    events = wait_for(lambda: events_of(deployed, bench.name), bool, deadline_after(PATIENCE))
    assert [name for name, _ in events] == ["osok.drift.found"]


def test_a_killed_caller_that_starts_again_waits_for_the_run_that_still_runs(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient, prefect_services: PrefectServices
) -> None:
    """No cluster is worked on twice at once; one whose run has ended is looked at anew."""
    runs = submitted(deployed, prefect_services, untouched_world, bench)
    held = runs.running(HANGING)
    runs.signal(held.id, signal.SIGSTOP)
    [first] = runs.of(bench.name)
    runs.wait_for_state(first.id, "Completed")
    runs.signal(runs.parent, signal.SIGKILL)
    runs.wait_for_state(runs.parent, "Crashed")

    deployed.set_flow_run_state(runs.parent, AwaitingRetry(), force=True)
    runs.wait_for_state(runs.parent, "Retrying", "Running")
    runs.running(bench.name)
    runs.signal(held.id, signal.SIGCONT)
    ended = follow(deployed, deployed.read_flow_run(runs.parent), lambda _: None)

    assert ended.state == "NotVerified"
    assert (len(runs.of(HANGING)), len(runs.of(bench.name))) == (1, 2)
    assert results(deployed)[HANGING].state is VerificationState.UNREACHABLE
