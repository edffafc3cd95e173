"""Repairs the drift of a run: what needs no question at once, the rest after a person agreed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from tasks.core.drift.proposals import RepairProposal, in_place_of_asking, leave_to_others, propose
from tasks.core.drift.repairs import ClusterRepair, Identity, RepairEntry, RepairVerdict, choose
from tasks.core.markdown import counted
from tasks.drift.proposing import RepairDecisionKind, ask_to_repair, asked_before, asked_elsewhere, keep, show
from tasks.drift.repairing import RepairOrder, repair_cluster
from tasks.drift.verifying import Verified
from tasks.gates import run_count

Tell = Callable[[Sequence[Verified]], object]
"""Publishes and announces how the clusters stand."""


def repair_drift(verified: Sequence[Verified], order: RepairOrder, tell: Tell) -> list[Verified]:
    """Repair what the policies allow, and return the clusters as they were verified afterwards.

    Called in the flow's own thread. It may suspend the run; before that everything is told and remembered,
    and the run that goes on after the answer starts from the top.

    Raises:
        DecisionError: The run was continued at its gate without an answer.
    """
    done = _repair([_planned(one, order) for one in verified], order)
    proposal = asked_before()
    if proposal is None:
        if _proposal(done).repairs:
            waiting = asked_elsewhere()
            done = [_left_to_others(one, waiting) for one in done]
        proposal = _proposal(done)
        if not proposal.repairs:
            _show(done)
            return done
        done = _ask(done, proposal, tell)
    answer = ask_to_repair(proposal, order.choice.decision_deadline)
    said = f"{answer.decision} by {answer.approver} (claimed): {answer.reason}"
    get_run_logger().info("Repair %s: %s", proposal.digest[:16], said)
    if answer.decision is RepairDecisionKind.REPAIR:
        done = _repair(done, order, {name: proposal.identities(name) for name in _names(done)})
    else:
        done = [_denied(one, said) for one in done]
    _show(done)
    return done


def _proposal(done: Sequence[Verified]) -> RepairProposal:
    return propose({one.result.cluster: _entries(one) for one in done}, run_count())


def _ask(done: Sequence[Verified], proposal: RepairProposal, tell: Tell) -> list[Verified]:
    tell(done)
    _show(
        done, f"# May {counted(len(proposal.repairs), 'item')} be repaired?\n\nBound to `{proposal.digest}`."
    )
    keep(proposal)
    return [replace(one, news=(), resolved=(), repaired=()) for one in done]


def _repair(
    verified: Sequence[Verified],
    order: RepairOrder,
    approved: Mapping[str, frozenset[Identity]] | None = None,
) -> list[Verified]:
    """Side by side, every cluster on which something is due; a failure of one is told in its result."""
    chosen = [_chosen(one, approved) for one in verified]
    pending: dict[str, PrefectFuture[Any]] = {
        one.result.cluster: repair_cluster.submit(
            one.result.cluster, order, one, None if approved is None else approved[one.result.cluster]
        )
        for one in chosen
        if any(entry.verdict is RepairVerdict.DUE for entry in _entries(one))
    }
    # A fault of one repair is a result of its own: the other clusters' results are not lost with it.
    results = {name: future.result(raise_on_failure=False) for name, future in pending.items()}
    return [_checked(one, results.get(one.result.cluster, one)) for one in chosen]


def _chosen(one: Verified, approved: Mapping[str, frozenset[Identity]] | None) -> Verified:
    if approved is None or one.result.repair is None:
        return one
    return _with_entries(one, choose(_entries(one), approved[one.result.cluster]))


def _planned(one: Verified, order: RepairOrder) -> Verified:
    return _with_entries(one, order.plan(one))


def _left_to_others(one: Verified, waiting: Mapping[str, RepairProposal]) -> Verified:
    entries = leave_to_others(one.result.cluster, _entries(one), waiting)
    return _with_entries(one, entries) if entries else one


def _denied(one: Verified, said: str) -> Verified:
    return _with_entries(one, in_place_of_asking(_entries(one), RepairVerdict.DENIED, said))


def _checked(before: Verified, result: object) -> Verified:
    if isinstance(result, Verified):
        return result
    error = f"a fault of the repair itself: {type(result).__name__}; the run's log has the rest"
    entries = tuple(
        entry.model_copy(update={"verdict": RepairVerdict.FAILED, "reason": error})
        if entry.verdict is RepairVerdict.DUE
        else entry
        for entry in _entries(before)
    )
    return _with_repair(before, ClusterRepair(entries=entries, error=error))


def _entries(one: Verified) -> tuple[RepairEntry, ...]:
    return one.result.repair.entries if one.result.repair else ()


def _with_entries(one: Verified, entries: tuple[RepairEntry, ...]) -> Verified:
    before = one.result.repair or ClusterRepair()
    return _with_repair(one, before.model_copy(update={"entries": entries}))


def _with_repair(one: Verified, repair: ClusterRepair) -> Verified:
    return replace(one, result=one.result.model_copy(update={"repair": repair}))


def _names(verified: Sequence[Verified]) -> list[str]:
    return [one.result.cluster for one in verified]


def _show(verified: Sequence[Verified], asked: str = "") -> None:
    show({one.result.cluster: one.result.repair for one in verified if one.result.repair}, asked)
