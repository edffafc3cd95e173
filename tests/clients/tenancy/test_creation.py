"""R24-R28: making prerequisites, and making them again without twins."""

import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from time import monotonic

import pytest

from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.seeding import Seed, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place, add_key, add_vault
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.certificates import find_authority, find_certificate
from tasks.clients.tenancy.compartments import read_policy_world
from tasks.clients.tenancy.creation import (
    Site,
    create_authority,
    create_certificate,
    create_dynamic_group,
    create_key,
    create_policy,
    create_vault,
    raise_leaf_rule,
)
from tasks.clients.tenancy.traffic import TenancyTraffic
from tasks.clients.tenancy.vaults import find_key, find_vault
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyError, TenancyUnavailableError
from tasks.core.prerequisites.authorities import check_authority
from tasks.core.prerequisites.certificates import check_certificate
from tasks.core.prerequisites.findings import Status
from tasks.core.prerequisites.readings import AuthorityFacts, KeyFacts
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
)
from tasks.core.prerequisites.vaults import check_key, check_vault
from tasks.core.prerequisites.wishes import VaultKind

HOSTS = ("shop.example.com", "*.api.example.com")
VAULT = CreateVault("made", VaultKind.DEFAULT)
KEY = CreateKey("made", 2048)
AUTHORITY = CreateAuthority("made", "Made Root CA", 3650, 90)
CERTIFICATE = CreateCertificate("made", HOSTS, 90)
GROUP = CreateDynamicGroup("made", "ANY {instance.compartment.id = 'c'}")
POLICY = CreatePolicy("made", ("Allow dynamic-group made to use keys in tenancy",))


@pytest.fixture
def site(calls: TenancyCalls, place: Place) -> Site:
    return Site(calls, calls, place.compartment_id, datetime.now(UTC))


def make_everything(site: Site) -> list[str]:
    group, policy = create_dynamic_group(site, GROUP), create_policy(site, POLICY)
    vault = create_vault(site, VAULT)
    key = create_key(site, KEY, vault)
    authority = create_authority(site, AUTHORITY, key)
    return [group, policy, vault, key, authority, create_certificate(site, CERTIFICATE, authority)]


def kinds(server: TenancyServer, place: Place) -> Counter[str]:
    made = [
        entry
        for entry in server.store.tenancies[place.tenancy.id].objects.values()
        if getattr(entry.model, "freeform_tags", None) == {"managed-by": "osok-fleet"}
    ]
    return Counter(entry.kind for entry in made)


ONE_OF_EACH = Counter(["DynamicGroup", "Policy", "Vault", "Key", "CertificateAuthority", "Certificate"])


def test_what_is_made_meets_the_requirements(calls: TenancyCalls, site: Site, place: Place) -> None:
    make_everything(site)
    now = datetime.now(UTC)

    vault = find_vault(calls, place.compartment_id, "made")
    key = find_key(calls, vault, place.compartment_id, "made")
    authority = find_authority(calls, place.compartment_id, "made")
    certificate = find_certificate(calls, place.compartment_id, "made")
    assert isinstance(key, KeyFacts)
    findings = (
        *check_vault(vault),
        *check_key(key),
        *check_authority(authority, key.id, now),
        *check_certificate(certificate, HOSTS, now),
    )

    assert {finding.status for finding in findings} == {Status.PASS}


def test_policies_and_groups_are_read_back(calls: TenancyCalls, site: Site, place: Place) -> None:
    make_everything(site)

    world = read_policy_world(calls, place.compartment_id, [])

    assert "made" in [group.name for group in world.directory.dynamic_groups]
    assert POLICY.statements[0] in [statement.text for statement in world.statements]


def test_making_it_again_makes_nothing(server: TenancyServer, site: Site, place: Place) -> None:
    first = make_everything(site)
    server.traffic.operations.clear()

    assert make_everything(site) == first
    assert not [path for path in server.traffic.operations if path.startswith("POST")]
    assert kinds(server, place) == ONE_OF_EACH


@pytest.mark.parametrize(
    "path",
    ["/20160918", "/20180608/vaults", "/20180608/keys", "/20210224/certificateAuthorities", "/20210224"],
)
def test_a_lost_answer_makes_no_twin(server: TenancyServer, site: Site, place: Place, path: str) -> None:
    server.faults.add(Fault(FaultKind.LOST, path, times=2, method="POST"))

    make_everything(site)

    assert kinds(server, place) == ONE_OF_EACH


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_with_requests_failing_everything_is_made_once(
    server: TenancyServer, site: Site, place: Place, share: float
) -> None:
    server.faults.add(Fault(FaultKind.LOST, share=share / 2))
    server.faults.add(Fault(FaultKind.BROKEN, share=share / 2))
    for _ in range(20):
        try:
            make_everything(site)
            break
        except TenancyUnavailableError:
            # As a person would: run it again.
            continue

    assert kinds(server, place) == ONE_OF_EACH


def test_an_object_that_is_being_deleted_is_not_doubled(
    server: TenancyServer, site: Site, place: Place
) -> None:
    leaving = add_vault(server.store, place, server.region, server.url)
    leaving.model.display_name = "made"
    leaving.model.lifecycle_state = "PENDING_DELETION"

    with pytest.raises(TenancyError, match="Cancel its deletion, or choose another name"):
        create_vault(site, VAULT)

    assert kinds(server, place) == Counter()


def test_an_authority_that_fails_is_not_waited_for(server: TenancyServer, site: Site, place: Place) -> None:
    vault = add_vault(server.store, place, server.region, server.url)
    key = add_key(server.store, place, vault)

    def fail(_count: int) -> None:
        (entry,) = server.store.all(place.tenancy, "CertificateAuthority")
        entry.model.lifecycle_state = "FAILED"
        entry.transition = None

    server.after_write = fail

    with pytest.raises(TenancyError, match=r"found FAILED.* a missing right to use the key"):
        create_authority(site, AUTHORITY, key.model.id)


def test_a_rule_is_raised_and_the_others_stay(
    server: TenancyServer, calls: TenancyCalls, site: Site, place: Place
) -> None:
    seeded = seed(server, place, Seed(leaf_validity="P30D", certificate_days=29))

    raise_leaf_rule(site, RaiseLeafRule(seeded.authority_id, "mesh", 90))

    authority = find_authority(calls, place.compartment_id, "mesh")
    (entry,) = server.store.all(place.tenancy, "CertificateAuthority")
    (rule,) = entry.model.certificate_authority_rules
    assert isinstance(authority, AuthorityFacts)
    assert authority.leaf_validity == "P90D"
    assert rule.certificate_authority_max_validity_duration == "P3650D"


def test_an_authority_without_a_rule_gets_one(
    server: TenancyServer, calls: TenancyCalls, site: Site, place: Place
) -> None:
    seeded = seed(server, place, Seed(leaf_validity=""))

    raise_leaf_rule(site, RaiseLeafRule(seeded.authority_id, "mesh", 60))

    authority = find_authority(calls, place.compartment_id, "mesh")
    assert isinstance(authority, AuthorityFacts)
    assert authority.leaf_validity == "P60D"


def start_run(calls: TenancyCalls, place: Place) -> ForkProcess:
    """A process of its own that makes everything; it signs with what it inherits."""

    def run() -> None:
        deadline = Deadline.after(timedelta(minutes=5), monotonic)
        own = TenancyCalls("acme", calls.identity, calls.address, deadline, TenancyTraffic())
        make_everything(Site(own, own, place.compartment_id, datetime.now(UTC)))

    process = get_context("fork").Process(target=run)
    process.start()
    return process


@pytest.mark.parametrize("number", range(1, 7))
def test_a_run_that_is_killed_at_a_step_is_finished_by_the_next(
    server: TenancyServer, calls: TenancyCalls, place: Place, number: int
) -> None:
    first = start_run(calls, place)
    server.after_write = lambda count: first.kill() if count == number else None
    first.join()
    second = start_run(calls, place)
    second.join()

    assert (first.exitcode, second.exitcode) == (-signal.SIGKILL, 0)
    assert kinds(server, place) == ONE_OF_EACH
