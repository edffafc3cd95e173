"""An installation as the work of a rollout, each cluster in a flow run of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field

from tasks.cluster_runs import ClusterRuns
from tasks.core.errors import FleetError
from tasks.core.outcomes import StepOutcome
from tasks.core.reports import InstallReport, joined
from tasks.core.rollout.plans import RolloutPlan
from tasks.core.rollout.states import ClusterProgress
from tasks.core.steps import InstallStep
from tasks.reporting import StepLog
from tasks.rollout.driver import RolloutWork
from tasks.rollout.installing import standing
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
    """Installs in waves, each cluster in a flow run of its own.

    The prerequisites were read by this run, once for all clusters, so it refuses clusters that lack some.

    Attributes:
        plan: The plan; its certificates are OLM's, so no cluster waits for a decision.
        steps: What is the same for every cluster.
        runs: The clusters' flow runs.
        given: Parameters of this run that each of them is given.
    """

    plan: RolloutPlan
    steps: InstallationSteps
    runs: ClusterRuns
    given: Mapping[str, BaseModel]
    _reports: dict[str, InstallReport] = field(default_factory=dict)

    def work(self) -> RolloutWork:
        """What the driver is given."""
        return RolloutWork(self._install, self._install, lambda _: None)

    def reports(self) -> list[InstallReport]:
        """The report of every cluster that was begun, in the order of the plan."""
        return [self._reports[name] for name in self.plan.clusters if name in self._reports]

    def _install(self, cluster: str) -> ClusterProgress:
        log = self.steps.new_log(cluster)
        document = self._in_its_run(cluster, log) if self.steps.has_prerequisites(log) else None
        if document is None:
            self._reports[cluster] = log.report()
            return standing(log)
        self._reports[cluster] = joined(log.report(), document.report)
        return document.progress

    def _in_its_run(self, cluster: str, log: StepLog) -> InstallationDocument | None:
        """What its flow run left; None when it left nothing: then the log has the error."""
        left: list[InstallationDocument] = []

        def run_and_wait() -> StepOutcome:
            run = self.runs.start(cluster, self._parameters(cluster))
            self.runs.wait([run])
            attempted = "install on the cluster in a flow run of its own"
            left.append(self.runs.result(run, attempted, cluster, InstallationDocument))
            return StepOutcome(detail=f"flow run {run}")

        try:
            log.record(InstallStep.FLOW_RUN, run_and_wait)
        except FleetError:
            # What was written meanwhile is in the cluster, and the next run finds it there.
            return None
        return left[0]

    def _parameters(self, cluster: str) -> dict[str, object]:
        given = {name: group.model_dump(mode="json") for name, group in self.given.items()}
        return {"cluster": cluster, **given, "subject_digest": self.plan.subject_digest}
