"""Reads what earlier verifications left in Prefect, for drift over time."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterStartTime,
)
from prefect.client.schemas.sorting import FlowRunSort

from tasks.connections.prefect_api import prefect_api
from tasks.core.drift.report.history import MOST_POINTS, WINDOW, Snapshot, evenly, snapshot_of
from tasks.core.drift.results import FleetVerification
from tasks.documents import read_document
from tasks.drift.publishing import FLEET_KEY

_PAGE = 200
_MOST_PAGES = 5
"""A thousand runs: thirty days of hourly ones, and some by hand."""
_BATCH = 10
"""Documents of 500 clusters have a megabyte each."""


def earlier_snapshots(before: datetime, deployment: UUID | None, flow_name: str) -> tuple[Snapshot, ...]:
    """Verifications of the window, spread evenly over it where there are more than `MOST_POINTS`.

    Args:
        before: The end of the window.
        deployment: Whose runs; None: runs that belong to none.
        flow_name: The name of the flow.
    """
    with prefect_api() as client:
        runs = evenly(_runs(client, before, deployment, flow_name), MOST_POINTS)
        batches = [runs[start : start + _BATCH] for start in range(0, len(runs), _BATCH)]
        documents = [document for batch in batches for document in _documents(client, batch)]
    return tuple(documents)


def _runs(client: SyncPrefectClient, before: datetime, deployment: UUID | None, flow_name: str) -> list[UUID]:
    """Their ids, the newest first."""
    of_deployment = (
        FlowRunFilterDeploymentId(any_=[deployment])
        if deployment
        else FlowRunFilterDeploymentId(is_null_=True)
    )
    started = FlowRunFilterStartTime(after_=before - WINDOW, before_=before)
    found: list[UUID] = []
    for page in range(_MOST_PAGES):
        runs = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow_name])),
            flow_run_filter=FlowRunFilter(deployment_id=of_deployment, start_time=started),
            sort=FlowRunSort.START_TIME_DESC,
            limit=_PAGE,
            offset=page * _PAGE,
        )
        found += [run.id for run in runs]
        if len(runs) < _PAGE:
            break
    return found


def _documents(client: SyncPrefectClient, runs: Sequence[UUID]) -> list[Snapshot]:
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[f"{FLEET_KEY}-json"]),
        flow_run_id=ArtifactFilterFlowRunId(any_=list(runs)),
    )
    artifacts = client.read_artifacts(artifact_filter=wanted, limit=_PAGE)
    read = (read_document(FleetVerification, str(one.data)) for one in artifacts)
    return [snapshot_of(document) for document in read if document is not None]
