"""Starts all reads of a tenancy side by side and collects them: shared by the flows that check and create."""

from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.futures import PrefectFuture

from blocks.oci_tenancy import OciTenancy
from tasks.connections import tenancy_name
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.prerequisites.assembling import TenancyReadings, assemble, principals_of
from tasks.core.prerequisites.control_plane import ControlPlaneProbe
from tasks.core.prerequisites.findings import Finding, Report
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)
from tasks.core.prerequisites.settings import OciGatewayCertificate, PrerequisiteNeeds
from tasks.prerequisites.tenancies import (
    check_tenancy_access,
    probe_service_mesh,
    read_certificate_authority,
    read_gateway_certificate,
    read_iam_policies,
    read_vault_and_key,
)


@dataclass(frozen=True)
class PendingTenancy:
    """The tasks that read one tenancy's region."""

    tenancy: OciTenancy
    access: PrefectFuture[Finding]
    policies: PrefectFuture[PolicyWorld | Unread]
    keys: PrefectFuture[tuple[VaultFacts | NotSeen | Unread, KeyFacts | NotSeen | Unread]]
    authority: PrefectFuture[AuthorityFacts | NotSeen | Unread]
    certificate: PrefectFuture[CertificateFacts | NotSeen | Unread] | None
    control_plane: PrefectFuture[ControlPlaneProbe]

    def collect(self) -> TenancyReadings:
        """Wait for all reads."""
        vault, key = self.keys.result()
        return TenancyReadings(
            access=self.access.result(),
            policies=self.policies.result(),
            vault=vault,
            key=key,
            authority=self.authority.result(),
            certificate=self.certificate.result() if self.certificate else None,
            control_plane=self.control_plane.result(),
        )


def start_reading(
    tenancies: list[OciTenancy], needs: PrerequisiteNeeds, until: datetime
) -> list[PendingTenancy]:
    """Submit all reads. IAM is the same in all regions, so blocks of one compartment share its policies."""
    policies = {
        (tenancy.tenancy_id, tenancy.compartment_id): read_iam_policies.submit(tenancy, needs.operator, until)
        for tenancy in {(item.tenancy_id, item.compartment_id): item for item in tenancies}.values()
    }
    return [
        _start(tenancy, policies[tenancy.tenancy_id, tenancy.compartment_id], needs, until)
        for tenancy in tenancies
    ]


def report_on(tenancy: OciTenancy, readings: TenancyReadings, needs: PrerequisiteNeeds) -> Report:
    """Decide about what was read."""
    now = datetime.now(UTC)
    principals = principals_of(needs.operator, tenancy.compartment_id)
    return Report(place_of(tenancy), tenancy.compartment_id, now, assemble(readings, needs, principals, now))


def place_of(tenancy: OciTenancy) -> str:
    """A tenancy's region in words: `acme in eu-frankfurt-1`."""
    return f"{tenancy_name(tenancy)} in {tenancy.region}"


def _start(
    tenancy: OciTenancy,
    policies: PrefectFuture[PolicyWorld | Unread],
    needs: PrerequisiteNeeds,
    until: datetime,
) -> PendingTenancy:
    gateway = needs.gateway
    return PendingTenancy(
        tenancy,
        access=check_tenancy_access.submit(tenancy, until),
        policies=policies,
        keys=read_vault_and_key.submit(tenancy, needs, until),
        authority=read_certificate_authority.submit(tenancy, needs, until),
        certificate=read_gateway_certificate.submit(tenancy, gateway, until)
        if isinstance(gateway, OciGatewayCertificate)
        else None,
        control_plane=probe_service_mesh.submit(tenancy, until),
    )
