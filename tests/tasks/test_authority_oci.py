"""R16, R17: an authority of OCI signs what was shown; request and key are a real cluster's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import oci
import pytest
from oci.certificates_management import models as sdk

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.issuing import Names
from deployments.rehearsal.tenancy.seeding import Seed, Seeded, client_for, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Entry, Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy
from tasks.certificates.oci_signer import certificate_name
from tasks.certificates.requests import request_certificate
from tasks.certificates.signers import signer_for
from tasks.certificates.signing import Decision, IssuedCertificate, check_authority, sign_certificate
from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.core.certificate_orders import PendingRequest, Shown
from tasks.core.certificates.cluster_requests import RequestState, state_of
from tasks.core.certificates.commissions import Commission
from tasks.core.certificates.reading import read_certificates
from tasks.core.errors import CertificateError, DecisionError, TenancyError
from tests.support.certificates import RequestBench, certificate_in, open_bench
from tests.support.tenancies import save_tenancy_block

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("prefect_server")]

REGION = "eu-frankfurt-1"


@dataclass(frozen=True)
class Office:
    """A request that was shown, and a tenancy whose authority would sign it."""

    bench: RequestBench
    pending: PendingRequest
    server: TenancyServer
    place: Place
    seeded: Seeded
    block: CertificateAuthority

    def sign(self, block: CertificateAuthority | None = None) -> IssuedCertificate:
        """Carry an approval out."""
        chosen = block or self.block
        return sign_certificate.fn(
            self.bench.cluster, self.bench.order, self.pending, Decision.APPROVE, chosen
        )

    def made(self) -> list[Entry]:
        """The certificates of requests in the tenancy."""
        entries = self.server.store.all(self.place.tenancy, "Certificate")
        return [entry for entry in entries if entry.model.name != "gateway"]

    @property
    def authority(self) -> Entry:
        """The authority in the tenancy."""
        return self.server.store.get(self.place.tenancy, "CertificateAuthority", self.seeded.authority_id)

    def state(self) -> RequestState:
        """Where the request in the cluster stands."""
        return state_of(self.bench.ours())


@pytest.fixture(scope="module")
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), REGION) as running:
        yield running


@pytest.fixture(scope="module")
def place(server: TenancyServer) -> Place:
    return add_tenancy(server.store, "office", [REGION])


@pytest.fixture(scope="module")
def tenancy(
    server: TenancyServer, place: Place, tmp_path_factory: pytest.TempPathFactory, prefect_server: object
) -> str:
    return save_tenancy_block(server, place, "office", tmp_path_factory.mktemp("tenancy"))


@pytest.fixture
def office(
    control_plane: ControlPlane, server: TenancyServer, place: Place, tenancy: str
) -> Iterator[Office]:
    place.tenancy.objects.clear()
    server.faults.clear()
    seeded = seed(server, place, Seed(leaf_validity="P400D"))
    block = CertificateAuthority(kind=AuthorityKind.OCI, tenancy=tenancy, ocid=seeded.authority_id)
    with open_bench(control_plane) as bench:
        decide_by = datetime.now(UTC) + timedelta(hours=12)
        pending = request_certificate.fn(bench.cluster, bench.order, bench.target, Shown.NOT_YET, decide_by)
        yield Office(bench, pending, server, place, seeded, block)


def below(office: Office) -> CertificateAuthority:
    """The block of an authority below the seeded one."""
    client = client_for(
        oci.certificates_management.CertificatesManagementClient, office.server, office.place.signatory
    )
    end = datetime.now(UTC) + timedelta(days=1000)
    made = client.create_certificate_authority(
        sdk.CreateCertificateAuthorityDetails(
            name="below",
            compartment_id=office.place.compartment_id,
            kms_key_id=office.seeded.key_id,
            certificate_authority_config=sdk.CreateSubordinateCaIssuedByInternalCaConfigDetails(
                subject=sdk.CertificateSubject(common_name="Below"),
                issuer_certificate_authority_id=office.seeded.authority_id,
                signing_algorithm="SHA256_WITH_RSA",
                validity=sdk.Validity(time_of_validity_not_after=end),
            ),
        )
    ).data
    return office.block.model_copy(update={"ocid": made.id})


def test_an_approval_has_the_leaf_issued_by_oci(office: Office) -> None:
    """R15 to R19, with the CA's key in OCI and the leaf's key in the cluster."""
    issued = office.sign()

    root = office.authority.private.certificate
    assert certificate_in(office.bench.ours()) == issued.certificate_pem
    assert issued.spki_sha256 == office.pending.spki_sha256
    assert [one.parsed for one in read_certificates(issued.authority_pem)] == [root]


def test_the_tenancy_never_has_the_leafs_key(office: Office) -> None:
    """R12."""
    office.sign()

    staged, (entry,) = office.bench.staged(), office.made()
    assert staged is not None
    key = staged.key.pkcs8_pem().get_secret_value().decode()
    assert key not in str(entry.model)
    assert vars(entry.private).keys() == {"certificate", "chain_pem"}


def test_below_a_root_the_issuing_authority_comes_first(office: Office) -> None:
    """OLM reads the first block of olmCAKey alone; a chain has no promised order."""
    block = below(office)

    issued = office.sign(block)

    trust = read_certificates(issued.authority_pem)
    assert [one.subject for one in trust] == ["CN=Below", "CN=Rehearsal Mesh Root"]
    assert read_certificates(issued.certificate_pem)[0].issuer == "CN=Below"


def test_a_run_after_a_killed_one_finds_the_certificate(office: Office) -> None:
    """Killed after OCI issued and before the cluster had it: one certificate, and no other one."""
    staged, order, name = office.bench.staged(), office.bench.order, office.pending.shown.name
    assert staged is not None
    commission = Commission(name, staged.request, staged.expectation(order), datetime.now(UTC))
    killed = signer_for(office.block).sign(commission)

    issued = office.sign()

    assert issued.certificate_pem == killed
    assert [entry.model.name for entry in office.made()] == [certificate_name(commission, office.block.ocid)]


def test_an_answer_that_was_lost_makes_no_twin(office: Office) -> None:
    office.server.faults.add(Fault(FaultKind.LOST, path="/20210224/certificates", method="POST", times=1))

    office.sign()

    assert len(office.made()) == 1


def test_another_request_has_a_certificate_of_its_own(office: Office) -> None:
    """A renewal is a new request with a new key, so it is a new certificate, not a version of the old one."""
    first = office.sign()
    bench = office.bench
    bench.delete_requests()
    bench.client.delete(bench.staging_ref())
    decide_by = datetime.now(UTC) + timedelta(hours=12)
    renewed = replace(
        office,
        pending=request_certificate.fn(bench.cluster, bench.order, bench.target, Shown.NOT_YET, decide_by),
    )

    second = renewed.sign()

    assert len(office.made()) == 2
    assert first.spki_sha256 != second.spki_sha256


@pytest.mark.parametrize("state", ["PENDING_DELETION", "FAILED"])
def test_an_authority_that_is_not_active_approves_nothing(office: Office, state: str) -> None:
    """R26; nobody can take an approval back."""
    office.authority.model.lifecycle_state = state

    with pytest.raises(TenancyError, match=f"found the state {state}"):
        office.sign()

    assert (office.state(), office.made()) == (RequestState.PENDING, [])
    assert office.bench.staged() is not None


def test_a_rule_that_is_too_short_is_told_before_anybody_is_asked(office: Office) -> None:
    """R26."""
    office.authority.model.certificate_authority_rules[0].leaf_certificate_max_validity_duration = "P90D"

    with pytest.raises(CertificateError, match="at least 397 days; found P90D") as refused:
        check_authority.fn(office.bench.cluster, office.bench.order, office.block)

    assert "Set certificate.validity to P90D or less" in refused.value.next_step


def test_an_authority_that_may_not_sign_our_names_is_told_before_anybody_is_asked(office: Office) -> None:
    rule = sdk.CertificateAuthorityIssuanceRule(
        name_constraint=sdk.NameConstraint(
            permitted_subtree=[sdk.NameConstraintSubtreeNode(type="DNS", value="example.com")]
        )
    )
    client = client_for(
        oci.certificates_management.CertificatesManagementClient, office.server, office.place.signatory
    )
    end = datetime.now(UTC) + timedelta(days=1000)
    made = client.create_certificate_authority(
        sdk.CreateCertificateAuthorityDetails(
            name="narrow",
            compartment_id=office.place.compartment_id,
            kms_key_id=office.seeded.key_id,
            certificate_authority_config=sdk.CreateRootCaByGeneratingInternallyConfigDetails(
                subject=sdk.CertificateSubject(common_name="Narrow"),
                validity=sdk.Validity(time_of_validity_not_after=end),
            ),
            certificate_authority_rules=[rule],
        )
    ).data
    block = office.block.model_copy(update={"ocid": made.id})

    with pytest.raises(CertificateError, match="its name constraints do not permit every name"):
        check_authority.fn(office.bench.cluster, office.bench.order, block)


def test_a_request_that_oci_refuses_is_over(office: Office) -> None:
    """What a service may refuse cannot all be known before; the next run starts afresh."""
    office.authority.private = replace(office.authority.private, names=Names(excluded=("svc",)))

    with pytest.raises(CertificateError, match="outside the authority's name constraint"):
        office.sign()

    assert (office.bench.requests(), office.bench.staged()) == ([], None)


def test_a_missing_right_leaves_everything_for_the_next_run(office: Office) -> None:
    """OCI answers 404 for a right that is missing, which a person can grant meanwhile."""
    office.server.faults.add(
        Fault(FaultKind.NOT_FOUND, path="/20210224/certificates", method="POST", times=1)
    )
    with pytest.raises(TenancyNotFoundError, match=r"Grant .*: use certificate-authority-delegate"):
        office.sign()

    issued = office.sign()

    assert (office.state(), len(office.made())) == (RequestState.ISSUED, 1)
    assert issued.decided == "approved by the pipeline on behalf of the person at the gate"


def test_another_authority_than_the_one_that_was_shown_signs_nothing(office: Office) -> None:
    """The block was changed after the decision."""
    shown = check_authority.fn(office.bench.cluster, office.bench.order, office.block)
    decided = replace(office, pending=replace(office.pending, authority=shown))

    with pytest.raises(DecisionError, match="expected the CA that was shown: OCI: CN=Rehearsal Mesh Root"):
        decided.sign(below(office))

    assert (office.state(), office.made()) == (RequestState.PENDING, [])
