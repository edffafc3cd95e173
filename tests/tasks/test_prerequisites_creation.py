"""R24-R28: the task that makes one prerequisite, step by step, on the rehearsal's tenancy."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.oci_tenancy import OciTenancy
from deployments.rehearsal.tenancy.seeding import Seed, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy
from tasks.core.errors import TenancyError
from tasks.core.prerequisites.settings import NoGateway, PrerequisiteNeeds
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
    Step,
)
from tasks.core.prerequisites.wishes import VaultKind
from tasks.prerequisites.creation import Made, Timing, carry_out_step
from tasks.prerequisites.tenancies import wait_until_settled
from tests.support.tenancies import save_tenancy_block

REGION, HOME = "eu-frankfurt-1", "eu-zurich-1"

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), REGION) as running:
        yield running


@pytest.fixture
def place(server: TenancyServer) -> Place:
    return add_tenancy(server.store, "made", [REGION])


@pytest.fixture
def tenancy(server: TenancyServer, place: Place, tmp_path: Path) -> OciTenancy:
    block = OciTenancy.load(save_tenancy_block(server, place, "made", tmp_path))
    assert isinstance(block, OciTenancy)
    return block


def timing() -> Timing:
    now = datetime.now(UTC)
    return Timing(now, now + timedelta(minutes=5))


STEPS: list[Step] = [
    CreateDynamicGroup("nodes", "ANY {instance.compartment.id = 'c'}"),
    CreatePolicy("nodes", ("Allow dynamic-group nodes to use keys in tenancy",)),
    CreateVault("made", VaultKind.DEFAULT),
    CreateKey("made", 4096),
    CreateAuthority("made", "Made Root CA", 3650, 90),
    CreateCertificate("made", ("shop.example.com",), 90),
]


def test_every_step_uses_what_the_ones_before_made(
    server: TenancyServer, place: Place, tenancy: OciTenancy
) -> None:
    made = Made()
    for step in STEPS:
        made = carry_out_step.fn(tenancy, step, made, timing())

    (vault,) = server.store.all(place.tenancy, "Vault")
    (key,) = server.store.all(place.tenancy, "Key")
    (authority,) = server.store.all(place.tenancy, "CertificateAuthority")
    (certificate,) = server.store.all(place.tenancy, "Certificate")
    assert made == Made(vault.model.id, key.model.id, authority.model.id)
    assert (key.model.vault_id, key.model.key_shape.length) == (vault.model.id, 512)
    assert authority.model.kms_key_id == key.model.id
    assert certificate.model.issuer_certificate_authority_id == authority.model.id


def test_a_rule_is_raised(server: TenancyServer, place: Place, tenancy: OciTenancy) -> None:
    seeded = seed(server, place, Seed(leaf_validity="P30D", certificate_days=29))

    carry_out_step.fn(tenancy, RaiseLeafRule(seeded.authority_id, "mesh", 90), Made(), timing())

    (authority,) = server.store.all(place.tenancy, "CertificateAuthority")
    (rule,) = authority.model.certificate_authority_rules
    assert rule.leaf_certificate_max_validity_duration == "P90D"


def test_rights_go_to_the_home_region_and_everything_else_does_not(
    server: TenancyServer, place: Place, tenancy: OciTenancy
) -> None:
    place.tenancy.home_region = HOME

    carry_out_step.fn(tenancy, STEPS[2], Made(), timing())
    with pytest.raises(TenancyError, match="Please go to your home region eu-zurich-1"):
        # The one address of this tenancy speaks for Frankfurt only.
        carry_out_step.fn(tenancy, STEPS[1], Made(), timing())

    assert len(server.store.all(place.tenancy, "Vault")) == 1


def test_the_wait_for_what_arrives_ends_when_it_is_there(
    server: TenancyServer, place: Place, tenancy: OciTenancy
) -> None:
    seed(server, place)
    (key,) = server.store.all(place.tenancy, "Key")
    key.model.lifecycle_state = "ENABLING"
    server.store.settle = timedelta(seconds=1)
    server.store.change_later(key, "ENABLED")
    needs = PrerequisiteNeeds(vault="mesh", key="mesh", certificate_authority="mesh", gateway=NoGateway())

    wait_until_settled.fn(tenancy, needs, datetime.now(UTC) + timedelta(minutes=5))

    assert key.model.lifecycle_state == "ENABLED"


def test_the_wait_for_what_arrives_ends_quietly_at_its_deadline(
    server: TenancyServer, place: Place, tenancy: OciTenancy
) -> None:
    seed(server, place)
    (vault,) = server.store.all(place.tenancy, "Vault")
    vault.model.lifecycle_state = "CREATING"
    needs = PrerequisiteNeeds(vault="mesh", key="mesh", certificate_authority="mesh", gateway=NoGateway())

    wait_until_settled.fn(tenancy, needs, datetime.now(UTC) + timedelta(seconds=3))

    assert vault.model.lifecycle_state == "CREATING"
