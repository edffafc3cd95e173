"""The gate of `create-prerequisites`: suspended until a person decides about the plan that was shown.

Bound to the plan's digest and to the run's try: another plan, or a retry, asks again.
"""

from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput
from pydantic import Field

from tasks.core.errors import DecisionError
from tasks.core.prerequisites.planning import CreationPlan, render_plan
from tasks.gates import Approver, Reason, Waiting, run_count, wait_for_answer


class Agreement(StrEnum):
    """What a person can say to a plan."""

    CREATE = "CREATE"
    DENY = "DENY"


class CreationDecision(RunInput):
    """What the person at the gate answers. There is no default for the decision."""

    decision: Agreement = Field(description="CREATE makes what the plan shows; DENY ends the run.")
    reason: Reason
    approver: Approver
    schema_title: ClassVar[str] = "Decision about prerequisites"


def show_plan(plan: CreationPlan) -> None:
    """The plan as an artifact, whatever becomes of it."""
    create_markdown_artifact(
        render_plan(plan), key="prerequisites-plan", description=f"Prerequisites to create in {plan.place}"
    )


def ask_to_create(plan: CreationPlan, patience: timedelta) -> CreationDecision:
    """Suspend the flow run until somebody decides.

    Only in a deployed top-level flow with `persist_result=True`: nothing else can be suspended.

    Raises:
        DecisionError: The answer is DENY, or the run was continued without one.
    """
    key = f"create-{run_count()}-{plan.digest[:16]}"
    waiting = Waiting("create prerequisites", plan.place, plan.digest, patience)
    answer = wait_for_answer(CreationDecision, render_plan(plan), key, waiting)
    if answer.decision is Agreement.DENY:
        raise DecisionError(
            "create prerequisites",
            plan.place,
            "an agreement",
            f"DENY by {answer.approver}: {answer.reason}",
            "Nothing was made.",
        )
    return answer
