"""Checks what has to be there before anything is installed (R23 to R28), and says how to get it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
from tasks.core.prerequisites.assembling import refuse_unmet
from tasks.core.prerequisites.findings import Finding, Report
from tasks.core.prerequisites.settings import (
    ClusterNeeds,
    PrerequisiteChoice,
    PrerequisiteMode,
    PrerequisiteNeeds,
)
from tasks.core.settings import ReleaseChoice
from tasks.prerequisites.clusters import (
    check_gateway_certificate,
    check_operator_credentials,
    check_operator_surroundings,
)
from tasks.prerequisites.images import ImageQuestions, check_images
from tasks.prerequisites.reading import report_on, start_reading
from tasks.prerequisites.reporting import publish_reports
from tasks.sources import fetch_sources

TenancyNames = Annotated[
    list[str], Field(min_length=1, description="Names of the OSOK OCI Tenancy blocks to check.")
]
ClusterNames = Annotated[
    list[str], Field(description="Names of the OSOK Kubernetes Cluster blocks to look into as well.")
]


def _flow_run_name() -> str:
    return f"check-prerequisites/{','.join(flow_run.parameters['tenancies'])}"


_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=24)
"""Reads wait for the network most of the time; each tenancy limits its own requests."""


@flow(
    name="check-prerequisites",
    flow_run_name=_flow_run_name,
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def check_prerequisites(  # noqa: PLR0913, PLR0917 - each parameter is one group of the form in the Prefect UI
    tenancies: TenancyNames,
    needs: PrerequisiteNeeds,
    clusters: ClusterNames = [],  # noqa: B006 - Prefect's form shows it, and nothing changes it
    cluster_needs: ClusterNeeds = ClusterNeeds(),
    choice: PrerequisiteChoice = PrerequisiteChoice(),
    release: ReleaseChoice | None = None,
) -> tuple[Report, ...]:
    """Read vault, key, authority, certificate and policies of each tenancy, and the Secrets of each cluster.

    Nothing is changed. Every report becomes an artifact, whatever it says.

    Args:
        tenancies: Names of the OCI tenancy blocks to check, each once per run.
        needs: What has to be there in each tenancy.
        clusters: Names of the OSOK Kubernetes Cluster blocks whose Secrets are looked at. May be empty.
        cluster_needs: What has to be there in each cluster.
        choice: Whether to check at all, how long it may take, and what an undecided finding means.
        release: What will be installed: its manifests are fetched, and every image that they name is asked
            for. None: only the images that are listed under the needs of clusters.

    Returns:
        The reports, when they let the run go on.

    Raises:
        PrerequisiteError: A prerequisite is not met, or could not be decided and nobody accepted that.
        FleetError: The release cannot be fetched.
    """
    if choice.mode is PrerequisiteMode.SKIP:
        get_run_logger().warning("Prerequisites are not checked: %s", choice.reason)
        return ()
    until = datetime.now(UTC) + choice.deadline
    if release is not None:
        cluster_needs = with_images(cluster_needs, release, choice.deadline)
    pending = start_reading([load_block(OciTenancy, name) for name in tenancies], needs, until)
    questions = ImageQuestions(until)
    looked_at = [
        start_cluster(load_block(KubernetesCluster, name), cluster_needs, needs, questions)
        for name in clusters
    ]
    reports = (
        *(report_on(item.tenancy, item.collect(), needs) for item in pending),
        *map(finish_cluster, looked_at),
    )
    publish_reports(reports)
    refuse_unmet(reports, choice.unknown)
    return reports


def with_images(needs: ClusterNeeds, release: ReleaseChoice, patience: timedelta) -> ClusterNeeds:
    """The needs of clusters, with every image that the manifests of a release name."""
    sources = fetch_sources(release.operator, release.olm, release.metrics_server, patience)
    references = [*needs.images.references, *sources.images]
    return needs.model_copy(update={"images": needs.images.model_copy(update={"references": references})})


@dataclass(frozen=True)
class PendingCluster:
    """The tasks that look into one cluster."""

    name: str
    namespace: str
    findings: tuple[PrefectFuture[tuple[Finding, ...]], ...]


def start_cluster(
    cluster: KubernetesCluster,
    cluster_needs: ClusterNeeds,
    needs: PrerequisiteNeeds,
    questions: ImageQuestions,
) -> PendingCluster:
    """Submit all looks into a cluster. The questions are one object for all clusters of a run."""
    return PendingCluster(
        cluster_name(cluster),
        cluster_needs.namespace,
        (
            check_operator_credentials.submit(cluster, cluster_needs),
            check_operator_surroundings.submit(cluster, cluster_needs),
            check_gateway_certificate.submit(cluster, needs.gateway),
            check_images.submit(cluster, cluster_needs, questions),
        ),
    )


def finish_cluster(pending: PendingCluster) -> Report:
    """Wait for the looks into a cluster."""
    findings = tuple(finding for future in pending.findings for finding in future.result())
    return Report(f"cluster {pending.name}", pending.namespace, datetime.now(UTC), findings)
