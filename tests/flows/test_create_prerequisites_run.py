"""R24-R28 in runs that a worker carries out: planned, decided by a person, made in order, checked again."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import AwaitingRetry

from deployments.rehearsal.deciding import resume
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.running import FinishedRun, follow, submit
from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_key, add_tenancy, add_vault
from tests.support.artifacts import newest_artifact
from tests.support.tenancies import save_tenancy_block

DEPLOYMENT = "create-prerequisites/create-prerequisites"
REGION = "eu-frankfurt-1"
ORDER = ["DynamicGroup", "Policy", "Vault", "Key", "CertificateAuthority", "Certificate"]
NEEDS = {
    "vault": "mesh",
    "key": "mesh",
    "certificate_authority": "mesh",
    "gateway": {"kind": "oci_certificate", "certificate": "gateway", "hosts": ["shop.example.com"]},
}


pytestmark = pytest.mark.long


@dataclass(frozen=True)
class Bench:
    """A tenancy without anything for Service Mesh, and a Prefect server with a worker."""

    prefect: SyncPrefectClient
    services: PrefectServices
    server: TenancyServer
    place: Place
    block: str

    def begin(self) -> FinishedRun:
        """Start a run and wait until it ends or waits for a person."""
        parameters = {"tenancy": self.block, "needs": NEEDS, "wishes": {"iam": "CREATE"}}
        return self.follow(submit(self.prefect, DEPLOYMENT, parameters).id)

    def answer(self, run: FinishedRun, decision: str) -> FinishedRun:
        """Answer as a person does in the UI, and wait again."""
        answer = {"decision": decision, "reason": "planned change", "approver": "Ada Lovelace"}
        resume(self.prefect, self.prefect.read_flow_run(run.run_id), dict(answer))
        return self.follow(run.run_id)

    def retry(self, run: FinishedRun) -> FinishedRun:
        """Press Retry, and wait again."""
        self.prefect.set_flow_run_state(run.run_id, AwaitingRetry())
        return self.follow(run.run_id)

    def follow(self, run_id: UUID) -> FinishedRun:
        """Wait until a run ends or waits for a person."""
        return follow(self.prefect, self.prefect.read_flow_run(run_id), lambda _: None)

    def kill(self, run_id: UUID) -> None:
        """Kill the process of a run; called by the tenancy, whose threads have no client of Prefect."""
        answer = httpx.get(f"{self.services.api_url}/flow_runs/{run_id}").json()
        os.kill(int(answer["infrastructure_pid"].rpartition(":")[2]), signal.SIGKILL)

    def shown(self, run: FinishedRun) -> str:
        """The plan that the person saw last: every start of a run shows one."""
        return newest_artifact(self.prefect, "prerequisites-plan", run.run_id)

    def made(self) -> list[str]:
        """The kinds of what runs made, in the order in which they were made."""
        entries = self.server.store.tenancies[self.place.tenancy.id].objects.values()
        ours = {"managed-by": "osok-fleet"}
        return [entry.kind for entry in entries if getattr(entry.model, "freeform_tags", None) == ours]


@pytest.fixture
def bench(deployed: SyncPrefectClient, prefect_services: PrefectServices, tmp_path: Path) -> Iterator[Bench]:
    store = Store()
    place = add_tenancy(store, "empty", [REGION])
    for entry in (*store.all(place.tenancy, "Policy"), *store.all(place.tenancy, "DynamicGroup")):
        del place.tenancy.objects[entry.model.id]
    with TenancyServer(store, REGION, page_size=2) as server:
        block = save_tenancy_block(server, place, "empty", tmp_path)
        yield Bench(deployed, prefect_services, server, place, block)


def test_what_a_person_agreed_to_is_made_in_order_and_a_retry_asks_again(bench: Bench) -> None:
    waiting = bench.begin()
    before = bench.made()
    refusal = Fault(FaultKind.NOT_FOUND, "/20210224/certificateAuthorities", method="POST")
    bench.server.faults.add(refusal)
    failed = bench.answer(waiting, "CREATE")
    half = bench.made()
    bench.server.faults.clear()

    again = bench.retry(failed)
    ended = bench.answer(again, "CREATE")

    plan = waiting.artifacts["prerequisites-plan"]
    assert (waiting.state, before) == ("Suspended", [])
    assert "| 3 | vault mesh of the kind DEFAULT | counts against the limit of vaults" in plan
    assert "only by schedule, 7 to 30 days; all its keys die with it |" in plan
    assert "\nAllow dynamic-group osok-nodes to manage service-mesh-family in compartment" in plan
    assert (failed.state, half) == ("Failed", ORDER[:4])
    assert "HTTP 404 NotAuthorizedOrNotFound" in failed.message
    assert (again.state, ended.state, ended.message) == ("Suspended", "Completed", "")
    assert bench.made() == ORDER
    assert '"FAIL": 0' in ended.artifacts["prerequisites-empty-in-eu-frankfurt-1"]


def test_a_plan_that_changed_is_decided_again_and_denied_nothing_is_made(bench: Bench) -> None:
    first = bench.begin()
    vault = add_vault(bench.server.store, bench.place, REGION, bench.server.url)
    add_key(bench.server.store, bench.place, vault)

    second = bench.answer(first, "CREATE")
    shown = bench.shown(second)
    ended = bench.answer(second, "DENY")

    assert (first.state, second.state, ended.state) == ("Suspended", "Suspended", "Failed")
    assert f"* vault mesh ({vault.model.id})" in shown
    assert "DENY by Ada Lovelace: planned change" in ended.message
    assert bench.made() == []


def test_a_run_that_is_killed_half_way_is_finished_by_the_next_without_a_twin(bench: Bench) -> None:
    waiting = bench.begin()
    bench.server.after_write = lambda count: bench.kill(waiting.run_id) if count == 4 else None
    killed = bench.answer(waiting, "CREATE")
    half = bench.made()

    # Another run: the worker reports a killed process twice, the second time after many seconds.
    again = bench.begin()
    ended = bench.answer(again, "CREATE")

    assert (killed.state, half) == ("Crashed", ORDER[:4])
    assert (again.state, ended.state, ended.message) == ("Suspended", "Completed", "")
    assert bench.made() == ORDER
