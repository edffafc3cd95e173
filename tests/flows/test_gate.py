"""The gate in runs that a worker carries out: suspended, denied, approved through a new worker (R14–R21)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import FinishedRun, follow, submit
from deployments.rehearsal.world import World
from tasks.clients.cluster import ClusterClient
from tests.support.certificates import requests_of, write_authority
from tests.support.gates import (
    NAMESPACE,
    PATIENCE,
    answer,
    decision,
    left_over,
    published,
    put_back_afterwards,
    served,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]

DEPLOYMENT = "issue-webhook-certificate/issue-webhook-certificate"


@dataclass(frozen=True)
class Gate:
    """A cluster with a running operator, and a Prefect server with a worker."""

    prefect: SyncPrefectClient
    client: ClusterClient
    parameters: dict[str, object]

    def follow_new_run(self) -> FinishedRun:
        """Start a run and wait until it ends or waits for a person."""
        return follow(self.prefect, submit(self.prefect, DEPLOYMENT, self.parameters), lambda _: None)

    def answer(self, run: FinishedRun, kind: str, reason: str) -> FinishedRun:
        """Answer as a person does in the UI, and wait for the run's end."""
        answer(self.prefect, run.run_id, decision(kind, reason))
        return follow(self.prefect, self.prefect.read_flow_run(run.run_id), lambda _: None)


@pytest.fixture
def gate(deployed: SyncPrefectClient, installed_world: World, tmp_path: Path) -> Iterator[Gate]:
    cluster = installed_world.clusters[0]
    client = cluster.control_plane.client()
    write_authority(tmp_path, "Gate CA").save("gate-ca", overwrite=True)
    parameters: dict[str, object] = {
        "clusters": [cluster.name],
        "certificate": {"mode": "OWN", "authority": "gate-ca"},
    }
    with put_back_afterwards(client):
        yield Gate(deployed, client, parameters)


def test_a_denied_run_changes_nothing_and_says_who_denied_it_and_why(gate: Gate) -> None:
    """R15."""
    before = published(gate.client)
    waiting = gate.follow_new_run()

    ended = gate.answer(waiting, "DENY", "not before the freeze ends")

    assert (waiting.state, ended.state) == ("Suspended", "Failed")
    assert "a denial by Ada Lovelace (claimed): not before the freeze ends" in ended.message
    assert published(gate.client) == before
    assert left_over(gate.client) == []
    assert requests_of(gate.client, NAMESPACE) == []


def test_a_run_that_waits_outlives_its_worker_and_publishes_when_approved(
    gate: Gate, prefect_services: PrefectServices
) -> None:
    """R15 to R21; the worker is killed with everything that belongs to it."""
    waiting = gate.follow_new_run()
    prefect_services.worker.send(SIGKILL)
    assert prefect_services.worker.wait(at_most=PATIENCE) is not None
    prefect_services.start_worker()

    ended = gate.answer(waiting, "APPROVE", "planned change")

    assert (waiting.state, ended.state, ended.message) == ("Suspended", "Completed", "")
    assert served(gate.client) == {"CN=Gate CA"}
    assert left_over(gate.client) == []
