"""Reads everything of the runbook back and compares it with what should be, on schedule (R1–R22)."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.publication import PublicationChoice
from tasks.core.drift.repair_choice import RepairChoice
from tasks.core.drift.repair_reports import summarize
from tasks.core.drift.results import VERIFIED, FleetVerification, VerificationState
from tasks.core.execution.choice import ExecutionChoice
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.drift.announcing import announce
from tasks.drift.batches import PARALLEL
from tasks.drift.clusters import clusters_to_verify
from tasks.drift.looking import Looker
from tasks.drift.publication import hand_on
from tasks.drift.publishing import ClusterDocument, publish, read_memories, silent_first, with_last_time
from tasks.drift.repairing import RepairOrder
from tasks.drift.repairs import repair_drift
from tasks.drift.verifying import Verified, expectation_of
from tasks.rollout.members import FleetChoice
from tasks.sources import fetch_sources

DRIFT_FOUND = "DriftFound"
"""Name of the final state of a run that verified everything and found drift; its type is COMPLETED."""
NOT_VERIFIED = "NotVerified"
"""Name of the final state of a run that could not verify every cluster; its type is FAILED."""

ClusterNames = Annotated[
    list[str],
    Field(
        description="Names of the OSOK Kubernetes Cluster blocks to verify. Empty, and no fleet: all that "
        "there are."
    ),
]

_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=PARALLEL)
_LONGEST_NAME = 120


def _flow_run_name() -> str:
    given: dict[str, Any] = flow_run.parameters
    fleet = FleetChoice.model_validate(given.get("fleet") or {})
    names = ",".join(given.get("clusters") or []) or fleet.name or "all"
    return f"verify-fleet/{names}"[:_LONGEST_NAME]


@flow(
    name="verify-fleet",
    flow_run_name=_flow_run_name,
    persist_result=True,
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def verify_fleet(  # noqa: PLR0913, PLR0917 - each parameter is one group of the form in the Prefect UI
    clusters: ClusterNames = [],  # noqa: B006 - Prefect makes the form of it; nobody changes it
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    choice: VerificationChoice = VerificationChoice(),
    publication: PublicationChoice = PublicationChoice(),
    repair: RepairChoice = RepairChoice(),
    fleet: FleetChoice = FleetChoice(),
    execution: ExecutionChoice = ExecutionChoice(),
) -> State[None]:
    """Compare clusters with what install-fleet makes of the same parameters, and repair what is allowed.

    Clusters are verified side by side; one that does not answer does not stop the others. Nothing is changed
    unless a kind of drift has another policy than REPORT. With PROPOSE the run is suspended once until a
    person decides; what is repaired is verified again in the same run.

    Args:
        clusters: Names of the OSOK Kubernetes Cluster blocks to verify. Empty, and no fleet: all there are.
        operator: Which operator release should be there, and where its bundle comes from.
        olm: Which Operator Lifecycle Manager should be there, and where its two manifest files come from.
        metrics_server: Whether the metrics server is part of the installation.
        choice: What is looked at, what counts as expiring, and what is left out.
        publication: Where metrics and the report of the fleet go.
        repair: What is done about drift, by its kind; by default nothing.
        fleet: The clusters of an OSOK Cluster Fleet block that a label selector chooses, instead of clusters.
        execution: Whether clusters are looked at in tasks of this run, or each in a flow run of its own.

    Returns:
        Completed; or Completed under the name DriftFound; or Failed under the name NotVerified.
    """
    names = clusters_to_verify(clusters, fleet)
    sources = fetch_sources(operator, olm, metrics_server)
    expected = expectation_of(sources, choice)
    known = read_memories(names)
    memories = {name: known[name].memory if name in known else ClusterMemory() for name in names}
    looker = Looker(operator, olm, metrics_server, choice, execution)
    verified = looker.look(silent_first(names, known), expected, memories)
    if not repair.changes_nothing:
        order = RepairOrder(sources, expected, choice, repair)
        verified = repair_drift(verified, order, lambda so_far: _tell(so_far, known, publication))
    return _final_state(_tell(verified, known, publication), verified)


def _tell(
    verified: Sequence[Verified], known: dict[str, ClusterDocument], publication: PublicationChoice
) -> FleetVerification:
    dated = with_last_time((one.result for one in verified), known)
    fleet = FleetVerification(at=datetime.now(UTC), clusters=dated)
    for one in verified:
        announce(one)
    publish(fleet, verified, known, hand_on(fleet, publication))
    return fleet


def _final_state(fleet: FleetVerification, verified: Sequence[Verified]) -> State[None]:
    """Drift is what the run is for and no failure of it; a cluster that nobody looked at is one."""
    missed = [one.result for one in verified if one.result.state not in VERIFIED]
    summary = fleet.summary() + _repaired(fleet)
    if missed:
        reasons = "; ".join(f"{one.cluster} {one.state}: {one.error}" for one in missed[:10])
        return Failed(name=NOT_VERIFIED, message=f"{summary}. Not verified: {reasons}"[:4000])
    if fleet.count(VerificationState.DRIFTED):
        return Completed(name=DRIFT_FOUND, message=summary[:4000])
    return Completed(message=summary[:4000])


def _repaired(fleet: FleetVerification) -> str:
    """What became of the drift, and why a repair failed; nothing where nothing was to be done."""
    repairs = [(one.cluster, one.repair) for one in fleet.clusters if one.repair]
    told = summarize(repair for _, repair in repairs)
    failed = "; ".join(f"{cluster}: {repair.error}" for cluster, repair in repairs if repair.error)
    return (f". Repair: {told}" if told else "") + (f". Failed: {failed}" if failed else "")
