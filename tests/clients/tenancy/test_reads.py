"""R23-R28: what is read from the services, as facts."""

from datetime import UTC, datetime, timedelta

import pytest
from oci.identity import models as sdk

from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.seeding import Seeded
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place, add_cluster, add_key, add_vault
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.certificates import find_authority, find_certificate
from tasks.clients.tenancy.clusters import read_clusters
from tasks.clients.tenancy.compartments import (
    read_lineage,
    read_policy_world,
    read_regions,
    read_tree,
)
from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.clients.tenancy.mesh import probe_control_plane
from tasks.clients.tenancy.vaults import find_key, find_vault
from tasks.core.fleets import Branch
from tasks.core.iam.principals import Instance, User
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)


def test_a_compartment_is_read_with_its_ancestors(calls: TenancyCalls, place: Place) -> None:
    lineage = read_lineage(calls, place.compartment_id)

    assert [compartment.name for compartment in lineage.compartments] == ["acme", "platform", "mesh"]
    assert lineage.path == "platform:mesh"


def test_the_policies_of_all_ancestors_are_read(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    world = read_policy_world(calls, place.compartment_id, [Instance(place.compartment_id)])

    assert len(world.statements) == 12
    assert [group.name for group in world.directory.dynamic_groups] == ["osok-nodes"]
    assert world.unread == ()
    assert server.traffic.operations["GET /20160918/policies"] == 3


def test_policies_that_may_not_be_read_are_named(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    server.faults.add(Fault(FaultKind.NOT_FOUND, "/20160918/policies", times=1))
    server.faults.add(Fault(FaultKind.NOT_FOUND, "/20160918/dynamicGroups"))

    world = read_policy_world(calls, place.compartment_id, [])

    assert world.unread == (
        "the policies of the compartment acme",
        "the dynamic groups of the tenancy",
    )


def test_a_users_groups_are_read_by_name(server: TenancyServer, calls: TenancyCalls, place: Place) -> None:
    user_id = place.signatory.user_id
    group = sdk.Group(
        id="ocid1.group.oc1..g", compartment_id=place.tenancy.id, name="Operators", lifecycle_state="ACTIVE"
    )
    membership = sdk.UserGroupMembership(
        id="ocid1.membership.oc1..m", compartment_id=place.tenancy.id, group_id=group.id, user_id=user_id
    )
    server.store.put(place.tenancy, "Group", group)
    server.store.put(place.tenancy, "UserGroupMembership", membership)

    world = read_policy_world(calls, place.compartment_id, [User(user_id, "operator")])

    assert [item.name for item in world.directory.groups] == ["Operators"]
    assert world.directory.group_ids_of(user_id) == {"ocid1.group.oc1..g"}


def test_a_compartment_that_is_not_seen_is_an_error(calls: TenancyCalls) -> None:
    with pytest.raises(TenancyNotFoundError):
        read_policy_world(calls, "ocid1.compartment.oc1..nobody", [])


def test_regions_and_compartments_are_listed(calls: TenancyCalls) -> None:
    assert read_regions(calls) == ("eu-frankfurt-1", "eu-zurich-1")
    assert [item.path for item in read_tree(calls, calls.identity.tenancy_id)] == [
        "acme",
        "platform",
        "platform:mesh",
    ]


@pytest.mark.usefixtures("seeded")
def test_vault_and_key_are_found_by_name(calls: TenancyCalls, place: Place) -> None:
    vault = find_vault(calls, place.compartment_id, "mesh")
    key = find_key(calls, vault, place.compartment_id, "mesh")

    assert isinstance(vault, VaultFacts)
    assert isinstance(key, KeyFacts)
    assert (vault.lifecycle_state, vault.vault_type, vault.twins) == ("ACTIVE", "DEFAULT", 0)
    assert (key.lifecycle_state, key.protection_mode, key.algorithm, key.length_bytes) == (
        "ENABLED",
        "HSM",
        "RSA",
        256,
    )


def test_vault_and_key_are_found_by_ocid(calls: TenancyCalls, place: Place, seeded: Seeded) -> None:
    vault = find_vault(calls, place.compartment_id, seeded.vault_id)
    key = find_key(calls, vault, place.compartment_id, seeded.key_id)

    assert isinstance(vault, VaultFacts)
    assert isinstance(key, KeyFacts)
    assert (vault.id, key.id) == (seeded.vault_id, seeded.key_id)


def test_a_name_that_two_usable_vaults_bear_is_counted(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    add_vault(server.store, place, server.region, server.url).model.lifecycle_state = "PENDING_DELETION"
    wanted = add_vault(server.store, place, server.region, server.url)
    add_vault(server.store, place, server.region, server.url)

    vault = find_vault(calls, place.compartment_id, "mesh")

    assert isinstance(vault, VaultFacts)
    assert (vault.id, vault.twins) == (wanted.model.id, 1)


def test_an_absent_vault_is_not_seen_among_those_that_are(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    add_vault(server.store, place, server.region, server.url)

    by_name = find_vault(calls, place.compartment_id, "other")
    by_id = find_vault(calls, place.compartment_id, "ocid1.vault.oc1..other")

    where = f"the compartment {place.compartment_id}"
    assert by_name == NotSeen("the vault other", where, 1)
    assert by_id == NotSeen("the vault ocid1.vault.oc1..other", where, 1)


def test_a_404_for_object_and_list_decides_nothing(
    server: TenancyServer, calls: TenancyCalls, place: Place, seeded: Seeded
) -> None:
    server.faults.add(Fault(FaultKind.NOT_FOUND, "/20180608"))

    vault = find_vault(calls, place.compartment_id, seeded.vault_id)

    assert vault == NotSeen(f"the vault {seeded.vault_id}", f"the compartment {place.compartment_id}", None)


@pytest.mark.usefixtures("seeded")
def test_a_service_without_an_answer_leaves_the_object_unread(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    server.faults.add(Fault(FaultKind.BROKEN, "/20180608"))

    vault = find_vault(calls, place.compartment_id, "mesh")
    key = find_key(calls, vault, place.compartment_id, "mesh")

    assert isinstance(vault, Unread)
    assert "HTTP 500" in vault.reason
    assert isinstance(key, Unread)


def test_keys_of_other_vaults_do_not_count(server: TenancyServer, calls: TenancyCalls, place: Place) -> None:
    mine = add_vault(server.store, place, server.region, server.url)
    other = add_vault(server.store, place, server.region, server.url)
    add_key(server.store, place, other)
    vault = find_vault(calls, place.compartment_id, mine.model.id)

    key = find_key(calls, vault, place.compartment_id, "mesh")

    assert isinstance(key, NotSeen)


def test_an_authority_is_read_with_its_rule_and_validity(
    calls: TenancyCalls, place: Place, seeded: Seeded
) -> None:
    authority = find_authority(calls, place.compartment_id, "mesh")

    assert isinstance(authority, AuthorityFacts)
    assert authority.not_after is not None
    assert (authority.id, authority.key_id) == (seeded.authority_id, seeded.key_id)
    assert (authority.lifecycle_state, authority.leaf_validity, authority.signing_algorithm) == (
        "ACTIVE",
        "P90D",
        "SHA256_WITH_RSA",
    )
    assert authority.not_after - datetime.now(UTC) > timedelta(days=3648)
    assert authority.revoked is False


@pytest.mark.usefixtures("seeded")
def test_a_certificate_is_read_with_names_stages_and_rule(calls: TenancyCalls, place: Place) -> None:
    certificate = find_certificate(calls, place.compartment_id, "gateway")

    assert isinstance(certificate, CertificateFacts)
    assert certificate.host_names == ("shop.example.com", "*.api.example.com")
    assert (certificate.profile, certificate.stages, certificate.renewal) == (
        "TLS_SERVER",
        ("CURRENT", "LATEST"),
        ("P20D", "P10D"),
    )


def test_clusters_are_listed_with_their_endpoints_and_tags(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    add_cluster(server.store, place, server.region, "fra-1", "127.67.0.1:6443")
    add_cluster(server.store, place, "eu-zurich-1", "zrh-1", "127.68.0.1:6443")

    (cluster,) = read_clusters(calls, Branch(place.compartment_id, "platform:mesh"))

    assert (cluster.name, cluster.public_endpoint, cluster.tags) == (
        "fra-1",
        "127.67.0.1:6443",
        {"env": "rehearsal"},
    )


def test_the_retired_control_plane_is_asked_with_a_signature(calls: TenancyCalls, place: Place) -> None:
    probe = probe_control_plane(calls, place.compartment_id)

    assert probe == ControlPlaneProbe("127.0.0.1", Reach.ANSWERED, 404)


def test_a_control_plane_that_does_not_answer_is_told_apart(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    server.stop()

    assert probe_control_plane(calls, place.compartment_id).reach is Reach.NO_CONNECTION
