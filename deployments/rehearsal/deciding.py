"""The person of the rehearsal: shows a suspended run's artifact in the terminal and sends the decision."""

import getpass
import sys
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas import OrchestrationResult
from prefect.client.schemas.objects import FlowRun

from deployments.rehearsal.processes import ProgramError
from deployments.rehearsal.running import FinishedRun, follow
from tasks.clients.polling import deadline_after, wait_for

_ACCEPTED = "ACCEPT"
_DENY = "DENY"
_STOP = "STOP"
_NO_FORM = "schema not found"
_PATIENCE = timedelta(minutes=5)


class Gate(Enum):
    """A gate of a flow: how its key begins, the artifact that a person reads, the word that agrees."""

    CERTIFICATES = ("sign-", "certificate-requests", "APPROVE")
    PREREQUISITES = ("create-", "prerequisites-plan", "CREATE")
    WAVE = ("wave-", "rollout-approval", "BEGIN")
    REPAIR = ("repair-", "drift-repair", "REPAIR")

    def __init__(self, key: str, artifact: str, agreement: str) -> None:
        self.key = key
        self.artifact = artifact
        self.agreement = agreement


def follow_and_decide(client: SyncPrefectClient, run: FlowRun, report: Callable[[str], None]) -> FinishedRun:
    """Follow a run to its end, and ask at the terminal whenever it waits for a person."""
    finished = follow(client, run, report)
    while finished.state == "Suspended":
        finished = _decide_in_terminal(client, run, finished, report)
    return finished


def _decide_in_terminal(
    client: SyncPrefectClient, run: FlowRun, waiting: FinishedRun, report: Callable[[str], None]
) -> FinishedRun:
    """Ask at the terminal, resume the run and follow it until it ends or waits again.

    Without a terminal nobody can be asked: the rehearsal agrees by itself and says so.
    """
    gate = _gate_of(client.read_flow_run(run.id))
    if gate.artifact in waiting.artifacts:
        report(f"\n{waiting.artifacts[gate.artifact]}")
    if sys.stdin.isatty():
        answer = _ask(gate.agreement, _STOP if gate is Gate.WAVE else _DENY)
    else:
        report(f"No terminal: the rehearsal answers {gate.agreement} itself.")
        answer = {
            "decision": gate.agreement,
            "reason": "rehearsal without a terminal",
            "approver": "the rehearsal",
        }
    resume(client, run, answer)
    return follow(client, run, report, waiting.reported)


def _gate_of(run: FlowRun) -> Gate:
    """Which gate a suspended run stands at.

    Raises:
        ProgramError: At none that is known here.
    """
    key = (run.state.state_details.pause_key if run.state else None) or ""
    for gate in Gate:
        if key.startswith(gate.key):
            return gate
    raise ProgramError("find the gate of the run", run.name, "a key of a known gate", key)


def resume(client: SyncPrefectClient, run: FlowRun, answer: dict[str, object]) -> None:
    """Send a decision to a suspended run.

    Raises:
        ProgramError: The server rejected it. It answers 200 then, so the status counts, not the code.
    """
    result = send_answer(client, run.id, answer)
    if result.status.value != _ACCEPTED:
        raise ProgramError("resume the run", run.name, _ACCEPTED, str(result.details))


def send_answer(
    client: SyncPrefectClient, run_id: UUID, answer: dict[str, object] | None
) -> OrchestrationResult[Any]:
    """Resume a run, once its form is there: that is stored a moment after the suspension."""
    return wait_for(
        lambda: client.resume_flow_run(run_id, run_input=answer),
        lambda said: _NO_FORM not in str(said.details),
        deadline_after(_PATIENCE),
    )


def _ask(agreement: str, refusal: str) -> dict[str, object]:
    decision = ""
    while decision not in (agreement, refusal):
        decision = input(f"Decision, {agreement} or {refusal}: ").strip().upper()
    reason = ""
    while len(reason) < 3:  # noqa: PLR2004 - the gate's own minimum
        reason = input("Reason (at least three characters): ").strip()
    return {"decision": decision, "reason": reason, "approver": getpass.getuser()}
