"""R24-R28: runs of create-prerequisites that need nobody's decision."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.tenancy.seeding import HOSTS, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy, add_vault, new_api_key
from flows.create_prerequisites import create_prerequisites
from tasks.core.errors import PrerequisiteError
from tasks.core.prerequisites.settings import OciGatewayCertificate, PrerequisiteNeeds
from tests.support.artifacts import newest_artifact
from tests.support.tenancies import save_tenancy_block

REGION = "eu-frankfurt-1"
NEEDS = PrerequisiteNeeds(
    vault="mesh",
    key="mesh",
    certificate_authority="mesh",
    gateway=OciGatewayCertificate(certificate="gateway", hosts=[HOSTS[0]]),
)

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def api_key() -> rsa.RSAPrivateKey:
    return new_api_key()


@pytest.fixture
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), REGION, page_size=2) as running:
        yield running


@pytest.fixture
def place(server: TenancyServer, api_key: rsa.RSAPrivateKey) -> Place:
    return add_tenancy(server.store, "acme", [REGION], api_key)


@pytest.fixture
def tenancy(server: TenancyServer, place: Place, tmp_path: Path) -> str:
    return save_tenancy_block(server, place, "acme", tmp_path)


def plan(client: SyncPrefectClient) -> str:
    return newest_artifact(client, "prerequisites-plan")


def writes(server: TenancyServer) -> list[str]:
    return [name for name in server.traffic.operations if not name.startswith("GET ")]


def test_where_everything_is_there_nobody_is_asked_and_nothing_is_made(
    server: TenancyServer, place: Place, tenancy: str, prefect_server: SyncPrefectClient
) -> None:
    seed(server, place)
    server.traffic.operations.clear()

    create_prerequisites(tenancy, NEEDS)

    assert "Nothing has to be made." in plan(prefect_server)
    assert writes(server) == []


@pytest.mark.parametrize("kind", ["Vault", "Key", "CertificateAuthority", "Certificate"])
def test_something_of_the_name_that_is_being_deleted_stops_the_run_before_anybody_is_asked(
    server: TenancyServer, place: Place, tenancy: str, prefect_server: SyncPrefectClient, kind: str
) -> None:
    seed(server, place)
    (entry,) = server.store.all(place.tenancy, kind)
    entry.model.lifecycle_state = "PENDING_DELETION"
    server.traffic.operations.clear()

    with pytest.raises(PrerequisiteError, match=r"is in PENDING_DELETION: cancel its deletion, or choose"):
        create_prerequisites(tenancy, NEEDS)

    assert f"({entry.model.id}) is in PENDING_DELETION" in plan(prefect_server)
    assert writes(server) == []


def test_what_an_earlier_run_began_to_make_is_waited_for(
    server: TenancyServer, place: Place, tenancy: str, prefect_server: SyncPrefectClient
) -> None:
    """A vault of the same name that was deleted long ago does not hide it."""
    seed(server, place)
    add_vault(server.store, place, REGION, server.url).model.lifecycle_state = "DELETED"
    (vault, _) = server.store.all(place.tenancy, "Vault")
    vault.model.lifecycle_state = "CREATING"
    server.store.settle = timedelta(seconds=3)
    server.store.change_later(vault, "ACTIVE")

    create_prerequisites(tenancy, NEEDS)

    assert f"* vault mesh ({vault.model.id})" in plan(prefect_server)
