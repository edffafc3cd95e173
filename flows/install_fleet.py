"""Takes clusters from nothing to a running, verified operator (R1–R11), after a look at OCI (R23–R28)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed
from pydantic import BaseModel

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.wave import CertificateWave
from tasks.cluster_runs import ClusterRuns
from tasks.connections import load_block
from tasks.core.errors import FleetError
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.fitting import refuse_what_does_not_fit
from tasks.core.prerequisites.settings import FleetPrerequisites
from tasks.core.rollout.plans import plan_rollout
from tasks.core.rollout.previews import summarize_previews
from tasks.core.rollout.settings import RolloutChoice, RolloutMode
from tasks.core.settings import (
    CertificateChoice,
    Deadlines,
    MetricsServerChoice,
    OlmRelease,
    OperatorChoice,
)
from tasks.core.steps import InstallStep
from tasks.prerequisites.upstream import check_upstream
from tasks.reporting import StepLog, publish_reports, raise_unless_all_installed
from tasks.rollout.delegating import CLUSTER_DEPLOYMENT, DelegatedInstallation
from tasks.rollout.driver import RolloutWork, roll_out, show_plan
from tasks.rollout.installing import (
    WaveInstallation,
    certificates_by_wave,
    describe_subject,
    raise_unless_rolled_out,
)
from tasks.rollout.members import FleetChoice, choose_clusters
from tasks.rollout.previewing import preview_rollout
from tasks.rollout.steps import InstallationSteps
from tasks.sources import fetch_sources

PLANNED = "Planned"
"""Name of the final state of a run that only showed its plan; its type is COMPLETED."""
_LONGEST_NAME = 200


def _flow_run_name() -> str:
    given: dict[str, Any] = flow_run.parameters
    names = ",".join(given.get("clusters") or []) or FleetChoice.model_validate(given.get("fleet") or {}).name
    return f"install-fleet/{names}"[:_LONGEST_NAME]


@flow(name="install-fleet", flow_run_name=_flow_run_name, persist_result=True)
def install_fleet(  # noqa: PLR0913, PLR0917 - each parameter is one group of the form in the Prefect UI
    clusters: list[str] = [],  # noqa: B006 - Prefect makes the form of it; nobody changes it
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    certificate: CertificateChoice = CertificateChoice(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    deadlines: Deadlines = Deadlines(),
    prerequisites: FleetPrerequisites = FleetPrerequisites(),
    fleet: FleetChoice = FleetChoice(),
    rollout: RolloutChoice = RolloutChoice(),
    execution: ExecutionChoice = ExecutionChoice(),
) -> State[None] | None:
    """Install OLM, the operator and optionally the metrics server, and prove that its webhooks answer.

    Clusters are taken one after another, and one that fails does not stop the next; with waves, failures
    beyond a budget do. Every step reads the cluster first and writes only what is not right yet, so the flow
    may be run again at any time. With a certificate of your own the run is suspended once, or once per wave,
    until a person decides about the requests of all its clusters; on a fresh cluster the certificate is there
    before the operator.

    Args:
        clusters: Names of the OSOK Kubernetes Cluster blocks to install to, in order. Or give a fleet.
        operator: Which operator release to install, where from and where to.
        olm: Which Operator Lifecycle Manager to install, and where its two manifest files come from.
        certificate: OLM's own webhook certificate, or one signed by your CA after a person approved it.
        metrics_server: The optional metrics server, which the autoscaler of ingress gateways needs.
        deadlines: How long the stages of one cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H.
        prerequisites: What has to be there in OCI. Each tenancy's region is read once; clusters of one that
            lacks something are refused before anything is written.
        fleet: The clusters of an OSOK Cluster Fleet block that a label selector chooses, instead of clusters.
        rollout: Waves with limits, approvals and maintenance windows. None: one cluster after another.
        execution: Whether the clusters of a wave are worked on in tasks of this run, or each in a flow run of
            its own.

    Returns:
        With waves, Completed with how many clusters are in which state; without, nothing.
    """
    refuse_what_does_not_fit(execution, rollout)
    chosen = choose_clusters(clusters, fleet)
    names = [cluster.name for cluster in chosen]
    upstream = check_upstream(names, prerequisites)
    run = InstallationSteps(upstream, fetch_sources(operator, olm, metrics_server), certificate, deadlines)
    if not rollout.waves:
        _one_after_another(run, names)
        return None
    plan = plan_rollout(rollout, chosen, describe_subject(run.sources, certificate))
    show_plan(plan)
    if rollout.mode is RolloutMode.PLAN:
        previews = preview_rollout(plan.clusters, run.sources, deadlines.target)
        return Completed(name=PLANNED, message=summarize_previews(previews))
    installation = WaveInstallation(
        plan=plan,
        certificates=certificates_by_wave(plan, run.sources, certificate),
        before=run.checked_before,
        after=run.after,
        new_log=run.new_log,
        reach_within=deadlines.target,
    )
    if execution.mode is Execution.TASKS:
        return _in_waves(installation, installation.work(), rollout.decision_deadline)
    given: dict[str, BaseModel] = {
        "operator": operator,
        "olm": olm,
        "certificate": certificate,
        "metrics_server": metrics_server,
        "deadlines": deadlines,
    }
    runs = ClusterRuns(execution, CLUSTER_DEPLOYMENT)
    delegated = DelegatedInstallation(installation, run, runs, given)
    return _in_waves(installation, delegated.work(), rollout.decision_deadline)


def _one_after_another(run: InstallationSteps, names: Sequence[str]) -> None:
    wave = CertificateWave(run.sources.profile, run.sources.installation.namespace, run.certificate)
    logs = {name: run.new_log(name) for name in names}
    prepared = {name: _prepare(run, log, wave) for name, log in logs.items() if run.has_prerequisites(log)}
    wave.decide()
    for name, cluster in prepared.items():
        if cluster is not None:
            _finish(run, cluster, logs[name], wave)
    wave.finish()
    reports = [log.report() for log in logs.values()]
    publish_reports(reports)
    raise_unless_all_installed(reports)


def _in_waves(installation: WaveInstallation, work: RolloutWork, patience: timedelta) -> State[None]:
    end = roll_out(installation.plan, work, patience)
    installation.keep_evidence()
    publish_reports(installation.reports())
    return Completed(message=raise_unless_rolled_out(installation.plan, end))


def _prepare(run: InstallationSteps, log: StepLog, wave: CertificateWave) -> KubernetesCluster | None:
    """Everything before the decision. None when a step failed."""
    try:
        cluster = log.record(InstallStep.BLOCK, load_block, KubernetesCluster, log.cluster)
        run.before(cluster, log, wave)
    except FleetError:
        # The log has the error; the other clusters go on, and the flow fails at its end.
        return None
    return cluster


def _finish(run: InstallationSteps, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
    """Everything after the decision."""
    try:
        run.after(cluster, log, wave)
    except FleetError:
        # As above.
        return
