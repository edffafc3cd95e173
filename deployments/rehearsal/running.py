"""Submits a flow run to the rehearsal's Prefect server and follows it, as a person at a terminal would."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import TaskRunSort
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_HOME,
    PREFECT_LOCAL_STORAGE_PATH,
    temporary_settings,
)

from blocks.certificate_authority import CertificateAuthority
from blocks.container_registry import ContainerRegistry
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.world import World
from tasks.connections.prefect_api import prefect_api

AUTHORITY = "my-example-signer"
"""The block of the rehearsal's certificate authority."""

_PAUSE = 0.5


@dataclass(frozen=True)
class FinishedRun:
    """A flow run that ended, or one that waits for a person.

    Attributes:
        artifacts: Markdown by artifact key.
        reported: The task runs that were reported.
    """

    run_id: UUID
    state: str
    message: str
    duration: timedelta
    artifacts: Mapping[str, str]
    reported: frozenset[UUID] = frozenset()


@contextmanager
def prefect_environment(services: PrefectServices) -> Iterator[SyncPrefectClient]:
    """Make this process a client of the rehearsal's server for a while."""
    before = {name: os.environ.get(name) for name in services.environment}
    os.environ.update(services.environment)
    # The environment is for child processes; Prefect read its own settings when it was imported.
    settings = {
        PREFECT_API_URL: services.api_url,
        PREFECT_HOME: str(services.folder),
        PREFECT_LOCAL_STORAGE_PATH: str(services.folder / "storage"),
    }
    try:
        with temporary_settings(settings), prefect_api() as client:
            yield client
            # Logs that are still to be sent would be tried for over a minute after the server has ended.
            APILogHandler().flush()
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def save_blocks(world: World) -> None:
    """Save the blocks that point the flows at the world; inside `prefect_environment`."""
    for cluster in world.clusters:
        KubernetesCluster.model_validate(cluster.block_fields()).save(cluster.name, overwrite=True)
    ContainerRegistry.model_validate(world.registry_fields()).save(world.prefix, overwrite=True)


def save_authority(world: World) -> None:
    """Save the block of the runbook's example CA (R16), made once in the first cluster."""
    block = CertificateAuthority.model_validate({"kind": "MADE_ONCE", "cluster": world.clusters[0].name})
    block.save(AUTHORITY, overwrite=True)


def submit(client: SyncPrefectClient, deployment: str, parameters: Mapping[str, object]) -> FlowRun:
    """Start a run of a deployment, named `flow/deployment`."""
    found = client.read_deployment_by_name(deployment)
    return client.create_flow_run_from_deployment(found.id, parameters=dict(parameters))


def follow(
    client: SyncPrefectClient,
    run: FlowRun,
    report: Callable[[str], None],
    reported: frozenset[UUID] = frozenset(),
) -> FinishedRun:
    """Wait until a run has ended or is suspended, and report every task run that finishes.

    Args:
        client: The server's client.
        run: The run.
        report: Told about task runs.
        reported: Task runs that it has heard of already, before the run was suspended.
    """
    seen = set(reported)
    started = time.monotonic()
    while True:
        current = client.read_flow_run(run.id)
        _report_tasks(client, run.id, seen, report)
        state = current.state
        if state is not None and (state.is_final() or state.is_paused()):
            break
        time.sleep(_PAUSE)
    duration = timedelta(seconds=time.monotonic() - started)
    artifacts = artifacts_of(client, run.id)
    return FinishedRun(run.id, state.name or "", state.message or "", duration, artifacts, frozenset(seen))


def artifacts_of(client: SyncPrefectClient, run_id: UUID) -> dict[str, str]:
    """The Markdown artifacts of a run by key."""
    wanted = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    found = client.read_artifacts(artifact_filter=wanted)
    return {str(artifact.key): str(artifact.data) for artifact in found if artifact.key}


def _report_tasks(
    client: SyncPrefectClient, run_id: UUID, seen: set[UUID], report: Callable[[str], None]
) -> None:
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    for task_run in client.read_task_runs(flow_run_filter=wanted, sort=TaskRunSort.END_TIME_DESC):
        state = task_run.state
        if state is not None and state.is_final() and task_run.id not in seen:
            seen.add(task_run.id)
            seconds = task_run.total_run_time.total_seconds()
            report(f"  {state.name or '':<10} {seconds:6.1f} s  {task_run.name}")
