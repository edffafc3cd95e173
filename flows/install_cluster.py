"""Takes one cluster from nothing to a running, verified operator, for a rollout of install-fleet (R1–R11)."""

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks.cluster_runs import leave_result
from tasks.core.errors import FleetError, InstallError
from tasks.core.execution.fitting import refuse_a_certificate_without_its_gate
from tasks.core.execution.phases import InstallationPhase
from tasks.core.rollout.plans import FleetCluster, RolloutPlan, plan_rollout
from tasks.core.rollout.settings import RolloutChoice, RolloutWave
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.core.settings import (
    CertificateChoice,
    Deadlines,
    MetricsServerChoice,
    OlmRelease,
    OperatorChoice,
)
from tasks.core.steps import InstallStep
from tasks.prerequisites.upstream import Upstream
from tasks.reporting import StepLog
from tasks.rollout.delegating import InstallationDocument
from tasks.rollout.installing import WaveInstallation, certificates_by_wave, describe_subject, standing
from tasks.rollout.locking import caller_name
from tasks.rollout.steps import InstallationSteps
from tasks.sources import fetch_sources

ClusterName = Annotated[str, Field(description="Name of the OSOK Kubernetes Cluster block to install to.")]
Phase = Annotated[
    InstallationPhase,
    Field(
        description="ALL: from OLM to the verified operator. BEFORE_DECISION, AFTER_DECISION: what comes "
        "before and after the decision about a certificate of your own."
    ),
]
SubjectDigest = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-f]{64})?$",
        description="Digest of what the plan of the rollout installs; another is refused. Empty: anything.",
    ),
]


@flow(name="install-cluster", flow_run_name="install-cluster/{cluster}")
def install_cluster(  # noqa: PLR0913, PLR0917 - each parameter is one group of install-fleet's form
    cluster: ClusterName,
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    certificate: CertificateChoice = CertificateChoice(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    deadlines: Deadlines = Deadlines(),
    phase: Phase = InstallationPhase.ALL,
    subject_digest: SubjectDigest = "",
) -> State[None]:
    """Install on one cluster and leave the report as an artifact, for the rollout that started this run.

    install-fleet starts it with execution DEPLOYMENT_RUNS; it has looked at the prerequisites in OCI before.

    Args:
        cluster: Name of the OSOK Kubernetes Cluster block to install to.
        operator: Which operator release to install, where from and where to.
        olm: Which Operator Lifecycle Manager to install, and where its two manifest files come from.
        certificate: As given to install-fleet, which makes certificates of your own; it is part of the plan.
        metrics_server: The optional metrics server, which the autoscaler of ingress gateways needs.
        deadlines: How long the stages of the cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H.
        phase: All of it; or, with a certificate of your own, what comes before or after the decision.
        subject_digest: SHA-256 of what the plan of the rollout installs.

    Returns:
        Completed when the phase is done, otherwise Failed.
    """
    refuse_a_certificate_without_its_gate(phase, certificate)
    log = StepLog(cluster)
    try:
        sources = log.record(InstallStep.SOURCES, fetch_sources, operator, olm, metrics_server)
        plan = _planned(cluster, describe_subject(sources, certificate))
        log.record(InstallStep.PLAN, _require_same, plan, subject_digest)
    except FleetError:
        progress = standing(log)
    else:
        steps = InstallationSteps(Upstream(), sources, CertificateChoice(), deadlines)
        progress = _install(steps, plan, log, phase)
    leave_result(cluster, InstallationDocument(report=log.report(), progress=progress))
    return _final_state(cluster, progress)


def _planned(cluster: str, subject: str) -> RolloutPlan:
    """The plan of this cluster alone, with the same subject as that of the rollout."""
    return plan_rollout(RolloutChoice(waves=[RolloutWave(name="cluster")]), [FleetCluster(cluster)], subject)


def _require_same(plan: RolloutPlan, digest: str) -> None:
    """Refuse to install something else than the rollout's plan says.

    Raises:
        InstallError: The digests differ.
    """
    if digest not in ("", plan.subject_digest):
        raise InstallError(
            "install what was planned",
            "parameter subject_digest",
            f"the digest of the rollout's plan, {digest}",
            f"{plan.subject_digest}: {plan.subject}",
            "A tag or a file moved since the plan was made, or this worker has another version of the flows. "
            "Nothing was written. Pin what moves, deploy the flows anew, and retry the rollout.",
        )


def _install(
    steps: InstallationSteps, plan: RolloutPlan, log: StepLog, phase: InstallationPhase
) -> ClusterProgress:
    installation = WaveInstallation(
        plan=plan,
        certificates=certificates_by_wave(plan, steps.sources, steps.certificate),
        before=steps.before,
        after=steps.after,
        new_log=lambda _: log,
        reach_within=steps.deadlines.target,
        holder=caller_name,
    )
    installation.logs[log.cluster] = log
    match phase:
        case InstallationPhase.ALL:
            return installation.work().prepare(log.cluster)
        case InstallationPhase.BEFORE_DECISION:
            return installation.visit(log.cluster, steps.before, more_to_do=True)
        case InstallationPhase.AFTER_DECISION:
            return installation.visit(log.cluster, lambda block, into, _: steps.install(block, into))


def _final_state(cluster: str, progress: ClusterProgress) -> State[None]:
    told = f"{cluster} {progress.state.value} {progress.detail}".rstrip()[:4000]
    if progress.state in (ClusterState.SUCCEEDED, ClusterState.PREPARED):
        return Completed(message=told)
    return Failed(message=told)
