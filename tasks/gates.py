"""Suspends a flow run until a person answers, the same way for every gate (ADR 0006).

Automations and other listeners are told by the event `osok.gate.waiting`. People are reminded without it:
that automation listens to Prefect's own `prefect.flow-run.Suspended`. The event adds what is asked. Sent
after the suspension, it also tells the automation that looks for lost runs that a heartbeat sent in between
was the last one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, TypeVar

from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.exceptions import Pause
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from pydantic import Field, ValidationError

from tasks.core.errors import DecisionError
from tasks.core.events import EventName, GateWaitingPayload

AnswerT = TypeVar("AnswerT", bound=RunInput)
_WORDS = r"\S"
"""Something else than spaces; the server checks it."""
Reason = Annotated[
    str, Field(min_length=3, max_length=500, pattern=_WORDS, description="Why; it is kept with the run.")
]
"""Why a person decides so: a field of a gate's form."""
Approver = Annotated[
    str,
    Field(
        min_length=1,
        max_length=200,
        pattern=_WORDS,
        description="Who decides. Kept as claimed: Prefect's open-source server does not know who typed it.",
    ),
]
"""Who decides: a field of a gate's form."""


@dataclass(frozen=True)
class Waiting:
    """What a run waits for.

    Attributes:
        attempted: What the answer is needed for, in words.
        subject: What it is about.
        digest: SHA-256 of what is shown at the gate.
        patience: How long the gate waits; the run fails afterwards.
        clusters: The clusters that the decision is about; none where it is about a tenancy.
    """

    attempted: str
    subject: str
    digest: str
    patience: timedelta
    clusters: tuple[str, ...] = ()


def wait_for_answer(form: type[AnswerT], text: str, key: str, waiting: Waiting) -> AnswerT:
    """Suspend the flow run until somebody fills in the form.

    Only in a deployed top-level flow with `persist_result=True`: nothing else can be suspended.

    Args:
        form: What the person fills in.
        text: Markdown above the fields.
        key: Names the question in the flow run: the answer to one is never taken for another's.
        waiting: What it is about.

    Raises:
        DecisionError: The run was continued without an answer.
    """
    try:
        with announced(waiting):
            return suspend_flow_run(
                wait_for_input=form.with_initial_data(description=text),
                timeout=int(waiting.patience.total_seconds()),
                key=key,
            )
    except ValidationError as error:
        # Somebody set the run's state by hand: Prefect then fills the model from nothing.
        raise DecisionError(
            waiting.attempted,
            waiting.subject,
            "an answer to what was shown",
            "a run that was continued without one",
            "Nothing was done. Run the flow again, and use Resume to answer.",
        ) from error


def present_run() -> FlowRun | None:
    """The flow run that calls; None outside of one."""
    # Not the innermost context: in a rollout a cluster is worked on inside of a task.
    context = FlowRunContext.get()
    return context.flow_run if context else None


def run_count() -> int:
    """How often the flow run was started; a resume is no new start."""
    present = present_run()
    return present.run_count if present else 0


@contextmanager
def announced(waiting: Waiting) -> Iterator[None]:
    """Around `suspend_flow_run`: the event is sent when the run is suspended, and not when it goes on."""
    try:
        yield
    except Pause:
        _announce(waiting)
        raise


def _announce(waiting: Waiting) -> None:
    payload = GateWaitingPayload(
        flow=flow_run.flow_name or "",
        digest=waiting.digest,
        clusters=waiting.clusters,
        patience_seconds=int(waiting.patience.total_seconds()),
    )
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": flow_run.name or "",
    }
    # Prefect leaves out the tags of a run that is the event's own resource, and automations look for them.
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in flow_run.tags
    ]
    emit_event(
        EventName.GATE_WAITING.value, resource, related=related, payload=payload.model_dump(mode="json")
    )
