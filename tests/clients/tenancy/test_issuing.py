"""R16, R17: a certificate for a request from an OCI authority, once, whatever happens on the way."""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from time import monotonic

import pytest
from cryptography import x509

from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.issuing import Names
from deployments.rehearsal.tenancy.seeding import Seeded
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Entry
from deployments.rehearsal.tenancy.world import Place
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.certificates import require_authority
from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.clients.tenancy.issuing import IssueOrder, issue_certificate, read_authority_chain
from tasks.clients.tenancy.making import TenancyObjectError
from tasks.clients.tenancy.traffic import TenancyTraffic
from tasks.core.certificates.keys import PrivateKey, generate_key
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import recommended_plan
from tasks.core.certificates.requests import build_request
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyError, TenancyUnavailableError

PLAN = recommended_plan(WebhookTarget("mesh", ("manager",)))


@pytest.fixture
def key() -> PrivateKey:
    return generate_key()


@pytest.fixture
def order(place: Place, seeded: Seeded, key: PrivateKey) -> IssueOrder:
    return IssueOrder(
        "osok-fleet-1",
        "a test's",
        place.compartment_id,
        seeded.authority_id,
        build_request(key, PLAN),
        datetime.now(UTC) + timedelta(days=60),
    )


def made(server: TenancyServer, place: Place) -> list[Entry]:
    """The certificates of requests, without the gateway's."""
    entries = server.store.all(place.tenancy, "Certificate")
    return [entry for entry in entries if entry.model.name != "gateway"]


def authority_of(server: TenancyServer, place: Place, seeded: Seeded) -> Entry:
    return server.store.get(place.tenancy, "CertificateAuthority", seeded.authority_id)


def test_the_authority_signs_the_requests_key_names_and_end(
    calls: TenancyCalls, order: IssueOrder, key: PrivateKey
) -> None:
    leaf = x509.load_pem_x509_certificate(issue_certificate(calls, order))

    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert leaf.public_key() == key.public_key
    assert tuple(names.get_values_for_type(x509.DNSName)) == PLAN.dns_names
    assert leaf.not_valid_after_utc == order.not_after.replace(microsecond=0)


def test_the_object_is_marked_as_ours_and_tells_what_it_is_for(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    issue_certificate(calls, order)

    (entry,) = made(server, place)
    assert entry.model.freeform_tags == {"managed-by": "osok-fleet"}
    assert entry.model.config_type == "MANAGED_EXTERNALLY_ISSUED_BY_INTERNAL_CA"


def test_asking_again_gives_the_same_certificate(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    """A run that was killed between the issue and the cluster."""
    first = issue_certificate(calls, order)

    again = issue_certificate(calls, replace(order, not_after=order.not_after + timedelta(days=1)))

    assert (again, len(made(server, place))) == (first, 1)


def test_a_run_that_is_killed_when_oci_has_issued_leaves_its_certificate_to_the_next(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    def run() -> None:
        deadline = Deadline.after(timedelta(minutes=5), monotonic)
        own = TenancyCalls("acme", calls.identity, calls.address, deadline, TenancyTraffic())
        issue_certificate(own, order)

    first = get_context("fork").Process(target=run)
    first.start()
    server.after_write = lambda _: first.kill()
    first.join()

    issue_certificate(calls, order)

    assert (first.exitcode, len(made(server, place))) == (-signal.SIGKILL, 1)


@pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.RESET, FaultKind.BROKEN, FaultKind.THROTTLED])
def test_a_fault_on_the_way_makes_no_twin(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder, kind: FaultKind
) -> None:
    server.faults.add(Fault(kind, path="/20210224/certificates", method="POST", times=2))

    issue_certificate(calls, order)

    assert len(made(server, place)) == 1


def test_a_certificate_that_never_becomes_active_ends_at_the_deadline(
    server: TenancyServer, calls: TenancyCalls, order: IssueOrder
) -> None:
    server.store.settle = timedelta(days=1)

    with pytest.raises(TenancyUnavailableError, match="the deadline passed"):
        issue_certificate(calls, order)


def test_a_certificate_that_failed_is_told_with_its_reason(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    server.store.settle = timedelta(days=1)
    server.after_write = lambda _: fail(made(server, place)[0])

    with pytest.raises(TenancyObjectError, match="found FAILED the key may not be used"):
        issue_certificate(calls, order)


def fail(entry: Entry) -> None:
    entry.model.lifecycle_state, entry.transition = "FAILED", None
    entry.model.lifecycle_details = "the key may not be used"


def test_a_certificate_that_failed_before_keeps_its_name_and_is_told(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    issue_certificate(calls, order)
    fail(made(server, place)[0])

    with pytest.raises(TenancyObjectError, match=r"in FAILED\. Delete it"):
        issue_certificate(calls, replace(order, not_after=order.not_after - timedelta(days=1)))


def test_a_certificate_on_its_way_out_has_no_twin(
    server: TenancyServer, place: Place, calls: TenancyCalls, order: IssueOrder
) -> None:
    issue_certificate(calls, order)
    made(server, place)[0].model.lifecycle_state = "PENDING_DELETION"

    with pytest.raises(TenancyObjectError, match="in PENDING_DELETION"):
        issue_certificate(calls, order)

    assert len(made(server, place)) == 1


def test_a_name_that_the_authority_may_not_sign_is_told_with_the_services_reason(
    server: TenancyServer, place: Place, seeded: Seeded, calls: TenancyCalls, order: IssueOrder
) -> None:
    entry = authority_of(server, place, seeded)
    entry.private = replace(entry.private, names=Names(permitted=("example.com",)))

    with pytest.raises(TenancyError, match=r"the name manager\.mesh is outside the authority's name"):
        issue_certificate(calls, order)


def test_an_end_beyond_the_authoritys_rule_is_told_with_the_services_reason(
    calls: TenancyCalls, order: IssueOrder
) -> None:
    beyond = replace(order, not_after=order.not_after + timedelta(days=60))

    with pytest.raises(TenancyError, match="the validity is longer than the authority allows"):
        issue_certificate(calls, beyond)


def test_the_chain_of_an_authority_is_read(
    server: TenancyServer, place: Place, seeded: Seeded, calls: TenancyCalls
) -> None:
    issuing, above = read_authority_chain(calls, seeded.authority_id)

    live = authority_of(server, place, seeded).private.certificate
    assert (x509.load_pem_x509_certificate(issuing), above) == (live, b"")


UNABLE = {
    "to be deleted": ("lifecycle_state", "PENDING_DELETION", "the state PENDING_DELETION"),
    "failed": ("lifecycle_state", "FAILED", "the state FAILED"),
    "waiting for a person": ("lifecycle_state", "PENDING_ACTIVATION", "the state PENDING_ACTIVATION"),
    "with its key elsewhere": ("config_type", "ROOT_CA_MANAGED_EXTERNALLY", "the kind ROOT_CA_MANAGED"),
}


@pytest.mark.parametrize("case", UNABLE.values(), ids=UNABLE)
def test_an_authority_that_cannot_issue_is_refused(
    server: TenancyServer, place: Place, seeded: Seeded, calls: TenancyCalls, case: tuple[str, str, str]
) -> None:
    """R26."""
    field, value, found = case
    setattr(authority_of(server, place, seeded).model, field, value)

    with pytest.raises(TenancyError, match=found):
        require_authority(calls, seeded.authority_id)


def test_an_authority_that_is_being_changed_is_waited_for(
    server: TenancyServer, place: Place, seeded: Seeded, calls: TenancyCalls
) -> None:
    entry = authority_of(server, place, seeded)
    entry.model.lifecycle_state = "UPDATING"
    server.store.change_later(entry, "ACTIVE")

    assert require_authority(calls, seeded.authority_id).lifecycle_state == "ACTIVE"


def test_an_authority_that_nobody_may_see_is_not_called_missing(calls: TenancyCalls) -> None:
    with pytest.raises(TenancyNotFoundError, match="It is absent, or this identity may not see it"):
        require_authority(calls, "ocid1.certificateauthority.oc1.eu-frankfurt-1.none")
