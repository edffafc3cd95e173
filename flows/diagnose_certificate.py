"""Says what is wrong with the webhook certificates of a fleet and, if asked, repairs what is safe (R22)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import BaseModel, ConfigDict, Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.diagnoses import (
    ClusterDiagnosis,
    Verdict,
    findings_of,
    first_problem,
    fleet_table,
)
from tasks.certificates.evidence import EvidenceLog, open_evidence
from tasks.certificates.observing import observe_certificate, read_authority
from tasks.certificates.repairing import repair_certificate, repair_permissions
from tasks.connections import load_block
from tasks.core.certificates.certificate import Certificate
from tasks.core.errors import CertificateError, FleetError
from tasks.core.evidence import EvidenceEvent
from tasks.core.permissions import AccountNeeds
from tasks.core.profiles import OperatorProfile
from tasks.core.settings import OperatorPlace
from tasks.sources import read_profile
from tasks.target import check_target

ClusterNames = Annotated[
    list[str], Field(min_length=1, description="Names of the OSOK Kubernetes Cluster blocks to look at.")
]

_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=24)
"""A diagnosis waits for the network most of the time."""


class DiagnosisMode(StrEnum):
    """What to do about what is found."""

    REPORT = "REPORT"
    """Change nothing."""
    REPAIR_SAFE = "REPAIR_SAFE"
    """Make the repairs that need no decision: no new key, no restart, no object of others."""


class DiagnosisChoice(BaseModel):
    """How to diagnose, and what to do about what is found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: DiagnosisMode = Field(
        default=DiagnosisMode.REPORT,
        title="Mode",
        description="REPORT: change nothing. REPAIR_SAFE: make the repairs that need no decision.",
    )
    authority: str = Field(
        default="",
        title="Certificate authority",
        description="Name of the OSOK Certificate Authority block that signs. With it, a certificate of "
        "another CA is found when its request is long gone, and a repair finds the CA's certificate. May be "
        "empty.",
    )
    answer_within: timedelta = Field(
        default=timedelta(minutes=1),
        title="Time to answer",
        description="How long a cluster may take to answer at all.",
    )
    repair_within: timedelta = Field(
        default=timedelta(minutes=3),
        title="Time to repair",
        description="How long a repair may take, with the kubelet's two minutes until endpoints serve it.",
    )
    evidence: str = Field(
        default="",
        title="Evidence storage",
        description="block-type/name of the storage block, or a folder, for the evidence of repairs. Empty: "
        "where results go.",
    )


@dataclass(frozen=True)
class Assignment:
    """What is looked for on every cluster of a run."""

    profile: OperatorProfile
    namespace: str
    choice: DiagnosisChoice
    authorities: tuple[Certificate, ...] = ()

    @property
    def needs(self) -> AccountNeeds:
        """What the account has to be allowed to do before anything is written."""
        repairs = self.choice.mode is DiagnosisMode.REPAIR_SAFE
        fleet = repair_permissions(self.profile, self.namespace) if repairs else ()
        return AccountNeeds(fleet=fleet, bootstrap=())


def _flow_run_name() -> str:
    return f"diagnose-certificate/{','.join(flow_run.parameters['clusters'])}"


@flow(
    name="diagnose-certificate",
    flow_run_name=_flow_run_name,
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def diagnose_certificate(
    clusters: ClusterNames,
    operator: OperatorPlace = OperatorPlace(),
    choice: DiagnosisChoice = DiagnosisChoice(),  # noqa: B008 - a frozen model
) -> None:
    """Answer the runbook's questions about every cluster's webhook certificate, and name each fault's repair.

    Clusters are looked at side by side; one that does not answer does not stop the others. Every cluster has
    its own artifact, whatever it says.

    Args:
        clusters: Names of the OSOK Kubernetes Cluster blocks to look at.
        operator: Which operator, and in which namespace.
        choice: How to diagnose, and what to do about what is found.

    Raises:
        CertificateError: A cluster's API server refuses webhooks now, or a cluster could not be looked at.
    """
    profile = read_profile(operator.profile)
    authorities = read_authority(choice.authority) if choice.authority else ()
    assignment = Assignment(profile, operator.namespace or profile.namespace, choice, authorities)
    evidence = _begin_evidence(clusters, choice)
    pending = [diagnose_cluster.submit(name, assignment) for name in clusters]
    diagnoses = [future.result() for future in pending]
    if evidence is not None:
        _end_evidence(evidence, diagnoses)
    _publish(diagnoses)
    _raise_if_broken(diagnoses)


@task(
    name="diagnose-cluster",
    task_run_name="diagnose-cluster/{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def diagnose_cluster(name: str, assignment: Assignment) -> ClusterDiagnosis:
    """One cluster, from its block to its diagnosis; what cannot be read stands in it and is not raised."""
    choice, profile, namespace = assignment.choice, assignment.profile, assignment.namespace
    try:
        cluster = load_block(KubernetesCluster, name)
        check_target(cluster, assignment.needs, datetime.now(UTC) + choice.answer_within)
        observed = observe_certificate(cluster, profile, namespace)
    except FleetError as error:
        return ClusterDiagnosis(name, error=str(error))
    found = ClusterDiagnosis(name, observed, findings_of(observed, assignment.authorities))
    if choice.mode is DiagnosisMode.REPORT or not any(one.repair.safe for one in found.findings):
        return found
    until = datetime.now(UTC) + choice.repair_within
    try:
        return repair_certificate(cluster, profile, namespace, assignment.authorities, until)
    except FleetError as error:
        return ClusterDiagnosis(name, found.observed, found.findings, error=str(error))


def _begin_evidence(clusters: list[str], choice: DiagnosisChoice) -> EvidenceLog | None:
    """Evidence is kept of what is changed; a report changes nothing."""
    if choice.mode is DiagnosisMode.REPORT:
        return None
    evidence = open_evidence(choice.evidence)
    facts = {"clusters": clusters, "flow_run": str(flow_run.id), "mode": choice.mode.value}
    evidence.record(EvidenceEvent.STARTED, "diagnose-certificate", facts)
    return evidence


def _end_evidence(evidence: EvidenceLog, diagnoses: list[ClusterDiagnosis]) -> None:
    for one in diagnoses:
        if one.repair is not None and one.repair.changed:
            before = [f"{finding.case} {finding.subject}" for finding in one.repair.before]
            facts = {"before": before, "changed": list(one.repair.changed)}
            evidence.record(EvidenceEvent.PUBLISHED, one.cluster, facts)
        after = [f"{finding.case} {finding.subject}" for finding in one.findings]
        evidence.record(
            EvidenceEvent.FINISHED, one.cluster, {"findings": after, "verdict": one.verdict.value}
        )
    evidence.publish()


def _publish(diagnoses: list[ClusterDiagnosis]) -> None:
    """Artifacts: one line per cluster, and a page (Markdown and JSON) for each cluster."""
    create_markdown_artifact(
        fleet_table(diagnoses), key="diagnose-certificate", description="All clusters of the run"
    )
    for one in diagnoses:
        key = f"certificate-{one.cluster}"
        create_markdown_artifact(one.to_markdown(), key=key, description=f"{one.cluster}: {one.verdict}")
        create_markdown_artifact(
            f"```json\n{one.to_json()}```\n", key=f"{key}-json", description="The same for machines"
        )


def _raise_if_broken(diagnoses: list[ClusterDiagnosis]) -> None:
    bad = [one for one in diagnoses if one.error or one.verdict in (Verdict.BROKEN, Verdict.UNANSWERED)]
    if bad:
        raise CertificateError(
            "find every webhook certificate in order",
            ", ".join(one.cluster for one in bad),
            "no finding BROKEN",
            "; ".join(f"{one.cluster} {one.verdict}: {one.error or first_problem(one)}" for one in bad),
            "Read the artifacts of this run: each names the next steps.",
        )
