"""From the OciTenancy block to an identity, for every kind of authentication."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.oci_tenancy import (
    ApiKey,
    Authentication,
    ConfigFile,
    InstancePrincipal,
    OciTenancy,
    ResourcePrincipal,
    SessionToken,
    WorkloadIdentity,
)
from deployments.rehearsal.tenancy.answers import Caller
from deployments.rehearsal.tenancy.platform import FEDERATION_PATH, InstanceMetadata
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy
from tasks.connections import sign_in, tenancy_name
from tasks.core.errors import FleetError

REGION = "eu-frankfurt-1"


@pytest.fixture(scope="module")
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), REGION) as running:
        yield running


@pytest.fixture(scope="module")
def place(server: TenancyServer) -> Place:
    return add_tenancy(server.store, "acme", [REGION])


def block(place: Place, authentication: Authentication) -> OciTenancy:
    return OciTenancy(
        tenancy_id=place.tenancy.id,
        region=REGION,
        compartment_id=place.compartment_id,
        authentication=authentication,
    )


def test_a_configuration_file(place: Place, tmp_path: Path) -> None:
    path = place.signatory.write_config(tmp_path, REGION)

    assert sign_in(block(place, ConfigFile(path=path))).signer.api_key == place.signatory.key_id


@pytest.mark.parametrize("source", ["content", "file"])
def test_an_api_key_from_the_block_or_from_a_file(place: Place, tmp_path: Path, source: str) -> None:
    signatory = place.signatory
    file = tmp_path / "key.pem"
    file.write_text(signatory.private_key_pem)
    key = ApiKey(
        user_id=signatory.user_id,
        fingerprint=signatory.fingerprint,
        private_key=SecretStr(signatory.private_key_pem) if source == "content" else None,
        private_key_file=file if source == "file" else None,
    )

    assert sign_in(block(place, key)).signer.api_key == signatory.key_id


def test_a_key_file_that_cannot_be_read_is_named(place: Place) -> None:
    signatory = place.signatory
    key = ApiKey(
        user_id=signatory.user_id, fingerprint=signatory.fingerprint, private_key_file=Path("/absent/key.pem")
    )

    with pytest.raises(FleetError, match=r"Could not read the API key .*/absent/key\.pem"):
        sign_in(block(place, key))


def test_an_instance(server: TenancyServer, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    caller = Caller(place.tenancy.id, "ocid1.instance.oc1..node")
    with InstanceMetadata(server.instances, caller, REGION) as metadata:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", metadata.url)
        how = InstancePrincipal(federation_endpoint=server.url + FEDERATION_PATH)

        identity = sign_in(block(place, how))

    assert identity.tenancy_id == place.tenancy.id
    assert identity.config_for(REGION) == {"region": REGION}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (SessionToken(path=Path("/absent")), "session token"),
        (ResourcePrincipal(), "resource principal"),
        (WorkloadIdentity(), "OKE workload identity"),
    ],
)
def test_what_is_not_here_is_named_by_its_kind(
    place: Place, how: Authentication, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OCI_RESOURCE_PRINCIPAL_VERSION", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)

    with pytest.raises(FleetError, match=f"Could not sign in to OCI .{kind}"):
        sign_in(block(place, how))


def test_a_block_without_a_name_is_called_so(place: Place) -> None:
    assert tenancy_name(block(place, ResourcePrincipal())) == "unsaved-tenancy"
