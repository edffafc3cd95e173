"""Clusters are worked on by a worker of another machine, which shares no folder with the caller (R2-R10)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate
from prefect.client.schemas.objects import FlowRun

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.processes import RunningProcess
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import FinishedRun, follow, prefect_environment, save_blocks, submit
from deployments.rehearsal.world import World
from tests.support.artifacts import document_in
from tests.support.cluster_runs import ClusterRunsOf
from tests.support.installed import WorldReport

pytestmark = [pytest.mark.cluster, pytest.mark.long]

POOL = "elsewhere"
ELSEWHERE: dict[str, Any] = {"execution": {"mode": "DEPLOYMENT_RUNS"}}
WAVES: dict[str, Any] = {"rollout": {"waves": [{"name": "all", "max_concurrency": "100%"}]}}


@dataclass(frozen=True)
class Machines:
    """Two clusters; their flow runs are those of another work pool, which only the other worker polls."""

    client: SyncPrefectClient
    services: PrefectServices
    other: RunningProcess
    world: World

    def run(self, flow: str, **more: object) -> tuple[FinishedRun, list[FlowRun]]:
        """A flow run to its end, and those that it started."""
        parameters = {**self.world.parameters(), **ELSEWHERE, **more}
        run = submit(self.client, f"{flow}/{flow}", parameters)
        ended = follow(self.client, run, lambda _: None)
        return ended, ClusterRunsOf(self.client, self.services, run.id).all()


@pytest.fixture
def machines(tmp_path: Path, report: WorldReport) -> Iterator[Machines]:
    home = tmp_path / "elsewhere"
    home.mkdir()
    with PrefectServices(tmp_path / "prefect") as services:
        services.start_server()
        services.deploy()
        with (
            prefect_environment(services) as client,
            World(tmp_path / "world", OlmVersion.V0_46_0, 2, report, "machines") as world,
        ):
            save_blocks(world)
            save_contents(world)
            work_elsewhere(client)
            services.start_worker()
            yield Machines(client, services, services.start_worker_elsewhere(POOL, home), world)


def work_elsewhere(client: SyncPrefectClient) -> None:
    """Give what works on one cluster to a pool of its own."""
    client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    for flow in ("install-cluster", "verify-cluster"):
        deployment = client.read_deployment_by_name(f"{flow}/{flow}")
        client.update_deployment(deployment.id, DeploymentUpdate(work_pool_name=POOL))


def save_contents(world: World) -> None:
    """A kubeconfig's file is on one machine; the block holds what is in it."""
    for cluster in world.clusters:
        fields = cluster.block_fields()
        fields |= {"source": "CONTENT", "kubeconfig": cluster.kubeconfig.read_text(), "kubeconfig_file": None}
        KubernetesCluster.model_validate(fields).save(cluster.name, overwrite=True)


def test_a_fleet_is_installed_and_verified_by_the_worker_of_another_machine(machines: Machines) -> None:
    names = [cluster.name for cluster in machines.world.clusters]

    installed, installing = machines.run("install-fleet", **WAVES)
    verified, verifying = machines.run("verify-fleet")

    taken = machines.other.command.log.read_text()
    reports = [document_in(installed.artifacts[f"install-{name}-json"]) for name in names]
    assert (installed.state, installed.message) == ("Completed", "2 SUCCEEDED")
    assert [report["state"] for report in reports] == ["INSTALLED", "INSTALLED"]
    assert (verified.state, verified.message) == ("Completed", "2 looked at: 2 FINE")
    children = [*installing, *verifying]
    assert sorted(child.parameters["cluster"] for child in children) == [names[0]] * 2 + [names[1]] * 2
    assert [child.name for child in children if f"submitting flow run '{child.id}'" not in taken] == []
