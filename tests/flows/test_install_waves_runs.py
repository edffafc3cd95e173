"""install-fleet in waves, each cluster in its own flow run: reports come back, killed runs count (R2–R10)."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.deciding import resume
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import follow, submit
from deployments.rehearsal.world import World
from tasks.core.rollout.leases import LEASE
from tests.support.artifacts import document_in, newest_artifact
from tests.support.certificates import write_authority
from tests.support.cluster_runs import ClusterRunsOf, hanging_cluster
from tests.support.gates import published

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]

HANGING = "hangs-in-rollout"
ROLLOUT: dict[str, Any] = {"waves": [{"name": "all", "max_concurrency": 2, "max_failures": 0}]}


@pytest.fixture
def hanging() -> Iterator[None]:
    with hanging_cluster(HANGING):
        yield


def test_the_report_comes_back_and_a_killed_run_counts_as_a_failure_of_its_cluster(
    installed_world: World, deployed: SyncPrefectClient, prefect_services: PrefectServices, hanging: None
) -> None:
    right = installed_world.clusters[0]
    parameters = {
        **installed_world.parameters(),
        "clusters": [right.name, HANGING],
        "rollout": ROLLOUT,
        "execution": {"mode": "DEPLOYMENT_RUNS"},
    }
    run = submit(deployed, "install-fleet/install-fleet", parameters)
    runs = ClusterRunsOf(deployed, prefect_services, run.id)
    runs.signal(runs.running(HANGING).id, signal.SIGKILL)
    ended = follow(deployed, run, lambda _: None)

    report = document_in(ended.artifacts[f"install-{right.name}-json"])
    steps = [step["step"] for step in report["steps"]]
    killed = document_in(ended.artifacts[f"install-{HANGING}-json"])
    lease = right.control_plane.client().get(LEASE)
    [child] = runs.of(right.name)
    assert ended.state == "Failed"
    assert f"wave all stops: 1 of 2 clusters failed and 0 may: {HANGING}" in ended.message
    assert report["state"] == "INSTALLED"
    assert steps[:6] == ["PREREQUISITES", "FLOW_RUN", "SOURCES", "PLAN", "BLOCK", "LOCK"]
    assert steps[-1] == "VERIFICATION"
    assert report["versions"]["OLM"] == "0.46.0"
    assert f"| {right.name} | INSTALLED |" in ended.artifacts["install-fleet"]
    assert killed["steps"][-1]["step"] == "FLOW_RUN"
    assert "found Crashed: its process ended without a word" in killed["steps"][-1]["detail"]
    assert child.state_name == "Completed"
    assert "kubeconfig" not in json.dumps(child.parameters)
    assert lease is not None
    assert lease["spec"].get("holderIdentity", "") == ""


def test_with_a_certificate_of_your_own_gate_and_signing_stay_with_the_caller(
    installed_world: World, deployed: SyncPrefectClient, prefect_services: PrefectServices, tmp_path: Path
) -> None:
    """R12 to R21; the other runs install what comes before and after, and are told no decision."""
    cluster = installed_world.clusters[0]
    client = cluster.control_plane.client()
    write_authority(tmp_path, "Runs CA").save("runs-ca", overwrite=True)
    before = published(client)
    parameters = {
        **installed_world.parameters(),
        "certificate": {"mode": "OWN", "authority": "runs-ca"},
        "rollout": ROLLOUT,
        "execution": {"mode": "DEPLOYMENT_RUNS"},
    }
    run = submit(deployed, "install-fleet/install-fleet", parameters)
    waiting = follow(deployed, run, lambda _: None)
    answer: dict[str, object] = {"decision": "APPROVE", "reason": "CHG-4711", "approver": "Ada Lovelace"}
    resume(deployed, deployed.read_flow_run(run.id), answer)
    ended = follow(deployed, run, lambda _: None)

    report = document_in(newest_artifact(deployed, f"install-{cluster.name}-json", run.id))
    steps = [step["step"] for step in report["steps"]]
    children = ClusterRunsOf(deployed, prefect_services, run.id).of(cluster.name)
    assert waiting.state == "Suspended"
    assert (ended.state, ended.message) == ("Completed", "1 SUCCEEDED")
    assert report["state"] == "INSTALLED"
    assert [step for step in steps if step.startswith("CERTIFICATE") or step in ("FLOW_RUN", "PROOF")] == [
        "FLOW_RUN",
        "CERTIFICATE_REQUEST",
        "CERTIFICATE",
        "FLOW_RUN",
        "PROOF",
    ]
    # Once before the gate and once after it, where the run starts again from the top.
    assert sorted(child.parameters["phase"] for child in children) == [
        "AFTER_DECISION",
        "BEFORE_DECISION",
        "BEFORE_DECISION",
    ]
    assert "CHG-4711" not in json.dumps([child.parameters for child in children])
    assert published(client) != before
