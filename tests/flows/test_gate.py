"""A run whose worker is killed while it waits at the gate, and again after the approval (R14–R21)."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import AwaitingRetry, Crashed

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.running import FinishedRun, follow, submit
from tasks.core.certificates.reading import read_certificates
from tests.support.canaries import files_under, find_in, forms_of
from tests.support.certificates import certificate_in, requests_of
from tests.support.crashes import AuditWatch, KillPoint, kill_worker_and_flow_runs
from tests.support.gates import PROFILE, answer, decision
from tests.support.rotations import NAMESPACE, RotatingCluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

DEPLOYMENT = "issue-webhook-certificate/issue-webhook-certificate"
SWITCHED = KillPoint("certificate in the Secret", "patch", "secrets", PROFILE.certificate_secret, count=2)
"""The first patch widens the trust."""


@dataclass(frozen=True)
class Killed:
    """One run, its worker killed twice.

    Attributes:
        waiting: How it waits before the first kill.
        asked_again: How it waits after the second one, which came after the approval.
        ended: How it ended after another approval.
        folder: The home and temporary folder of the workers and the run's processes.
    """

    waiting: FinishedRun
    asked_again: FinishedRun
    ended: FinishedRun
    folder: Path


@dataclass(frozen=True)
class Runs:
    """Runs of a server whose worker is killed.

    Attributes:
        folder: The home and temporary folder of its workers.
    """

    prefect: SyncPrefectClient
    services: PrefectServices
    folder: Path

    def follow(self, run_id: UUID) -> FinishedRun:
        """Wait until the run ends or waits for a person."""
        return follow(self.prefect, self.prefect.read_flow_run(run_id), lambda _: None)

    def approve(self, run_id: UUID) -> None:
        """Answer as a person does in the UI."""
        answer(self.prefect, run_id, decision("APPROVE"))

    def kill(self) -> None:
        """Kill the worker with everything that belongs to it, and put another one in its place."""
        kill_worker_and_flow_runs(self.services)
        self.services.start_worker(self.folder)

    def retry(self, run_id: UUID) -> None:
        """What a person, or an automation, does about a run whose worker is gone."""
        self.prefect.set_flow_run_state(run_id, Crashed(), force=True)
        self.prefect.set_flow_run_state(run_id, AwaitingRetry(), force=True)

    def is_unfinished(self, run_id: UUID) -> bool:
        """Whether the run still has something to do."""
        state = self.prefect.read_flow_run(run_id).state
        return state is None or not state.is_final()


@pytest.fixture(scope="module")
def authority(rotating: RotatingCluster) -> bytes:
    return rotating.authority("gate-ca")


@pytest.fixture(scope="module")
def killed(
    rotating: RotatingCluster,
    authority: bytes,
    deployed: SyncPrefectClient,
    prefect_services: PrefectServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Killed:
    runs = Runs(deployed, prefect_services, tmp_path_factory.mktemp("home"))
    runs.kill()
    certificate = {"mode": "OWN", "authority": "gate-ca"}
    run = submit(deployed, DEPLOYMENT, {"clusters": [rotating.cluster.name], "certificate": certificate}).id

    waiting = runs.follow(run)
    runs.kill()
    with AuditWatch(rotating.cluster.control_plane.audit_log) as watch:
        runs.approve(run)
        watch.wait_for(SWITCHED, lambda: runs.is_unfinished(run))
    runs.kill()
    runs.retry(run)
    asked_again = runs.follow(run)
    runs.approve(run)
    ended = runs.follow(run)

    return Killed(waiting, asked_again, ended, runs.folder)


def test_a_run_that_waits_outlives_its_worker(killed: Killed) -> None:
    assert killed.waiting.state == "Suspended"
    assert killed.ended.state == "Completed"


def test_an_approval_is_for_one_try(killed: Killed) -> None:
    """What was approved is signed and half published; the retry asks about the same bytes."""
    shown = killed.waiting.artifacts["certificate-requests"]

    assert killed.asked_again.state == "Suspended"
    assert digest_in(killed.asked_again.artifacts["certificate-requests"]) == digest_in(shown)


def test_the_certificate_that_was_approved_first_is_served(
    rotating: RotatingCluster, authority: bytes, killed: Killed
) -> None:
    (request,) = requests_of(rotating.client, NAMESPACE)
    served = rotating.served()

    assert read_certificates(certificate_in(request))[0].sha256 == served.secret
    assert served.endpoints == {served.secret}
    assert served.bundles == {authority}
    assert rotating.left_over() == []


def test_no_private_key_is_in_database_or_results_or_files(
    rotating: RotatingCluster, killed: Killed, prefect_services: PrefectServices
) -> None:
    """Logs, artifacts, events and results are the server's database and folder."""
    keys = {"the webhook's key": rotating.key(), "the CA's key": rotating.authority_key("gate-ca")}
    written = [*files_under(prefect_services.folder, killed.folder), *rotating.texts()]
    names = {Path(where).name for where, _ in written}

    found = {name: find_in(written, forms_of(key)) for name, key in keys.items()}

    assert found == {"the webhook's key": [], "the CA's key": []}
    assert names >= {
        "prefect.db",
        "prefect-worker-osok-fleet.log",
        "prefect-server.log",
        "audit.log",
        "Events",
    }


def digest_in(shown: str) -> str:
    """The digest that the decision is bound to."""
    return next(line for line in shown.splitlines() if line.startswith("Decision is bound to "))
