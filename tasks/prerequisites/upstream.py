"""The prerequisites of a fleet: each region of a tenancy is read once, for all its clusters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from prefect.logging import get_run_logger

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from blocks.oci_tenancy import OciTenancy
from tasks.clients.tenancy.sdk import region_of
from tasks.connections import in_region, load_block
from tasks.core.errors import FleetError, InputError
from tasks.core.outcomes import StepOutcome
from tasks.core.prerequisites.assembling import refuse_unmet
from tasks.core.prerequisites.findings import Report
from tasks.core.prerequisites.settings import (
    FleetPrerequisites,
    PrerequisiteMode,
    PrerequisiteNeeds,
    UnknownFindings,
)
from tasks.prerequisites.reading import report_on, start_reading
from tasks.prerequisites.reporting import publish_reports

_NO_TENANCY = (
    "not checked: no OCI tenancy is known for this cluster. Name its block under prerequisites, tenancies, "
    "to have vault, key, authority, certificate and policies checked."
)


@dataclass(frozen=True)
class Upstream:
    """What is known about the prerequisites of each cluster.

    Attributes:
        unknown: What an undecided finding means.
        reports: The reports by place (`acme in eu-frankfurt-1`).
        places: The places that each cluster depends on.
        skipped: Why nothing was checked at all; empty when something was.
    """

    unknown: UnknownFindings = UnknownFindings.REFUSE
    reports: Mapping[str, Report] = field(default_factory=dict)
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    skipped: str = ""

    def left_out(self, cluster: str) -> str:
        """Why the prerequisites of a cluster were not checked; empty when they were."""
        return self.skipped or ("" if self.places.get(cluster) else _NO_TENANCY)

    def require(self, cluster: str) -> StepOutcome:
        """Refuse a cluster whose prerequisites are not met.

        Raises:
            PrerequisiteError: It names the findings.
        """
        reports = [self.reports[place] for place in self.places[cluster]]
        refuse_unmet(reports, self.unknown)
        return StepOutcome((), "; ".join(map(_in_short, reports)))


def check_upstream(clusters: Iterable[str], choice: FleetPrerequisites) -> Upstream:
    """Read the tenancies that clusters depend on, each region once, and publish the reports.

    Called inside a flow, whose run has the reads and the artifacts: a flow of its own under it would need its
    result persisted to outlive the gate, because a resumed run starts again from the top and asks a finished
    subflow for its result.

    Args:
        clusters: Names of the KubernetesCluster blocks.
        choice: What a person chose.

    Raises:
        InputError: A tenancy block does not exist, or nobody said what has to be in the tenancies.
    """
    if choice.mode is PrerequisiteMode.SKIP:
        get_run_logger().warning("Prerequisites are not checked: %s", choice.reason)
        return Upstream(skipped=f"left out: {choice.reason}")
    named = [load_block(OciTenancy, name) for name in choice.tenancies]
    return check_places({cluster: _tenancies_of(cluster, named) for cluster in clusters}, choice)


def check_places(needed: Mapping[str, Sequence[OciTenancy]], choice: FleetPrerequisites) -> Upstream:
    """Read the places that clusters depend on, each once, and publish the reports.

    Args:
        needed: The tenancies' regions by cluster.
        choice: What a person chose; its tenancies are not looked at.

    Raises:
        InputError: Nobody said what has to be there.
    """
    distinct = {_key(block): block for blocks in needed.values() for block in blocks}
    if not distinct:
        return Upstream()
    needs = _needs(choice)
    pending = start_reading(list(distinct.values()), needs, datetime.now(UTC) + choice.deadline)
    by_key = {_key(item.tenancy): report_on(item.tenancy, item.collect(), needs) for item in pending}
    publish_reports(list(by_key.values()))
    places = {
        cluster: tuple(by_key[_key(block)].subject for block in blocks) for cluster, blocks in needed.items()
    }
    return Upstream(choice.unknown, {report.subject: report for report in by_key.values()}, places)


def _tenancies_of(cluster: str, named: list[OciTenancy]) -> list[OciTenancy]:
    """An OKE cluster belongs to one tenancy and region; of the others nothing tells."""
    try:
        block = load_block(KubernetesCluster, cluster)
        if block.source is not KubeconfigSource.OKE:
            return named
        tenancy = load_block(OciTenancy, block.tenancy)
    except FleetError:
        # The step that needs the block tells it, and the other clusters go on.
        return []
    return [in_region(tenancy, region_of(block.cluster_id) or tenancy.region)]


def _key(block: OciTenancy) -> tuple[str, str, str]:
    """Two blocks may lead to the same place as different users."""
    return block.tenancy_id, block.region, block.compartment_id


def _needs(choice: FleetPrerequisites) -> PrerequisiteNeeds:
    if choice.needs is None:
        raise InputError(
            "check the prerequisites",
            "parameter prerequisites, needs",
            "the names of vault, key, certificate authority and gateway certificate in the tenancy",
            "nothing",
            "Fill it in, or choose SKIP with the reason.",
        )
    return choice.needs


def _in_short(report: Report) -> str:
    counts = ", ".join(f"{count} {status.value}" for status, count in report.counts.items() if count)
    return f"{report.subject}: {counts}"
