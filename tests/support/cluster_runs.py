"""Flow runs of clusters and their processes, for tests that kill them; and a cluster that never answers."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterParentFlowRunId
from prefect.client.schemas.objects import FlowRun

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.prefect_services import PrefectServices
from tasks.clients.polling import deadline_after, wait_for
from tests.support.crashes import descendants

_PATIENCE = timedelta(minutes=3)


@contextmanager
def hanging_cluster(name: str) -> Iterator[None]:
    """A saved block of a cluster that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        address = f"https://127.0.0.1:{server.getsockname()[1]}"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "hanging",
            "contexts": [{"name": "hanging", "context": {"cluster": "hanging", "user": "hanging"}}],
            "clusters": [{"name": "hanging", "cluster": {"server": address}}],
            "users": [{"name": "hanging", "user": {"token": "none"}}],
        }
        fields = {"source": "CONTENT", "context": "hanging", "kubeconfig": json.dumps(config)}
        KubernetesCluster.model_validate(fields).save(name, overwrite=True)
        try:
            yield
        finally:
            KubernetesCluster.delete(name)


@dataclass(frozen=True)
class ClusterRunsOf:
    """The flow runs that a flow run started through a deployment.

    Attributes:
        parent: The id of the flow run that started them.
    """

    client: SyncPrefectClient
    services: PrefectServices
    parent: UUID

    def all(self) -> list[FlowRun]:
        """Those of every cluster."""
        wanted = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[self.parent]))
        return self.client.read_flow_runs(flow_run_filter=wanted)

    def of(self, cluster: str) -> list[FlowRun]:
        """Those of one cluster."""
        return [run for run in self.all() if run.parameters["cluster"] == cluster]

    def running(self, cluster: str) -> FlowRun:
        """Wait until that of a cluster runs."""
        found = wait_for(
            lambda: [run for run in self.of(cluster) if run.state_name == "Running"],
            bool,
            deadline_after(_PATIENCE),
        )
        assert found, f"the flow run of {cluster} does not run"
        return found[0]

    def wait_for_state(self, run: UUID, *names: str) -> None:
        """Wait until a flow run is in one of some states."""
        state = wait_for(
            lambda: self.client.read_flow_run(run).state_name,
            lambda name: name in names,
            deadline_after(_PATIENCE),
        )
        assert state in names

    def signal(self, run: UUID, number: int) -> None:
        """Send a signal to the process of a flow run."""
        mine = [one for one in descendants(self.services.worker.pid) if _runs(one, run)]
        assert mine, f"flow run {run} has no process"
        for process in mine:
            os.kill(process, number)


def _runs(process: int, run: UUID) -> bool:
    try:
        environment = Path(f"/proc/{process}/environ").read_bytes()
    except OSError:  # it has ended meanwhile
        return False
    return str(run).encode() in environment
