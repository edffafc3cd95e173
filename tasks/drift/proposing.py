"""The gate of verify-fleet: suspended until a person decides about the repairs that were shown.

The decision is bound to what was shown, which is kept in an artifact of the run: a resumed run looks at the
clusters again, finds there what it had asked, and repairs nothing else. Another content of that artifact, or
a retry, asks again (ADR 0006, ADR 0010).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowFilter,
    FlowFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import ArtifactSort, FlowRunSort
from prefect.input import RunInput
from pydantic import Field

from tasks.connections.prefect_api import prefect_api
from tasks.core.drift.proposals import RepairProposal
from tasks.core.drift.repair_reports import form_text, repair_page, summarize
from tasks.core.drift.repairs import ClusterRepair
from tasks.documents import fenced, read_document
from tasks.gates import Approver, Reason, Waiting, present_run, run_count, wait_for_answer

KEY = "drift-repair"
"""Key of the artifact with the whole plan; `-proposal` after it: what was asked, for machines."""
_PROPOSAL_KEY = f"{KEY}-proposal"
_SHORT = 16
_WAITING = 100
"""So many runs that wait are looked at, the newest."""


class RepairDecisionKind(StrEnum):
    """What a person can say to a proposed repair."""

    REPAIR = "REPAIR"
    DENY = "DENY"


class RepairDecision(RunInput):
    """What the person answers. There is no default for the decision."""

    decision: RepairDecisionKind = Field(
        description="REPAIR puts back what was shown and is still so; DENY leaves everything as it is."
    )
    reason: Reason
    approver: Approver
    schema_title: ClassVar[str] = "Decision about a repair"


def asked_before() -> RepairProposal | None:
    """What this very try of the run asked before it was suspended; None when it did not."""
    present = present_run()
    if present is None:
        return None
    with prefect_api() as client:
        return _proposals(client, [present]).get(present.id)


def asked_elsewhere() -> dict[str, RepairProposal]:
    """What other runs of this flow asked and nobody answered, by the run's name, the newest first."""
    present = present_run()
    if present is None:
        return {}
    paused = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])))
    with prefect_api() as client:
        same_flow = FlowFilter(id=FlowFilterId(any_=[present.flow_id]))
        runs = client.read_flow_runs(
            flow_filter=same_flow, flow_run_filter=paused, sort=FlowRunSort.START_TIME_DESC, limit=_WAITING
        )
        waiting = [run for run in runs if run.id != present.id]
        asked = _proposals(client, waiting)
    return {f"{run.name} ({run.id})": asked[run.id] for run in waiting if run.id in asked}


def _proposals(client: SyncPrefectClient, runs: Sequence[FlowRun]) -> dict[UUID, RepairProposal]:
    """What each run asked last, by its id; nothing of a run that asked in an earlier try only."""
    if not runs:
        return {}
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[_PROPOSAL_KEY]),
        flow_run_id=ArtifactFilterFlowRunId(any_=[run.id for run in runs]),
    )
    newest: dict[UUID | None, str] = {}
    for artifact in client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC):
        newest.setdefault(artifact.flow_run_id, str(artifact.data))
    asked = {run.id: read_document(RepairProposal, newest[run.id]) for run in runs if run.id in newest}
    return {
        run.id: proposal
        for run in runs
        if (proposal := asked.get(run.id)) and proposal.run_count == run.run_count
    }


def keep(proposal: RepairProposal) -> None:
    """Remember in the run what is asked, for the process that goes on after the answer."""
    create_markdown_artifact(fenced(proposal), key=_PROPOSAL_KEY, description="What was asked")


def show(repairs: Mapping[str, ClusterRepair], asked: str = "") -> None:
    """The plan, or what became of it, as an artifact."""
    create_markdown_artifact(repair_page(repairs, asked), key=KEY, description=summarize(repairs.values()))


def ask_to_repair(proposal: RepairProposal, patience: timedelta) -> RepairDecision:
    """Suspend the flow run until somebody decides.

    Only in a deployed top-level flow with `persist_result=True`: nothing else can be suspended.

    Raises:
        DecisionError: The run was continued without an answer.
    """
    key = f"repair-{run_count()}-{proposal.digest[:_SHORT]}"
    waiting = Waiting("repair drift", KEY, proposal.digest, patience, proposal.clusters)
    return wait_for_answer(RepairDecision, form_text(proposal), key, waiting)
