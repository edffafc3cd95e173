"""The gate before a MANUAL wave: suspended until a person lets it begin or ends the rollout.

Bound to the plan's digest and to the run's try: another plan, or a retry, asks again (ADR 0006).
"""

from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput
from pydantic import Field

from tasks.core.markdown import counted
from tasks.core.rollout.plans import PlannedWave, named
from tasks.gates import Approver, Reason, Waiting, run_count, wait_for_answer

_SHORT = 16


class WaveDecisionKind(StrEnum):
    """What a person can say before a wave."""

    BEGIN = "BEGIN"
    """The wave begins."""
    STOP = "STOP"
    """The rollout ends here."""


class WaveDecision(RunInput):
    """What the person answers. There is no default for the decision."""

    decision: WaveDecisionKind = Field(
        description="BEGIN lets the wave begin; STOP ends the rollout before it, and what is done stays."
    )
    reason: Reason
    approver: Approver
    schema_title: ClassVar[str] = "Decision about a wave"


def ask_to_begin(wave: PlannedWave, digest: str, shown: str, patience: timedelta) -> WaveDecision:
    """Show the rollout and suspend the flow run until somebody decides about its next wave.

    Only in a deployed top-level flow with `persist_result=True`: nothing else can be suspended.

    Args:
        wave: The wave that would begin.
        digest: Of the plan.
        shown: Markdown: the plan, and how the waves before went.
        patience: How long to wait; the run fails afterwards.

    Raises:
        DecisionError: The run was continued without an answer.
    """
    text = f"# May wave {wave.name} begin?\n\nDecision is bound to the plan `{digest}`.\n\n{shown}"
    create_markdown_artifact(
        text, key="rollout-approval", description=f"Wave {wave.name} waits for a decision"
    )
    # Prefect's form shows no tables, so it says in a few lines what the artifact has in full.
    form = (
        f"May wave **{wave.name}** begin with {counted(len(wave.clusters), 'cluster')}: "
        f"{named(wave.clusters)}?\n\n"
        "The plan, and how the waves before went, are in this run's artifact **rollout-approval**. The "
        f"decision is bound to `{digest[:_SHORT]}…`\n"
    )
    key = f"wave-{run_count()}-{digest[:_SHORT]}-{wave.name}"
    return wait_for_answer(
        WaveDecision, form, key, Waiting("begin the wave", wave.name, digest, patience, wave.clusters)
    )
