"""Looks at all clusters of a run: in tasks of its own, or in a flow run for each cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from prefect.utilities.annotations import quote
from pydantic import BaseModel, Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.cluster_runs import ClusterRuns
from tasks.connections import load_many
from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.items import DATA
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.results import VerificationState
from tasks.core.execution.choice import Execution, ExecutionChoice
from tasks.core.execution.failures import ClusterRunError
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.drift.batches import Look, look_in_batches
from tasks.drift.verifying import Verified, checked, not_verified, verify_cluster

CLUSTER_DEPLOYMENT = "verify-cluster/verify-cluster"
"""The project's own deployment of the flow that looks at one cluster."""
_SMALL_FLEET = 100
"""So many clusters have a task run each. A thousand of those every hour cost Prefect's server more than half
of what the verification itself costs (docs/benchmarks-fleet.md)."""
_ATTEMPTED = "look at the cluster in a flow run of its own"
T = TypeVar("T")


class LookDocument(BaseModel):
    """What a flow run that looked at one cluster leaves for the one that asked."""

    model_config = DATA

    schema_version: int = Field(default=1, description="Of this document")
    verified: Verified = Field(description="The result, and what follows from it")


@dataclass(frozen=True)
class Looker:
    """Looks at clusters.

    Attributes:
        operator: Which operator release should be there.
        olm: Which Operator Lifecycle Manager should be there.
        metrics_server: Whether the metrics server is part of the installation.
        choice: What is looked at.
        execution: Where each cluster is looked at.
    """

    operator: OperatorChoice
    olm: OlmRelease
    metrics_server: MetricsServerChoice
    choice: VerificationChoice
    execution: ExecutionChoice

    def look(
        self, names: Sequence[str], expected: Expectation, memories: Mapping[str, ClusterMemory]
    ) -> list[Verified]:
        """The result of each cluster, in order; what goes wrong with one stands in its result.

        Args:
            names: The clusters.
            expected: What should be there.
            memories: What is remembered of each of them.

        Raises:
            InputError: The deployment for the clusters' own runs cannot do it.
        """
        if self.execution.mode is Execution.TASKS:
            return self._in_tasks(names, expected, memories)
        runs = ClusterRuns(self.execution, CLUSTER_DEPLOYMENT)
        started = [(name, runs.start(name, self._parameters(name))) for name in names]
        runs.wait([run for _, run in started])
        looked = []
        for name, run in started:
            try:
                looked.append(runs.result(run, _ATTEMPTED, name, LookDocument).verified)
            except ClusterRunError as error:
                looked.append(not_verified(name, VerificationState.UNVERIFIED, error, memories[name]))
        return looked

    def _in_tasks(
        self, names: Sequence[str], expected: Expectation, memories: Mapping[str, ClusterMemory]
    ) -> list[Verified]:
        """In tasks of this run: one for each cluster, or for each batch of a large fleet."""
        blocks = load_many(KubernetesCluster, names)
        if len(names) > _SMALL_FLEET:
            looks = [Look(name, expected, self.choice, memories[name], blocks.get(name)) for name in names]
            return look_in_batches(looks)
        what, choice = _quoted(expected), _quoted(self.choice)
        pending = [
            verify_cluster.submit(name, what, choice, _quoted(memories[name]), _quoted(blocks.get(name)))
            for name in names
        ]
        # A fault of one verification is a result of its own: the others' results are not lost with it.
        results = [future.result(raise_on_failure=False) for future in pending]
        return [checked(name, one, memories[name]) for name, one in zip(names, results, strict=True)]

    def _parameters(self, cluster: str) -> dict[str, object]:
        groups: dict[str, BaseModel] = {
            "operator": self.operator,
            "olm": self.olm,
            "metrics_server": self.metrics_server,
            "choice": self.choice,
        }
        return {"cluster": cluster, **{name: one.model_dump(mode="json") for name, one in groups.items()}}


def _quoted(value: T) -> T:
    """A parameter of a task, which gets the value itself: Prefect looks for no futures in its manifests."""
    return cast("T", quote(value))
