"""Takes one cluster from nothing to a running, verified operator, for a rollout of install-fleet (R1–R11)."""

from dataclasses import dataclass
from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks.cluster_runs import leave_result
from tasks.core.errors import FleetError, InstallError
from tasks.core.reports import joined
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
from tasks.sources import Sources, fetch_sources

ClusterName = Annotated[str, Field(description="Name of the OSOK Kubernetes Cluster block to install to.")]
SubjectDigest = Annotated[
    str,
    Field(
        pattern=r"^([0-9a-f]{64})?$",
        description="Digest of what the plan of the rollout installs; another is refused. Empty: any.",
    ),
]


@flow(name="install-cluster", flow_run_name="install-cluster/{cluster}")
def install_cluster(  # noqa: PLR0913, PLR0917 - each parameter is one group of install-fleet's form
    cluster: ClusterName,
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    deadlines: Deadlines = Deadlines(),
    subject_digest: SubjectDigest = "",
) -> State[None]:
    """Install on one cluster and leave the report as an artifact, for the rollout that started this run.

    install-fleet starts it with execution DEPLOYMENT_RUNS; it has looked at the prerequisites in OCI before.

    Args:
        cluster: Name of the OSOK Kubernetes Cluster block to install to.
        operator: Which operator release to install, where from and where to.
        olm: Which Operator Lifecycle Manager to install, and where its two manifest files come from.
        metrics_server: The optional metrics server, which the autoscaler of ingress gateways needs.
        deadlines: How long the stages of the cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H.
        subject_digest: SHA-256 of what the plan of the rollout installs.

    Returns:
        Completed when the cluster is installed and verified, otherwise Failed.
    """
    log = StepLog(cluster)
    try:
        order = log.record(
            InstallStep.SOURCES, _ordered, (operator, olm, metrics_server), cluster, subject_digest
        )
    except FleetError:
        document = InstallationDocument(report=log.report(), progress=standing(log))
    else:
        document = _installed(order, log, deadlines)
    leave_result(cluster, document)
    return _final_state(cluster, document.progress)


@dataclass(frozen=True)
class _Order:
    """What is installed, and the plan of this cluster alone, whose subject is that of the rollout's plan."""

    sources: Sources
    plan: RolloutPlan


def _ordered(
    chosen: tuple[OperatorChoice, OlmRelease, MetricsServerChoice], cluster: str, digest: str
) -> _Order:
    sources = fetch_sources(*chosen)
    wave = RolloutChoice(waves=[RolloutWave(name="cluster")])
    plan = plan_rollout(wave, [FleetCluster(cluster)], describe_subject(sources, CertificateChoice()))
    if digest and digest != plan.subject_digest:
        raise InstallError(
            "install what was planned",
            f"{cluster}: parameter subject_digest",
            f"the plan's digest {digest}",
            f"{plan.subject_digest}: {plan.subject}",
            "A tag or a file moved since the plan was made, or this worker has another version of the flows. "
            "Nothing was written. Pin what moves, deploy the flows anew, and retry the rollout.",
        )
    return _Order(sources, plan)


def _installed(order: _Order, log: StepLog, deadlines: Deadlines) -> InstallationDocument:
    certificate, sources, plan = CertificateChoice(), order.sources, order.plan
    steps = InstallationSteps(Upstream(), sources, certificate, deadlines)
    installation = WaveInstallation(
        plan=plan,
        certificates=certificates_by_wave(plan, sources, certificate),
        before=steps.before,
        after=steps.after,
        new_log=steps.new_log,
        reach_within=deadlines.target,
        holder=caller_name,
    )
    progress = installation.work().prepare(log.cluster)
    [report] = installation.reports()
    return InstallationDocument(report=joined(log.report(), report), progress=progress)


def _final_state(cluster: str, progress: ClusterProgress) -> State[None]:
    told = f"{cluster} {progress.state.value} {progress.detail}".rstrip()[:4000]
    if progress.state is ClusterState.SUCCEEDED:
        return Completed(message=told)
    return Failed(message=told)
