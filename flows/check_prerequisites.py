"""Checks what has to be there before anything is installed (R23 to R28), and says how to get it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from blocks.kubernetes_cluster import KubernetesCluster
from blocks.oci_tenancy import OciTenancy
from tasks.connections import cluster_name, load_block
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.prerequisites.assembling import TenancyReadings, assemble, principals_of, refuse_unmet
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
from tasks.core.prerequisites.settings import (
    ClusterNeeds,
    OciGatewayCertificate,
    PrerequisiteChoice,
    PrerequisiteMode,
    PrerequisiteNeeds,
)
from tasks.prerequisites.clusters import (
    check_gateway_certificate,
    check_operator_credentials,
    check_operator_surroundings,
)
from tasks.prerequisites.connection import tenancy_name
from tasks.prerequisites.reporting import publish_reports
from tasks.prerequisites.tenancies import (
    check_tenancy_access,
    probe_service_mesh,
    read_certificate_authority,
    read_gateway_certificate,
    read_iam_policies,
    read_vault_and_key,
)

TenancyNames = Annotated[list[str], Field(min_length=1)]


def _flow_run_name() -> str:
    return f"check-prerequisites/{','.join(flow_run.parameters['tenancies'])}"


_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=24)
"""Reads wait for the network most of the time; each tenancy limits its own requests."""


@dataclass(frozen=True)
class PendingTenancy:
    """The tasks that read one tenancy."""

    tenancy: OciTenancy
    access: PrefectFuture[Finding]
    policies: PrefectFuture[PolicyWorld | Unread]
    keys: PrefectFuture[tuple[VaultFacts | NotSeen | Unread, KeyFacts | NotSeen | Unread]]
    authority: PrefectFuture[AuthorityFacts | NotSeen | Unread]
    certificate: PrefectFuture[CertificateFacts | NotSeen | Unread] | None
    control_plane: PrefectFuture[ControlPlaneProbe]


@dataclass(frozen=True)
class PendingCluster:
    """The tasks that look into one cluster."""

    name: str
    namespace: str
    findings: tuple[PrefectFuture[tuple[Finding, ...]], ...]


@flow(
    name="check-prerequisites",
    flow_run_name=_flow_run_name,
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def check_prerequisites(
    tenancies: TenancyNames,
    needs: PrerequisiteNeeds,
    clusters: list[str] = [],  # noqa: B006 - Prefect's form shows it, and nothing changes it
    cluster_needs: ClusterNeeds = ClusterNeeds(),  # noqa: B008 - a frozen model
    choice: PrerequisiteChoice = PrerequisiteChoice(),  # noqa: B008 - a frozen model
) -> tuple[Report, ...]:
    """Read vault, key, authority, certificate and policies of each tenancy, and the Secrets of each cluster.

    Nothing is changed. Every report becomes an artifact, whatever it says.

    Args:
        tenancies: Names of the OSOK OCI Tenancy blocks to check.
        needs: Which objects of the tenancy Service Mesh will use, and whom the operator will be.
        clusters: Names of the OSOK Kubernetes Cluster blocks to look into as well.
        cluster_needs: What is looked at in each cluster.
        choice: Whether and how strictly the run keeps to the prerequisites.

    Returns:
        The reports, when they let the run go on.

    Raises:
        PrerequisiteError: A prerequisite is not met, or could not be decided and nobody accepted that.
    """
    if choice.mode is PrerequisiteMode.SKIP:
        get_run_logger().warning("Prerequisites are not checked: %s", choice.reason)
        return ()
    until = datetime.now(UTC) + choice.deadline
    pending = start_tenancies([load_block(OciTenancy, name) for name in tenancies], needs, until)
    looked_at = [
        start_cluster(load_block(KubernetesCluster, name), cluster_needs, needs) for name in clusters
    ]
    reports = (*(finish_tenancy(item, needs) for item in pending), *map(finish_cluster, looked_at))
    publish_reports(reports)
    refuse_unmet(reports, choice.unknown)
    return reports


def start_tenancies(
    tenancies: list[OciTenancy], needs: PrerequisiteNeeds, until: datetime
) -> list[PendingTenancy]:
    """Submit all reads. IAM is the same in all regions, so blocks of one compartment share its policies."""
    policies = {
        (tenancy.tenancy_id, tenancy.compartment_id): read_iam_policies.submit(tenancy, needs.operator, until)
        for tenancy in {(item.tenancy_id, item.compartment_id): item for item in tenancies}.values()
    }
    return [
        start_tenancy(tenancy, policies[tenancy.tenancy_id, tenancy.compartment_id], needs, until)
        for tenancy in tenancies
    ]


def start_tenancy(
    tenancy: OciTenancy,
    policies: PrefectFuture[PolicyWorld | Unread],
    needs: PrerequisiteNeeds,
    until: datetime,
) -> PendingTenancy:
    """Submit all reads of a tenancy's region; they run side by side, at most four requests at once."""
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


def finish_tenancy(pending: PendingTenancy, needs: PrerequisiteNeeds) -> Report:
    """Wait for the reads and decide about what they found."""
    vault, key = pending.keys.result()
    readings = TenancyReadings(
        access=pending.access.result(),
        policies=pending.policies.result(),
        vault=vault,
        key=key,
        authority=pending.authority.result(),
        certificate=pending.certificate.result() if pending.certificate else None,
        control_plane=pending.control_plane.result(),
    )
    now = datetime.now(UTC)
    tenancy = pending.tenancy
    principals = principals_of(needs.operator, tenancy.compartment_id)
    findings = assemble(readings, needs, principals, now)
    subject = f"{tenancy_name(tenancy)} in {tenancy.region}"
    return Report(subject, tenancy.compartment_id, now, findings)


def start_cluster(
    cluster: KubernetesCluster, cluster_needs: ClusterNeeds, needs: PrerequisiteNeeds
) -> PendingCluster:
    """Submit all looks into a cluster."""
    return PendingCluster(
        cluster_name(cluster),
        cluster_needs.namespace,
        (
            check_operator_credentials.submit(cluster, cluster_needs),
            check_operator_surroundings.submit(cluster, cluster_needs),
            check_gateway_certificate.submit(cluster, needs.gateway),
        ),
    )


def finish_cluster(pending: PendingCluster) -> Report:
    """Wait for the looks into a cluster."""
    findings = tuple(finding for future in pending.findings for finding in future.result())
    return Report(f"cluster {pending.name}", pending.namespace, datetime.now(UTC), findings)
