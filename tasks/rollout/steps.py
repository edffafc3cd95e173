"""The steps of an installation on one cluster, before and after the decision about its certificate."""

from dataclasses import dataclass

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.wave import CertificateWave
from tasks.core.errors import FleetError
from tasks.core.settings import CertificateChoice, CertificateMode, Deadlines
from tasks.core.steps import InstallStep
from tasks.installation import (
    install_metrics_server,
    install_olm,
    install_operator,
    prepare_namespace,
    until,
)
from tasks.prerequisites.upstream import Upstream
from tasks.reporting import StepLog
from tasks.sources import Sources
from tasks.target import Target, check_target
from tasks.verification import verify_operator


@dataclass(frozen=True)
class InstallationSteps:
    """The steps, with what is the same for every cluster of a run.

    Attributes:
        upstream: What is known about the prerequisites in OCI.
        sources: What is installed.
        certificate: Whose certificate the webhooks serve.
        deadlines: How long the stages of one cluster may take.
    """

    upstream: Upstream
    sources: Sources
    certificate: CertificateChoice
    deadlines: Deadlines

    def new_log(self, cluster: str) -> StepLog:
        """An empty log of a cluster."""
        return StepLog(cluster, self.sources.profile.lifecycle_notice)

    def has_prerequisites(self, log: StepLog) -> bool:
        """Whether a cluster's prerequisites are met, or were not looked at; the log says which."""
        left_out = self.upstream.left_out(log.cluster)
        if left_out:
            log.skip(InstallStep.PREREQUISITES, left_out)
            return True
        try:
            log.record(InstallStep.PREREQUISITES, self.upstream.require, log.cluster)
        except FleetError:
            # The log has the error; the other clusters go on, and the flow fails at its end.
            return False
        return True

    def checked_before(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """The prerequisites, and everything before the decision if they are met."""
        if self.has_prerequisites(log):
            self.before(cluster, log, wave)

    def before(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """Everything before the decision: target, OLM, namespace, request.

        Raises:
            FleetError: A step failed; the log has it.
        """
        target = self._target(cluster, log)
        install_olm(cluster, self.sources, log, until(self.deadlines.olm))
        prepare_namespace(cluster, self.sources, log)
        if wave.choice.mode is CertificateMode.OWN:
            log.record(InstallStep.CERTIFICATE_REQUEST, wave.request, cluster, target)

    def request(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """The request alone, where another flow run did the rest of what comes before the decision.

        Raises:
            FleetError: A step failed; the log has it.
        """
        target = self._target(cluster, log)
        log.record(InstallStep.CERTIFICATE_REQUEST, wave.request, cluster, target)

    def after(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """Everything after the decision: certificate, operator, metrics server, verification.

        Raises:
            FleetError: A step failed; the log has it.
        """
        own = wave.choice.mode is CertificateMode.OWN
        if own:
            self.publish(cluster, log, wave)
        self.install(cluster, log)
        if own:
            self.prove(cluster, log, wave)

    def publish(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """The certificate, signed as decided and published.

        Raises:
            FleetError: The step failed; the log has it.
        """
        wave.csvs[log.cluster] = self.sources.installation.csv
        deadline = until(wave.choice.publish_within)
        log.record(InstallStep.CERTIFICATE, wave.carry_out, cluster, log.cluster, deadline)

    def install(self, cluster: KubernetesCluster, log: StepLog) -> None:
        """Operator, metrics server, verification.

        Raises:
            FleetError: A step failed; the log has it.
        """
        sources, deadlines = self.sources, self.deadlines
        install_operator(cluster, sources, log, until(deadlines.operator))
        install_metrics_server(cluster, sources, log, until(deadlines.metrics_server))
        deadline, namespace = until(deadlines.verification), sources.installation.namespace
        log.record(InstallStep.VERIFICATION, verify_operator, cluster, sources.profile, namespace, deadline)

    def prove(self, cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
        """What the API server does with the certificate.

        Raises:
            FleetError: The step failed; the log has it.
        """
        log.record(InstallStep.PROOF, wave.prove, cluster, log.cluster)

    def _target(self, cluster: KubernetesCluster, log: StepLog) -> Target:
        deadline = until(self.deadlines.target)
        return log.record(InstallStep.TARGET, check_target, cluster, self.sources.needs, deadline)
