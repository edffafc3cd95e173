"""Answers the gate in the Prefect UI, in a real browser, as the person does who decides (R15)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.prefect_ui import PrefectUi
from deployments.rehearsal.running import FinishedRun, follow, submit
from tasks.clients.polling import deadline_after, wait_for

GATE_PICTURES = ("gate-form.png", "gate-denied.png", "gate-approved.png")
"""The form with a denial filled in, the run after it, and another run after an approval."""

DEPLOYMENT = "issue-webhook-certificate/issue-webhook-certificate"
_PATIENCE = timedelta(minutes=5)
_TALL = 1400


@dataclass(frozen=True)
class Answer:
    """What the person chooses and types."""

    decision: str
    reason: str
    approver: str


def start_and_wait(client: SyncPrefectClient, parameters: Mapping[str, object]) -> FinishedRun:
    """Start a run of issue-webhook-certificate and wait until its form is there, or the run ends."""
    run = follow(client, submit(client, DEPLOYMENT, parameters), lambda _: None)
    if run.state == "Suspended":
        # The server gets the form a moment after the state.
        wait_for(lambda: _forms(client, run.run_id), bool, deadline_after(_PATIENCE))
    return run


def answer_in_the_form(ui: PrefectUi, run: UUID, answer: Answer, picture: Path | None = None) -> list[str]:
    """Open the suspended run's form, fill it, and press Submit.

    Args:
        ui: The server's UI.
        run: A suspended flow run.
        answer: What to enter.
        picture: Where a picture of the filled form goes.

    Returns:
        The decisions that the form offers.
    """
    form = ui.open_resume_form(run)
    offered = form.choices("Decision")
    form.choose(answer.decision, "Decision")
    form.write(answer.reason, "Reason")
    form.write(answer.approver, "Approver")
    if picture is not None:
        ui.picture(picture, _TALL)
    form.submit_answer()
    return offered


def show_end(ui: PrefectUi, run: UUID, state: str, picture: Path) -> None:
    """Watch the open page of the run until its state has that name, and take a picture of it."""
    ui.wait_for_run_state(state)
    ui.open_run(run)
    ui.picture(picture)


def deny_then_approve(
    ui: PrefectUi, client: SyncPrefectClient, parameters: Mapping[str, object], folder: Path
) -> None:
    """Take the pictures: one run is denied in the form, the next one is approved.

    Args:
        ui: The server's UI.
        client: The same server.
        parameters: Of issue-webhook-certificate; its blocks are saved.
        folder: Where the pictures go.
    """
    form, denied, approved = (folder / name for name in GATE_PICTURES)
    first = start_and_wait(client, parameters).run_id
    answer_in_the_form(ui, first, Answer("DENY", "Not before the freeze ends", "Ada Lovelace"), form)
    show_end(ui, first, "Failed", denied)
    second = start_and_wait(client, parameters).run_id
    answer_in_the_form(ui, second, Answer("APPROVE", "Planned change", "Ada Lovelace"))
    show_end(ui, second, "Completed", approved)


def _forms(client: SyncPrefectClient, run: UUID) -> list[str]:
    found = client.filter_flow_run_input(run, "suspended-", 10, set())
    return [one.key for one in found if one.key.endswith("-schema")]
