"""The person of the rehearsal: shows a suspended run's artifact in the terminal and sends the decision."""

import getpass
import sys
from collections.abc import Callable

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun

from deployments.rehearsal.processes import ProgramError
from deployments.rehearsal.running import FinishedRun, follow

_ACCEPTED = "ACCEPT"


def decide_in_terminal(
    client: SyncPrefectClient, run: FlowRun, waiting: FinishedRun, report: Callable[[str], None]
) -> FinishedRun:
    """Ask at the terminal, resume the run and follow it to its end.

    Without a terminal nobody can be asked: the rehearsal approves itself and says so.
    """
    for key, text in waiting.artifacts.items():
        if key == "certificate-requests":
            report(f"\n{text}")
    if sys.stdin.isatty():
        answer = _ask()
    else:
        report("No terminal: the rehearsal approves its own request.")
        answer = {
            "decision": "APPROVE",
            "reason": "rehearsal without a terminal",
            "approver": "the rehearsal",
        }
    resume(client, run, answer)
    return follow(client, run, report)


def resume(client: SyncPrefectClient, run: FlowRun, answer: dict[str, object]) -> None:
    """Send a decision to a suspended run.

    Raises:
        ProgramError: The server rejected it. It answers 200 then, so the status counts, not the code.
    """
    result = client.resume_flow_run(run.id, run_input=answer)
    if result.status.value != _ACCEPTED:
        raise ProgramError("resume the run", run.name, _ACCEPTED, str(result.details))


def _ask() -> dict[str, object]:
    decision = ""
    while decision not in ("APPROVE", "DENY"):
        decision = input("Decision, APPROVE or DENY: ").strip().upper()
    reason = ""
    while len(reason) < 3:  # noqa: PLR2004 - the gate's own minimum
        reason = input("Reason (at least three characters): ").strip()
    return {"decision": decision, "reason": reason, "approver": getpass.getuser()}
