"""R1, R23: a cluster that is reached as OKE clusters are, through Container Engine, with tokens we sign."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster, OkeEndpoint
from deployments.rehearsal.accounts import make_accounts
from deployments.rehearsal.control_plane import ControlPlane, ControlPlaneSettings, start_first_free
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS
from deployments.rehearsal.managed import ManagedClusters, OkeUser
from deployments.rehearsal.programs import Programs
from deployments.rehearsal.tenancy.seeding import seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Entry, Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy, add_user
from flows.check_prerequisites import check_prerequisites
from tasks.clients.cluster.connection import connect
from tasks.clients.tenancy.calls import Address
from tasks.clients.tenancy.keys import ApiKey, sign_with_api_key
from tasks.clients.tenancy.oke import OkeToken
from tasks.connections import open_cluster
from tasks.connections.oke import oke_access
from tasks.core.errors import ClusterForbiddenError, ClusterIdentityError
from tasks.core.manifests import ObjectRef
from tasks.core.permissions import AccountNeeds
from tasks.core.prerequisites.findings import Status
from tasks.core.prerequisites.settings import (
    NoGateway,
    PrerequisiteChoice,
    PrerequisiteNeeds,
    UnknownFindings,
)
from tasks.target import check_target, who_am_i
from tests.support.tenancies import save_tenancy_block

pytestmark = pytest.mark.cluster

REGION = "eu-frankfurt-1"


@dataclass(frozen=True)
class Oke:
    """A control plane that is a cluster of a tenancy."""

    server: TenancyServer
    place: Place
    cluster: Entry
    control_plane: ControlPlane

    def block(self, **changes: object) -> KubernetesCluster:
        """Its block."""
        fields = {
            "source": KubeconfigSource.OKE,
            "tenancy": "oke-acme",
            "cluster_id": self.cluster.model.id,
        }
        return KubernetesCluster.model_validate({**fields, **changes})


@pytest.fixture(scope="module")
def oke(
    programs: Programs, prefect_server: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Oke]:
    folder: Path = tmp_path_factory.mktemp("oke")
    with TenancyServer(Store(), REGION) as server:
        place = add_tenancy(server.store, "acme", [REGION])
        seed(server, place)
        save_tenancy_block(server, place, "oke-acme", folder)
        bootstrap = add_user(server.store, place.tenancy, "bootstrap@example.com")
        fleet = OkeUser(place.signatory.user_id, "oke-acme")
        managed = ManagedClusters(server, place, fleet, OkeUser(bootstrap.user_id, "oke-acme"))
        cluster = managed.announce("fra-1")
        settings = managed.settings(cluster, folder / "webhook.yaml", ControlPlaneSettings())
        with start_first_free(programs, folder / "fra-1", ALL_NUMBERS[60:], settings) as control_plane:
            make_accounts(control_plane)
            managed.grant(control_plane)
            managed.complete(cluster, control_plane)
            yield Oke(server, place, cluster, control_plane)


def test_a_flow_looks_into_a_cluster_that_it_reaches_as_the_tenancys_user(oke: Oke) -> None:
    oke.block().save("oke-fra-1", overwrite=True)
    needs = PrerequisiteNeeds(vault="mesh", key="mesh", certificate_authority="mesh", gateway=NoGateway())
    accepting = PrerequisiteChoice(unknown=UnknownFindings.ACCEPT, reason="looked at it")
    _, report = check_prerequisites(["oke-acme"], needs, clusters=["oke-fra-1"], choice=accepting)

    assert report.subject == "cluster oke-fra-1"
    assert report.status is Status.WARN
    assert who_am_i(open_cluster(oke.block())).name == oke.place.signatory.user_id


def test_a_token_is_made_anew_before_it_expires_while_a_client_lives(oke: Oke) -> None:
    namespace = ObjectRef("v1", "Namespace", "kube-system")
    client = open_cluster(oke.block())
    accepted = oke.server.cluster_tokens.accepted

    with time_machine.travel(datetime.now(UTC)) as traveller:
        accepted.clear()
        for _ in range(4):
            traveller.shift(timedelta(minutes=4))
            assert client.get(namespace) is not None

    assert len(accepted) == 4


def test_a_token_that_is_too_old_is_refused(oke: Oke) -> None:
    access = oke_access(oke.block(), "oke-acme")
    with time_machine.travel(datetime.now(UTC) - timedelta(minutes=6)):
        old = access.token.value()
    client = connect("fra-1", access.settings, timedelta(seconds=30), lambda: old)

    with pytest.raises(ClusterForbiddenError, match="HTTP 401"):
        client.get(ObjectRef("v1", "Namespace", "kube-system"))


def test_a_token_for_another_cluster_is_refused(oke: Oke) -> None:
    access = oke_access(oke.block(), "oke-acme")
    signatory = oke.place.signatory
    key = ApiKey(signatory.tenancy_id, signatory.user_id, signatory.fingerprint, signatory.private_key_pem)
    other = OkeToken(sign_with_api_key(key), Address(REGION, oke.server.url), "ocid1.cluster.oc1..other")
    client = connect("fra-1", access.settings, timedelta(seconds=30), other.value)

    with pytest.raises(ClusterForbiddenError, match="HTTP 401"):
        client.get(ObjectRef("v1", "Namespace", "kube-system"))


def test_a_run_reads_the_address_of_a_cluster_once(oke: Oke) -> None:
    block = oke.block(endpoint=OkeEndpoint.PRIVATE)
    oke.server.traffic.operations.clear()

    for _ in range(3):
        open_cluster(block)

    assert set(oke.server.traffic.operations.values()) == {1}


def test_another_cluster_than_the_pinned_one_is_refused(oke: Oke) -> None:
    block = oke.block(expected_uid="00000000-0000-0000-0000-000000000000")
    needs = AccountNeeds((), ())

    with pytest.raises(ClusterIdentityError, match="uid of namespace kube-system"):
        check_target.fn(block, needs, datetime.now(UTC) + timedelta(minutes=2))
