"""verify-fleet as a deployed run: states, artifacts, events, and what the next run remembers (R1–R22)."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.mishaps import dark_block_fields
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import FinishedRun, follow, submit
from deployments.rehearsal.world import World
from flows.verify_cluster import verify_cluster
from flows.verify_fleet import verify_fleet
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.results import FleetVerification, VerificationState
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.artifacts import document_in, newest_artifact
from tests.support.drift_worlds import DriftBench, drift_bench
from tests.support.events import events_of

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True),
]

ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
RULES = "/rules/0/verbs"
SUMMARY = f"CHANGED ClusterRole aggregate-olm-view {RULES}"
QUICKLY = {"confirm_after": "PT0.1S", "live_checks": "NONE"}


@pytest.fixture(scope="module")
def bench(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    with drift_bench(untouched_world) as found:
        assert found.settled(frozenset()) == frozenset()
        yield found


def parameters(world: World, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - parameters
    """Those of install-fleet say what should be there."""
    return {**world.parameters(), **more}


def run_here(world: World, **more: Any) -> Any:  # noqa: ANN401 - Prefect's state
    """A run in this process, with the state that it ends in."""
    return verify_fleet(**parameters(world, choice=QUICKLY, **more), return_state=True)


def document(client: SyncPrefectClient, key: str) -> Manifest:
    return document_in(newest_artifact(client, f"{key}-json"))


def test_a_cluster_whose_own_run_no_worker_takes_is_told_as_not_verified(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    """tests/flows/test_verify_fleet_runs.py has workers."""
    prefect_server.create_work_pool(WorkPoolCreate(name="deserted", type="process"), overwrite=True)
    look = prefect_server.create_flow(verify_cluster)
    prefect_server.create_deployment(look, "deserted", work_pool_name="deserted")
    deployment = "verify-cluster/deserted"

    state = run_here(
        untouched_world,
        execution={"mode": "DEPLOYMENT_RUNS", "deployment": deployment, "start_within": "PT1S"},
    )

    [cluster] = document(prefect_server, "fleet-status")["clusters"]
    assert (state.name, state.type.value) == ("NotVerified", "FAILED")
    assert cluster["state"] == "UNVERIFIED"
    assert f"{bench.name}: deployment {deployment}, flow run verify-cluster/{bench.name}" in cluster["error"]
    assert "no worker began it within 0:00:01, so it was cancelled" in cluster["error"]
    assert cluster["error"] in state.message


@pytest.mark.long
def test_a_large_fleet_has_a_task_run_for_each_processor_and_a_result_for_each_cluster(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    processes = min(len(os.sched_getaffinity(0)), 4)
    darks = [f"large-{number:03}" for number in range(100)]
    for name in darks:
        KubernetesCluster.model_validate(dark_block_fields()).save(name, overwrite=True)

    state = run_here(untouched_world, clusters=[*darks[:60], bench.name, *darks[60:]])

    fleet = FleetVerification.model_validate(document(prefect_server, "fleet-status"))
    assert (state.name, len(fleet.clusters)) == ("NotVerified", 101)
    found = {one.cluster: one.state for one in fleet.clusters}
    assert found.pop(bench.name) is VerificationState.FINE
    assert set(found) == set(darks)
    assert set(found.values()) == {VerificationState.UNREACHABLE}
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
    tasks = wait_for(
        lambda: [one.name for one in prefect_server.read_task_runs(flow_run_filter=wanted)],
        lambda names: sum(name.startswith("verify-cluster") for name in names) >= processes,
        deadline_after(timedelta(minutes=1)),
    )
    shares = Counter(number % processes for number in range(101))
    assert sorted(name for name in tasks if name.startswith("verify-cluster")) == [
        f"verify-clusters/{number + 1}: {shares[number]} clusters" for number in range(processes)
    ]


@pytest.mark.long
def test_a_scheduled_run_finds_an_untouched_cluster_fine(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient, tmp_path: Path
) -> None:
    publication = {"report": str(tmp_path), "textfile": str(tmp_path)}
    finished: FinishedRun = follow(
        deployed,
        submit(deployed, "verify-fleet/verify-fleet", parameters(untouched_world, publication=publication)),
        lambda _: None,
    )

    assert (finished.state, finished.message) == ("Completed", "1 looked at: 1 FINE")
    fleet = FleetVerification.model_validate(document(deployed, "fleet-status"))
    assert [one.items for one in fleet.clusters] == [()]
    assert fleet.first_end is not None
    assert f"| {bench.name} | FINE | oci-service-operator.v1.1.9 / OLM 0.46.0 | OK |" in newest_artifact(
        deployed, "fleet-status"
    )
    # It looks at one cluster, and its deployment at all: the metrics of the others are not taken away.
    assert [path.name for path in tmp_path.iterdir()] == ["osok-fleet-verify-fleet-part.html"]
    assert "- Metrics: not handed on, for this run looked at other clusters" in newest_artifact(
        deployed, "fleet-status"
    )


def test_drift_is_told_once_remembered_and_resolved(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient, tmp_path: Path
) -> None:
    handed_on = {"fleet": "prod", "textfile": str(tmp_path), "report": str(tmp_path)}
    with bench.stranger.patched(ROLE, (RULES, ["get"])):
        first = run_here(untouched_world)
        since = document(prefect_server, f"drift-{bench.name}")["result"]["items"][0]["since"]
        second = run_here(untouched_world, publication=handed_on)
        again = document(prefect_server, f"drift-{bench.name}")["result"]["items"][0]
    third = run_here(untouched_world)

    assert [(one.name, one.type.value) for one in (first, second, third)] == [
        ("DriftFound", "COMPLETED"),
        ("DriftFound", "COMPLETED"),
        ("Completed", "COMPLETED"),
    ]
    assert (again["since"], again["owner"]["manager"], again["field"]) == (since, "mallory", RULES)
    told = wait_for(
        lambda: events_of(prefect_server, bench.name),
        lambda found: len(found) >= 2,
        deadline_after(timedelta(minutes=1)),
    )
    assert [name for name, _ in told] == ["osok.drift.found", "osok.drift.resolved"]
    assert [payload["cluster"] for _, payload in told] == [bench.name, bench.name]
    assert (told[0][1]["owner"], told[1][1]["summary"]) == ("mallory", SUMMARY)
    series = f'osok_drift_items{{cluster="{bench.name}",fleet="prod",kind="CHANGED",severity="WARNING"}} 1.0'
    assert series in (tmp_path / "osok-fleet-prod.prom").read_text()
    report = (tmp_path / "osok-fleet-prod.html").read_text()
    assert '<td class="text">mallory</td>' in report
    assert "Area chart of drift in " in report


def test_an_ignored_field_is_no_drift_and_its_reason_is_shown(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    rule = {"object": str(ROLE), "pointer": "/rules", "reason": "CHG-4711", "until": "2999-12-31"}
    choice = {**QUICKLY, "ignored": [rule]}
    with bench.stranger.patched(ROLE, (RULES, ["get"])):
        state = verify_fleet(**parameters(untouched_world, choice=choice), return_state=True)

    assert state.name == "Completed"
    (cluster,) = document(prefect_server, "fleet-status")["clusters"]
    assert [one["rule"]["reason"] for one in cluster["ignored"]] == ["CHG-4711"]


def test_a_cluster_out_of_reach_is_told_apart_and_ends_the_run_as_not_verified(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    KubernetesCluster.model_validate(dark_block_fields()).save("dark", overwrite=True)

    try:
        state = run_here(untouched_world, clusters=[bench.name, "dark"])
    finally:
        KubernetesCluster.delete("dark")

    assert (state.name, state.type.value) == ("NotVerified", "FAILED")
    fleet = FleetVerification.model_validate(document(prefect_server, "fleet-status"))
    assert {one.cluster: one.state for one in fleet.clusters} == {
        bench.name: VerificationState.FINE,
        "dark": VerificationState.UNREACHABLE,
    }
    assert "dark UNREACHABLE" in state.message
