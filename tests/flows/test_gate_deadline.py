"""What nobody decides on in time is cleared away by a run that was scheduled for that moment (R15)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.client.schemas.objects import FlowRun

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from flows.clear_requests import clear_requests
from flows.issue_webhook_certificate import issue_webhook_certificate
from tasks.certificates.expiry import CLEARING
from tasks.certificates.requests import request_ref
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tests.support.certificates import approve, requests_of, write_authority
from tests.support.gates import NAMESPACE, PATIENCE, STAGING, OwnRun, left_over, own_run, published

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]


@dataclass(frozen=True)
class Gate:
    """A cluster with a running operator, and a server with every deployment."""

    prefect: SyncPrefectClient
    client: ClusterClient
    cluster: str

    def waiting(self, patience: str) -> OwnRun:
        """A run that is suspended at the gate."""
        choice = {"mode": "OWN", "authority": "deadline-ca", "decision_deadline": patience}
        run = own_run(
            self.prefect, issue_webhook_certificate, {"clusters": [self.cluster], "certificate": choice}
        )
        assert run.go().name == "Suspended"
        return run

    def ended_without_an_answer(self) -> OwnRun:
        """A run that nobody answered."""
        run = self.waiting("PT1S")
        wait_for(run.state, lambda state: state.is_final(), deadline_after(PATIENCE))
        return run

    def clearing(self, run: OwnRun) -> list[FlowRun]:
        """The runs that are scheduled to clear away what the run showed."""
        deployment = self.prefect.read_deployment_by_name(CLEARING)
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        found = self.prefect.read_flow_runs(deployment_filter=wanted)
        return [one for one in found if one.parameters["asked_by"] == str(run.run_id)]


@pytest.fixture
def gate(deployed: SyncPrefectClient, installed_world: World, tmp_path: Path) -> Iterator[Gate]:
    cluster = installed_world.clusters[0]
    client = cluster.control_plane.client()
    write_authority(tmp_path, "Deadline CA").save("deadline-ca", overwrite=True)
    before = published(client)
    yield Gate(deployed, client, cluster.name)
    assert published(client) == before
    for manifest in requests_of(client, NAMESPACE):
        client.delete(request_ref(manifest["metadata"]["name"]))
    client.delete(STAGING)


def test_after_the_deadline_request_and_key_are_deleted_and_a_later_run_starts_afresh(gate: Gate) -> None:
    run = gate.ended_without_an_answer()
    (shown,) = requests_of(gate.client, NAMESPACE)
    (clearing,) = gate.clearing(run)

    clear_requests(**clearing.parameters)

    assert clearing.expected_start_time is not None
    assert clearing.expected_start_time - datetime.now(UTC) < timedelta(minutes=2)
    assert (requests_of(gate.client, NAMESPACE), left_over(gate.client)) == ([], [])
    gate.waiting("PT1H")
    (later,) = requests_of(gate.client, NAMESPACE)
    assert later["spec"]["request"] != shown["spec"]["request"]


def test_what_still_waits_is_not_cleared_and_an_answer_takes_the_clearing_back(gate: Gate) -> None:
    run = gate.waiting("PT1H")
    (clearing,) = gate.clearing(run)

    clear_requests(**clearing.parameters)

    assert len(requests_of(gate.client, NAMESPACE)) == 1
    assert run.answer("DENY").name == "Failed"
    assert gate.clearing(run) == []


def test_what_was_approved_with_kubectl_meanwhile_stays_for_the_next_run(gate: Gate) -> None:
    run = gate.ended_without_an_answer()
    approve(gate.client, requests_of(gate.client, NAMESPACE)[0])
    (clearing,) = gate.clearing(run)

    clear_requests(**clearing.parameters)

    assert len(requests_of(gate.client, NAMESPACE)) == 1
    assert gate.client.get(STAGING) is not None
