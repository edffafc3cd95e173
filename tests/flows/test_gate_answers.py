"""Every way past the gate, in runs on the server that the tests carry out themselves (R14, R15).

A gate may fail open when a run is retried, continued by hand or answered in a form that has only defaults:
each of these is a test here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import AwaitingRetry, Scheduled

from blocks.certificate_authority import CertificateAuthority
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from flows.issue_webhook_certificate import issue_webhook_certificate
from tasks.certificates.orders import order_for
from tasks.certificates.requests import request_ref
from tasks.certificates.staging import stage
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.manifests import Manifest
from tasks.core.settings import CertificateChoice
from tests.support.certificates import approve, certificate_in, deny, requests_of, write_authority
from tests.support.gates import (
    NAMESPACE,
    PATIENCE,
    PROFILE,
    STAGING,
    OwnRun,
    answer,
    decision,
    left_over,
    own_run,
    published,
    put_back_afterwards,
    served,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]


@dataclass(frozen=True)
class Gate:
    """A cluster with a running operator, and a CA that has signed nothing for it yet."""

    prefect: SyncPrefectClient
    client: ClusterClient
    cluster: str
    authority: CertificateAuthority

    def waiting(self, **certificate: object) -> OwnRun:
        """A run that is suspended at the gate."""
        choice = {"mode": "OWN", "authority": "answers-ca", **certificate}
        run = own_run(
            self.prefect, issue_webhook_certificate, {"clusters": [self.cluster], "certificate": choice}
        )
        assert run.go().name == "Suspended"
        return run

    def request(self) -> Manifest:
        """The one request of the cluster."""
        (found,) = requests_of(self.client, NAMESPACE)
        return found

    @property
    def order(self) -> CertificateOrder:
        """What the runs order."""
        return order_for(PROFILE, NAMESPACE, CertificateChoice())

    def tidy_up(self) -> None:
        """Remove what runs that nobody answered leave."""
        for manifest in requests_of(self.client, NAMESPACE):
            self.client.delete(request_ref(manifest["metadata"]["name"]))
        self.client.delete(STAGING)


@pytest.fixture
def gate(prefect_server: SyncPrefectClient, installed_world: World, tmp_path: Path) -> Iterator[Gate]:
    cluster = installed_world.clusters[0]
    authority = write_authority(tmp_path, "Answers CA")
    authority.save("answers-ca", overwrite=True)
    gate = Gate(prefect_server, cluster.control_plane.client(), cluster.name, authority)
    yield gate
    gate.tidy_up()


@pytest.fixture
def unchanged(gate: Gate) -> Iterator[None]:
    """The test publishes nothing."""
    before = published(gate.client)
    yield
    assert published(gate.client) == before


@pytest.mark.usefixtures("unchanged")
def test_everything_that_will_be_signed_is_shown(gate: Gate) -> None:
    """R14."""
    run = gate.waiting()

    rows = {
        cells[1].strip(): cells[2].strip()
        for cells in (line.split("|") for line in run.shown().splitlines())
        if len(cells) == 4
    }
    live = gate.request()
    uid = live["metadata"]["uid"]
    assert rows["request"] == f"{live['metadata']['name']} (uid {uid})"
    assert rows["cluster"].startswith(f"{gate.cluster} (kube-system uid ")
    assert rows["subject"] == "CN=kube.operator.cert"
    assert rows["names"] == ", ".join(gate.order.plan.dns_names)
    assert rows["key"].startswith("ECDSA secp256r1, SPKI SHA-256 ")
    assert rows["usages"] == "digital signature, server auth"
    assert (rows["signer"], rows["requester"]) == ("oci.com/osok", live["spec"]["username"])
    assert rows["request SHA-256"] == live["metadata"]["annotations"]["osok-fleet.io/request-sha256"]
    assert rows["validity"] == "397 days, never longer than the CA's"
    assert rows["replaces"].startswith("serial ")


@pytest.mark.usefixtures("unchanged")
def test_a_denial_ends_the_run_and_a_later_one_starts_afresh(gate: Gate) -> None:
    run = gate.waiting()
    first = gate.request()

    ended = run.answer("DENY", "the freeze has begun")

    assert ended.name == "Failed"
    assert "a denial by Ada Lovelace (claimed): the freeze has begun" in str(ended.message)
    assert left_over(gate.client) == []
    later = gate.waiting()
    assert gate.request()["spec"]["request"] != first["spec"]["request"]
    assert later.answer("DENY").name == "Failed"


@pytest.mark.usefixtures("unchanged")
def test_a_retry_of_a_denied_run_asks_again(gate: Gate) -> None:
    run = gate.waiting()
    run.answer("DENY")

    retry(run)

    assert run.go().name == "Suspended"


@pytest.mark.usefixtures("unchanged")
def test_a_denial_by_an_admin_counts_although_the_person_approves(gate: Gate) -> None:
    """R15: `kubectl certificate deny` while the run is suspended."""
    run = gate.waiting()
    deny(gate.client, gate.request())

    ended = run.answer("APPROVE")

    assert ended.name == "Failed"
    assert "a denial in the cluster: KubectlDeny: This CSR was denied by kubectl" in str(ended.message)
    assert left_over(gate.client) == []


@pytest.mark.usefixtures("unchanged")
def test_after_the_deadline_no_answer_is_taken_and_nothing_is_published(gate: Gate) -> None:
    run = gate.waiting(decision_deadline="PT1S")

    ended = wait_for(run.state, lambda state: state.is_final(), deadline_after(PATIENCE))

    assert (ended.name, ended.message) == ("Failed", "The flow was paused and never resumed.")
    assert answer(run.client, run.run_id, decision("APPROVE")).status is SetStateStatus.ABORT
    assert certificate_in(gate.request()) == b""


@pytest.mark.usefixtures("unchanged")
def test_a_retry_after_the_deadline_asks_again(gate: Gate) -> None:
    """Measured with other gates: a suspension that timed out and was retried passed."""
    run = gate.waiting(decision_deadline="PT1S")
    wait_for(run.state, lambda state: state.is_final(), deadline_after(PATIENCE))

    retry(run)

    assert run.go().name == "Suspended"


@pytest.mark.usefixtures("unchanged")
def test_a_retry_of_a_run_that_failed_after_its_approval_asks_again(gate: Gate) -> None:
    """An approval is for one try: what failed meanwhile may be a reason to decide otherwise."""
    run = gate.waiting()
    key = Path(str(gate.authority.key_file))
    content = key.read_bytes()
    key.unlink()
    assert run.answer("APPROVE").name == "Failed"
    key.write_bytes(content)

    retry(run)

    assert run.go().name == "Suspended"
    assert certificate_in(gate.request()) == b""
    assert run.answer("DENY").name == "Failed"


@pytest.mark.usefixtures("unchanged")
def test_other_bytes_than_those_that_were_shown_are_asked_for_again(gate: Gate) -> None:
    """Key, request and object were replaced by some that our own account could have made."""
    run = gate.waiting()
    first, before = run.shown(), gate.request()["metadata"]["uid"]
    stage(gate.client, gate.order)

    again = run.answer("APPROVE")

    assert again.name == "Suspended"
    assert run.shown().splitlines()[2] != first.splitlines()[2]
    assert gate.request()["metadata"]["uid"] != before
    assert certificate_in(gate.request()) == b""


@pytest.mark.usefixtures("unchanged")
def test_a_foreign_request_in_place_of_the_shown_one_is_refused(gate: Gate) -> None:
    """The administrator of these tests is another account than the pipeline's."""
    run = gate.waiting()
    shown = gate.request()
    gate.client.delete(request_ref(shown["metadata"]["name"]), shown["metadata"]["uid"])
    copy = {key: shown["spec"][key] for key in ("request", "signerName", "usages", "expirationSeconds")}
    foreign = {**shown, "metadata": {"name": shown["metadata"]["name"]}, "spec": copy, "status": {}}
    approve(gate.client, gate.client.create(foreign))

    ended = run.answer("APPROVE")

    assert ended.name == "Failed"
    assert "REQUESTER: the requester admin" in str(ended.message)
    assert certificate_in(gate.request()) == b""
    gate.client.delete(request_ref(shown["metadata"]["name"]))


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("force", "ends"),
    [(False, "an answer to what was shown; found a run that was continued without one"), (True, "None")],
    ids=["refused", "asked again when forced"],
)
def test_a_run_that_is_continued_without_an_answer_signs_nothing(
    gate: Gate, *, force: bool, ends: str
) -> None:
    """Whoever may set states can go round the form; there is no decision to carry out then."""
    run = gate.waiting()
    run.client.set_flow_run_state(run.run_id, Scheduled(), force=force)

    state = run.go()

    assert (state.name, ends in str(state.message)) == ("Suspended" if force else "Failed", True)
    assert certificate_in(gate.request()) == b""


@pytest.mark.usefixtures("unchanged")
def test_an_answer_that_names_an_unknown_cluster_signs_nothing(gate: Gate) -> None:
    """A typing error must not approve the cluster that was meant to be left out."""
    ended = gate.waiting().answer("APPROVE", denied_clusters=["installed-0-46-O"])

    assert ended.name == "Failed"
    assert "expected names of clusters that were shown; found installed-0-46-O" in str(ended.message)
    assert certificate_in(gate.request()) == b""


def test_the_decision_cluster_waits_for_kubectl_and_a_retry_reads_it(gate: Gate) -> None:
    """R15 with `approval: cluster`: the person's own identity counts, the pipeline only reads."""
    run = gate.waiting()
    undecided = run.answer("CLUSTER")
    assert undecided.name == "Failed"
    assert "no decision there yet" in str(undecided.message)
    assert "Use kubectl certificate approve" in str(undecided.message)
    retry(run)
    assert run.go().name == "Suspended"
    approve(gate.client, gate.request())

    with put_back_afterwards(gate.client):
        ended = run.answer("CLUSTER")

        assert (ended.name, served(gate.client)) == ("Completed", {"CN=Answers CA"})


def retry(run: OwnRun) -> None:
    """What Retry in the UI does."""
    assert run.client.set_flow_run_state(run.run_id, AwaitingRetry()).status is SetStateStatus.ACCEPT
