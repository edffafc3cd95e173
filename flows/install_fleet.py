"""Takes clusters from nothing to a running, verified operator (R1–R11), after a look at OCI (R23–R28)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prefect import State, flow
from prefect.runtime import flow_run
from prefect.states import Completed

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.wave import CertificateWave
from tasks.connections import load_block
from tasks.core.errors import FleetError
from tasks.core.prerequisites.settings import FleetPrerequisites
from tasks.core.rollout.plans import RolloutPlan, plan_rollout
from tasks.core.rollout.previews import summarize_previews
from tasks.core.rollout.settings import RolloutChoice, RolloutMode
from tasks.core.settings import (
    CertificateChoice,
    CertificateMode,
    Deadlines,
    MetricsServerChoice,
    OlmRelease,
    OperatorChoice,
)
from tasks.core.steps import InstallStep
from tasks.installation import (
    install_metrics_server,
    install_olm,
    install_operator,
    prepare_namespace,
    until,
)
from tasks.prerequisites.upstream import Upstream, check_upstream
from tasks.reporting import StepLog, publish_reports, raise_unless_all_installed
from tasks.rollout.driver import roll_out, show_plan
from tasks.rollout.installing import (
    WaveInstallation,
    certificates_by_wave,
    describe_subject,
    raise_unless_rolled_out,
)
from tasks.rollout.members import FleetChoice, choose_clusters
from tasks.rollout.previewing import preview_rollout
from tasks.sources import Sources, fetch_sources
from tasks.target import check_target
from tasks.verification import verify_operator

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

    Returns:
        With waves, Completed with how many clusters are in which state; without, nothing.
    """
    chosen = choose_clusters(clusters, fleet)
    names = [cluster.name for cluster in chosen]
    upstream = check_upstream(names, prerequisites)
    run = _Run(upstream, fetch_sources(operator, olm, metrics_server), certificate, deadlines)
    if not rollout.waves:
        _one_after_another(run, names)
        return None
    plan = plan_rollout(rollout, chosen, describe_subject(run.sources, certificate))
    show_plan(plan)
    if rollout.mode is RolloutMode.PLAN:
        previews = preview_rollout(plan.clusters, run.sources, deadlines.target)
        return Completed(name=PLANNED, message=summarize_previews(previews))
    return _in_waves(run, plan, rollout.decision_deadline)


@dataclass(frozen=True)
class _Run:
    """What is the same for every cluster of a run."""

    upstream: Upstream
    sources: Sources
    certificate: CertificateChoice
    deadlines: Deadlines

    def new_log(self, cluster: str) -> StepLog:
        """An empty log of a cluster."""
        return StepLog(cluster, self.sources.profile.lifecycle_notice)

    def before(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """In a rollout, everything before the decision of the wave."""
        if _has_prerequisites(log, self.upstream):
            _before_the_decision(self, cluster, log, wave)

    def after(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """In a rollout, everything after it."""
        _after_the_decision(self, cluster, log, wave)


def _one_after_another(run: _Run, names: Sequence[str]) -> None:
    wave = CertificateWave(run.sources.profile, run.sources.installation.namespace, run.certificate)
    logs = {name: run.new_log(name) for name in names}
    prepared = {
        name: _prepare(run, log, wave) for name, log in logs.items() if _has_prerequisites(log, run.upstream)
    }
    wave.decide()
    for name, cluster in prepared.items():
        if cluster is not None:
            _finish(run, cluster, logs[name], wave)
    wave.finish()
    reports = [log.report() for log in logs.values()]
    publish_reports(reports)
    raise_unless_all_installed(reports)


def _in_waves(run: _Run, plan: RolloutPlan, patience: timedelta) -> State[None]:
    installation = WaveInstallation(
        plan=plan,
        certificates=certificates_by_wave(plan, run.sources, run.certificate),
        before=run.before,
        after=run.after,
        new_log=run.new_log,
        reach_within=run.deadlines.target,
    )
    end = roll_out(plan, installation.work(), patience)
    installation.keep_evidence()
    publish_reports(installation.reports())
    return Completed(message=raise_unless_rolled_out(plan, end))


def _has_prerequisites(log: StepLog, upstream: Upstream) -> bool:
    """Whether a cluster's prerequisites are met, or were not looked at; the log says which."""
    left_out = upstream.left_out(log.cluster)
    if left_out:
        log.skip(InstallStep.PREREQUISITES, left_out)
        return True
    try:
        log.record(InstallStep.PREREQUISITES, upstream.require, log.cluster)
    except FleetError:
        # The log has the error; the other clusters go on, and the flow fails at its end.
        return False
    return True


def _prepare(run: _Run, log: StepLog, wave: CertificateWave) -> KubernetesCluster | None:
    """Everything before the decision: target, OLM, namespace, request. None when a step failed."""
    try:
        cluster = log.record(InstallStep.BLOCK, load_block, KubernetesCluster, log.cluster)
        _before_the_decision(run, cluster, log, wave)
    except FleetError:
        # As above.
        return None
    return cluster


def _before_the_decision(run: _Run, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
    sources, deadlines = run.sources, run.deadlines
    deadline = until(deadlines.target)
    target = log.record(InstallStep.TARGET, check_target, cluster, sources.needs, deadline)
    install_olm(cluster, sources, log, until(deadlines.olm))
    prepare_namespace(cluster, sources, log)
    if wave.choice.mode is CertificateMode.OWN:
        log.record(InstallStep.CERTIFICATE_REQUEST, wave.request, cluster, target)


def _finish(run: _Run, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
    """Everything after the decision: certificate, operator, metrics server, verification."""
    try:
        _after_the_decision(run, cluster, log, wave)
    except FleetError:
        # As above.
        return


def _after_the_decision(run: _Run, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
    sources, deadlines, own = run.sources, run.deadlines, wave.choice.mode is CertificateMode.OWN
    wave.csvs[log.cluster] = sources.installation.csv
    if own:
        deadline = until(wave.choice.publish_within)
        log.record(InstallStep.CERTIFICATE, wave.carry_out, cluster, log.cluster, deadline)
    install_operator(cluster, sources, log, until(deadlines.operator))
    install_metrics_server(cluster, sources, log, until(deadlines.metrics_server))
    deadline, namespace = until(deadlines.verification), sources.installation.namespace
    log.record(InstallStep.VERIFICATION, verify_operator, cluster, sources.profile, namespace, deadline)
    if own:
        log.record(InstallStep.PROOF, wave.prove, cluster, log.cluster)
