"""An installation as the work of a rollout, each cluster in flow runs of its own.

What concerns a certificate of your own stays here: request, gate, signing, publishing, proof and evidence.
So no other run is told what was decided, and none needs the CA; it installs what comes before and after.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from tasks.cluster_runs import ClusterRuns
from tasks.core.errors import FleetError
from tasks.core.execution.phases import InstallationPhase
from tasks.core.outcomes import StepOutcome
from tasks.core.reports import InstallReport
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.core.settings import CertificateMode
from tasks.core.steps import InstallStep
from tasks.reporting import StepLog
from tasks.rollout.driver import RolloutWork
from tasks.rollout.installing import WaveInstallation, standing
from tasks.rollout.limits import at_risk
from tasks.rollout.steps import InstallationSteps

CLUSTER_DEPLOYMENT = "install-cluster/install-cluster"
"""The project's own deployment of the flow that installs on one cluster."""


class InstallationDocument(BaseModel):
    """What a flow run that installed on one cluster leaves for the rollout. It holds no secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(default=1, description="Of this document")
    report: InstallReport = Field(description="Its steps")
    progress: ClusterProgress = Field(description="How the cluster stands in the rollout")


@dataclass(frozen=True)
class DelegatedInstallation:
    """Installs in waves, each cluster in flow runs of its own.

    The prerequisites were read by this run, once for all clusters, so it refuses clusters that lack some.

    Attributes:
        local: What is done by this run itself; it has the logs, the gates and the evidence.
        steps: What is the same for every cluster.
        runs: The clusters' flow runs.
        given: Parameters of this run that each of them is given.
    """

    local: WaveInstallation
    steps: InstallationSteps
    runs: ClusterRuns
    given: Mapping[str, BaseModel]

    def work(self) -> RolloutWork:
        """What the driver is given."""
        return RolloutWork(self._prepare, self._finish, self.local.work().decide)

    def _prepare(self, cluster: str) -> ClusterProgress:
        log = self.local.logs[cluster] = self.steps.new_log(cluster)
        if not self.steps.has_prerequisites(log):
            return standing(log)
        if self.steps.certificate.mode is CertificateMode.OLM:
            return self._in_its_run(log, InstallationPhase.ALL)
        prepared = self._in_its_run(log, InstallationPhase.BEFORE_DECISION)
        if prepared.state is not ClusterState.PREPARED:
            return prepared
        return self.local.visit(cluster, self.steps.request, more_to_do=True)

    def _finish(self, cluster: str) -> ClusterProgress:
        log = self.local.logs[cluster]
        stages: tuple[Callable[[], ClusterProgress], ...] = (
            lambda: self.local.visit(cluster, self.steps.publish, more_to_do=True),
            lambda: self._in_its_run(log, InstallationPhase.AFTER_DECISION),
        )
        with at_risk():
            for stage in stages:
                progress = stage()
                if progress.state not in (ClusterState.PREPARED, ClusterState.SUCCEEDED):
                    return progress
            return self.local.visit(cluster, self.steps.prove)

    def _in_its_run(self, log: StepLog, phase: InstallationPhase) -> ClusterProgress:
        """What a flow run of the cluster made of it; its steps are in the log then."""
        left: list[InstallationDocument] = []

        def run_and_wait() -> StepOutcome:
            run = self.runs.start(log.cluster, self._parameters(log.cluster, phase), phase.value)
            self.runs.wait([run])
            attempted = "install on the cluster in a flow run of its own"
            left.append(self.runs.result(run, attempted, log.cluster, InstallationDocument))
            return StepOutcome(detail=f"flow run {run}, {phase.value}")

        try:
            log.record(InstallStep.FLOW_RUN, run_and_wait)
        except FleetError:
            # What was written meanwhile is in the cluster, and the next run finds it there.
            return standing(log)
        log.absorb(left[0].report)
        return left[0].progress

    def _parameters(self, cluster: str, phase: InstallationPhase) -> dict[str, object]:
        given = {name: group.model_dump(mode="json") for name, group in self.given.items()}
        digest = self.local.plan.subject_digest
        return {"cluster": cluster, **given, "phase": phase.value, "subject_digest": digest}
