"""After the decision, on a real API server: what was shown is signed, and nothing else ever is (R15–R19)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.certificate_authority import CertificateAuthority
from deployments.rehearsal.control_plane import ControlPlane
from tasks.certificates.authorities import open_authority
from tasks.certificates.requests import request_certificate
from tasks.certificates.signing import (
    Decision,
    IssuedCertificate,
    discard_denied_request,
    sign_certificate,
)
from tasks.certificates.staging import discard_staged, stage
from tasks.clients.cluster import ClusterClient
from tasks.core.certificate_orders import PendingRequest, Shown
from tasks.core.certificates.cluster_requests import RequestState, state_of
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import generate_key
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tasks.core.errors import CertificateError, DecisionError, InputError
from tasks.core.manifests import Manifest
from tests.support.certificates import (
    REPLACED,
    Hostile,
    RequestBench,
    approve,
    certificate_in,
    deny,
    open_bench,
    other_account,
    put_certificate,
    write_authority,
)

pytestmark = pytest.mark.cluster

ByHand = Callable[[ClusterClient, Manifest], Manifest]
BY_HAND: dict[str, ByHand] = {"pending": lambda _, manifest: manifest, "approved by hand": approve}


@dataclass(frozen=True)
class Gate:
    """A request that was shown, and the CA that would sign it."""

    bench: RequestBench
    pending: PendingRequest
    authority: CertificateAuthority

    def sign(self, decision: Decision = Decision.APPROVE) -> IssuedCertificate:
        """Carry a decision out."""
        bench = self.bench
        return sign_certificate.fn(bench.cluster, bench.order, self.pending, decision, self.authority)

    def certificate(
        self, *, authority: CertificateAuthority | None = None, foreign_key: bool = False
    ) -> bytes:
        """A certificate for our names by some CA, for our key or for a foreign one."""
        staged, plan = self.bench.staged(), self.bench.order.plan
        assert staged is not None
        key = generate_key() if foreign_key else staged.key
        request = build_request(key, plan)
        expectation = RequestExpectation(plan, key.spki_sha256)
        return sign_request(
            request, expectation, open_authority(authority or self.authority), datetime.now(UTC)
        ).pem

    def assert_nothing_of_ours_is_left(self) -> None:
        """Key and request are gone, so the next run starts afresh."""
        assert self.bench.client.get(self.bench.staging_ref()) is None
        assert self.bench.requests() == []


@pytest.fixture(name="bench")
def _bench(control_plane: ControlPlane) -> Iterator[RequestBench]:
    with open_bench(control_plane) as bench:
        yield bench


@pytest.fixture(name="gate")
def _gate(bench: RequestBench, tmp_path: Path) -> Gate:
    now = datetime.now(UTC)
    pending = request_certificate.fn(
        bench.cluster, bench.order, bench.target, Shown.NOT_YET, now + timedelta(hours=12)
    )
    return Gate(bench, pending, write_authority(tmp_path))


def test_an_approval_signs_what_was_shown(gate: Gate) -> None:
    """R15 to R19."""
    issued = gate.sign()

    live = gate.bench.ours()
    assert state_of(live) is RequestState.ISSUED
    assert certificate_in(live) == issued.certificate_pem
    assert live["status"]["conditions"][0]["message"].endswith(gate.pending.shown.digest)
    assert issued.spki_sha256 == gate.pending.spki_sha256
    assert issued.decided == "approved by the pipeline on behalf of the person at the gate"


def test_signing_again_gives_the_same_certificate(gate: Gate) -> None:
    """A run that was killed between signing and publishing: never two certificates for one decision."""
    first = gate.sign()

    again = gate.sign()

    assert again.certificate_pem == first.certificate_pem
    assert again.decided == "approved by the pipeline on behalf of the person at the gate"


def test_an_approval_in_the_cluster_is_enough_for_the_decision_cluster(gate: Gate) -> None:
    """R15: `kubectl certificate approve` by somebody else counts."""
    approve(gate.bench.client, gate.bench.ours())

    issued = gate.sign(Decision.CLUSTER)

    assert issued.decided == "approved in the cluster"
    assert certificate_in(gate.bench.ours()) == issued.certificate_pem


def test_without_an_approval_in_the_cluster_nothing_is_decided(gate: Gate) -> None:
    with pytest.raises(DecisionError, match="no decision there yet"):
        gate.sign(Decision.CLUSTER)

    assert state_of(gate.bench.ours()) is RequestState.PENDING
    assert gate.bench.staged() is not None


@pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.CLUSTER])
def test_a_denial_in_the_cluster_outweighs_the_decision(gate: Gate, decision: Decision) -> None:
    deny(gate.bench.client, gate.bench.ours())

    with pytest.raises(DecisionError, match="a denial in the cluster"):
        gate.sign(decision)

    gate.assert_nothing_of_ours_is_left()


@pytest.mark.parametrize("by_hand", BY_HAND.values(), ids=BY_HAND)
@pytest.mark.parametrize("case", REPLACED.values(), ids=REPLACED)
def test_a_request_that_took_the_place_of_the_shown_one_is_not_signed(
    gate: Gate, case: Hostile, by_hand: ByHand
) -> None:
    hostile = by_hand(gate.bench.client, gate.bench.put(gate.bench.hostile(case)))

    with pytest.raises(CertificateError, match=case.refused):
        gate.sign()

    assert_left_alone(gate, hostile)


def test_the_same_bytes_in_another_object_are_not_signed(gate: Gate) -> None:
    """The decision is bound to one object: another uid may have another requester or history."""
    staged = gate.bench.staged()
    assert staged is not None
    hostile = gate.bench.put(gate.bench.request_for(staged.request))

    with pytest.raises(CertificateError, match="OTHER_OBJECT: "):
        gate.sign()

    assert_left_alone(gate, hostile)


def test_our_bytes_requested_by_another_account_are_not_signed(
    gate: Gate, control_plane: ControlPlane
) -> None:
    staged = gate.bench.staged()
    assert staged is not None
    other = other_account(control_plane, gate.bench.order.namespace)
    hostile = gate.bench.put(gate.bench.request_for(staged.request), other)

    with pytest.raises(CertificateError, match="REQUESTER: the requester system:serviceaccount:requests-"):
        gate.sign()

    assert_left_alone(gate, hostile)


@pytest.mark.parametrize("by_hand", BY_HAND.values(), ids=BY_HAND)
def test_a_certificate_for_a_foreign_key_in_the_status_is_refused(gate: Gate, by_hand: ByHand) -> None:
    """R19: even one that our own CA signed."""
    live = by_hand(gate.bench.client, gate.bench.ours())
    put_certificate(gate.bench.client, live, gate.certificate(foreign_key=True))

    with pytest.raises(CertificateError, match="FOREIGN_KEY: "):
        gate.sign()

    gate.assert_nothing_of_ours_is_left()


def test_a_certificate_by_another_ca_in_the_status_is_refused(gate: Gate, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    foreign = gate.certificate(authority=write_authority(folder, "Other CA"))
    put_certificate(gate.bench.client, approve(gate.bench.client, gate.bench.ours()), foreign)

    with pytest.raises(CertificateError, match="CHAIN: "):
        gate.sign()

    gate.assert_nothing_of_ours_is_left()


def test_a_certificate_that_we_would_have_issued_is_accepted(gate: Gate) -> None:
    """A signer of its own may serve our signer name with the same CA."""
    theirs = gate.certificate()
    put_certificate(gate.bench.client, approve(gate.bench.client, gate.bench.ours()), theirs)

    assert gate.sign(Decision.CLUSTER).certificate_pem == theirs


def test_a_request_with_a_foreign_certificate_is_not_even_approved(
    gate: Gate, control_plane: ControlPlane
) -> None:
    """Nobody can take an approval back, so what stands in the status is judged first."""
    put_certificate(gate.bench.client, gate.bench.ours(), gate.certificate(foreign_key=True))

    with pytest.raises(CertificateError, match="FOREIGN_KEY: "):
        gate.sign()

    name = gate.pending.shown.name
    asked = {one.subresource for one in control_plane.audited_requests() if one.name == name}
    assert asked == {"", "status"}


def test_a_request_that_was_deleted_is_not_signed(gate: Gate) -> None:
    gate.bench.delete_requests()

    with pytest.raises(CertificateError, match="deleted, or collected 24 hours after its creation"):
        gate.sign()

    gate.assert_nothing_of_ours_is_left()


def test_without_the_staged_key_nothing_is_signed(gate: Gate) -> None:
    discard_staged(gate.bench.client, gate.bench.order)

    with pytest.raises(CertificateError, match="use the staged key"):
        gate.sign()

    gate.assert_nothing_of_ours_is_left()


def test_another_staged_key_is_not_served(gate: Gate) -> None:
    """The staging Secret was replaced: the request is not for the key that would be published."""
    stage(gate.bench.client, gate.bench.order)

    with pytest.raises(CertificateError, match="FOREIGN_KEY: "):
        gate.sign()

    gate.assert_nothing_of_ours_is_left()


def test_an_authority_that_cannot_be_opened_approves_nothing(gate: Gate) -> None:
    """The approval on a person's behalf comes last: nobody can take it back."""
    Path(str(gate.authority.key_file)).unlink()

    with pytest.raises(InputError, match="open the certificate authority"):
        gate.sign()

    assert state_of(gate.bench.ours()) is RequestState.PENDING
    assert gate.bench.staged() is not None


def test_a_denial_removes_request_and_key(gate: Gate) -> None:
    """R15."""
    discard_denied_request.fn(gate.bench.cluster, gate.bench.order, gate.pending)

    gate.assert_nothing_of_ours_is_left()


def test_a_denial_removes_the_key_of_a_request_that_is_gone(gate: Gate) -> None:
    gate.bench.delete_requests()

    discard_denied_request.fn(gate.bench.cluster, gate.bench.order, gate.pending)

    gate.assert_nothing_of_ours_is_left()


def test_a_denial_leaves_the_request_of_somebody_else(gate: Gate) -> None:
    hostile = gate.bench.put(gate.bench.hostile(REPLACED["another signer"]))

    discard_denied_request.fn(gate.bench.cluster, gate.bench.order, gate.pending)

    assert_left_alone(gate, hostile)


def test_what_is_handed_on_is_public(gate: Gate) -> None:
    """R12: the key stays in the staging Secret; results of tasks go through Prefect."""
    staged = gate.bench.staged()
    assert staged is not None
    key = staged.key.pkcs8_pem().get_secret_value()

    issued = gate.sign()

    assert key not in issued.certificate_pem + issued.authority_pem + repr(issued).encode()
    assert len(read_certificates(issued.certificate_pem)) == 1


def assert_left_alone(gate: Gate, hostile: Manifest) -> None:
    """Nothing was signed, the foreign object stays as evidence, and our key is gone."""
    assert gate.bench.ours() == hostile
    assert certificate_in(hostile) == b""
    assert gate.bench.client.get(gate.bench.staging_ref()) is None
