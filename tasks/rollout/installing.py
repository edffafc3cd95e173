"""An installation as the work of a rollout: a lock, steps and their log per cluster, one gate per wave."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.wave import CertificateWave
from tasks.certificates.wave_evidence import WaveEvidence
from tasks.connections import load_block
from tasks.core.errors import ClusterError, ClusterUnavailableError, DecisionError, FleetError, InstallError
from tasks.core.manifests import sha256_hex
from tasks.core.reports import InstallReport, InstallState
from tasks.core.rollout.leases import ClusterHeldError
from tasks.core.rollout.plans import RolloutPlan
from tasks.core.rollout.progress import summarize
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.core.settings import CertificateChoice, CertificateMode
from tasks.core.steps import InstallStep
from tasks.reporting import StepLog
from tasks.rollout.driver import RolloutEnd, RolloutWork
from tasks.rollout.limits import at_risk
from tasks.rollout.locking import HeldCluster, held, holder_name
from tasks.sources import Sources

Steps = Callable[[KubernetesCluster, StepLog, CertificateWave], None]
"""Steps on one cluster. What goes wrong is in the log, and may be raised as a FleetError besides."""


@dataclass(frozen=True)
class WaveInstallation:
    """Installs in waves.

    Attributes:
        plan: The plan.
        certificates: By wave: its requests, its gate, its decision.
        before: The steps before the wave's certificates are decided.
        after: The steps after that.
        new_log: Makes the log of a cluster.
        reach_within: How long to try to reach a cluster before it counts as offline.
        holder: Who holds the clusters meanwhile: the same for every process that may go on with the work.
    """

    plan: RolloutPlan
    certificates: Mapping[str, CertificateWave]
    before: Steps
    after: Steps
    new_log: Callable[[str], StepLog]
    reach_within: timedelta
    holder: Callable[[], str] = holder_name
    logs: dict[str, StepLog] = field(default_factory=dict)

    def work(self) -> RolloutWork:
        """What the driver is given."""
        return RolloutWork(self._prepare, self._finish, lambda wave: self.certificates[wave].decide())

    def reports(self) -> list[InstallReport]:
        """The report of every cluster that was begun, in the order of the plan."""
        return [self.logs[name].report() for name in self.plan.clusters if name in self.logs]

    def keep_evidence(self) -> None:
        """End the evidence of the run, which all waves share."""
        next(iter(self.certificates.values())).finish()

    def _prepare(self, cluster: str) -> ClusterProgress:
        self.logs[cluster] = self.new_log(cluster)
        gated = self._certificates_of(cluster).choice.mode is CertificateMode.OWN
        return self.visit(cluster, self.before if gated else self._all, more_to_do=gated)

    def _finish(self, cluster: str) -> ClusterProgress:
        return self.visit(cluster, self._risky)

    def _all(self, block: KubernetesCluster, log: StepLog, certificates: CertificateWave) -> None:
        self.before(block, log, certificates)
        if log.error is None:
            self._risky(block, log, certificates)

    def _risky(self, block: KubernetesCluster, log: StepLog, certificates: CertificateWave) -> None:
        with at_risk():
            self.after(block, log, certificates)

    def visit(self, cluster: str, steps: Steps, *, more_to_do: bool = False) -> ClusterProgress:
        """Hold a cluster and carry steps out on it; what goes wrong is in its log.

        Args:
            cluster: Its name; its log is there.
            steps: What is done.
            more_to_do: Whether the cluster is only PREPARED afterwards, when every step was right.
        """
        log = self.logs[cluster]
        with ExitStack() as stack:
            try:
                block = log.record(InstallStep.BLOCK, load_block, KubernetesCluster, cluster)
                lock = held(block, self.holder(), self.reach_within)
                mine = log.record(InstallStep.LOCK, stack.enter_context, lock)
                log.watch(mine.require)
                steps(block, log, self._certificates_of(cluster))
            except FleetError:
                # The log has the error, and the state says what it means for the rollout.
                return standing(log)
            finally:
                # The next visit holds it anew.
                log.watch(lambda: None)
            if log.error is None and more_to_do:
                return ClusterProgress(ClusterState.PREPARED, datetime.now(UTC))
            return self._settled(log, mine)

    def _settled(self, log: StepLog, mine: HeldCluster) -> ClusterProgress:
        report = log.report()
        if report.state is not InstallState.INSTALLED:
            return standing(log)
        try:
            since = mine.right_since(self.plan.subject_digest, changed=bool(report.changed))
        except ClusterError:
            # The cluster is right; without the note its time only begins anew.
            since = datetime.now(UTC)
        return ClusterProgress(ClusterState.SUCCEEDED, since)

    def _certificates_of(self, cluster: str) -> CertificateWave:
        return self.certificates[self.plan.wave_of(cluster)]


def certificates_by_wave(
    plan: RolloutPlan, sources: Sources, choice: CertificateChoice
) -> dict[str, CertificateWave]:
    """The certificates of each wave, whose gate is its own, with one evidence for the whole run."""
    namespace = sources.installation.namespace
    waves = {wave.name: CertificateWave(sources.profile, namespace, choice) for wave in plan.waves}
    evidence = WaveEvidence(choice.evidence)
    for wave in waves.values():
        wave.evidence = evidence
    return waves


def describe_subject(sources: Sources, certificate: CertificateChoice) -> str:
    """What is rolled out, for people and for digests: the same words mean the same bytes."""
    bundle, olm = sources.bundle, sources.olm
    content = [bundle.csv, bundle.objects, olm.crds, olm.objects, sources.metrics_server]
    digest = sha256_hex(json.dumps(content, sort_keys=True, default=str).encode())
    # OLM asks no authority, so one that is named nevertheless makes no other installation.
    authority = certificate.authority if certificate.mode is CertificateMode.OWN else ""
    whose = f"{certificate.mode.value} {authority}".rstrip()
    return (
        f"{bundle.name} in {sources.installation.namespace}, OLM {olm.version}, certificate {whose}; "
        f"manifests sha256 {digest}"
    )


def raise_unless_rolled_out(plan: RolloutPlan, end: RolloutEnd) -> str:
    """The final message of a run whose clusters are all installed, or set aside for reasons outside of it.

    Raises:
        InstallError: The rollout stopped early, or a cluster failed within the budget.
    """
    summary = summarize(plan, end.states)
    if end.stopped:
        raise InstallError(
            "finish the rollout",
            summary,
            "every wave to end within its budget",
            end.stopped,
            "Settle the cause and retry this run: the order stays, and what is right is left alone.",
        )
    failed = [f"{name}: {one.detail}" for name, one in end.states.items() if one.state is ClusterState.FAILED]
    if failed:
        raise InstallError(
            "install the operator on every cluster",
            summary,
            "no failed cluster",
            "; ".join(failed),
            "Every wave ended within its budget. Settle the causes and retry this run.",
        )
    return summary


def standing(log: StepLog) -> ClusterProgress:
    """What an error means for the rollout."""
    error, at = log.error, datetime.now(UTC)
    if isinstance(error, (ClusterHeldError, DecisionError)):
        return ClusterProgress(ClusterState.SKIPPED, at, str(error))
    if isinstance(error, ClusterUnavailableError) and log.last_step is InstallStep.LOCK:
        return ClusterProgress(ClusterState.OFFLINE, at, str(error))
    detail = str(error) if error else "not every check of the verification passed; see its report"
    return ClusterProgress(ClusterState.FAILED, at, detail)
