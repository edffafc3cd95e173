"""Tells automations and other listeners that a run waits for a person: `osok.gate.waiting`.

People are reminded without it: that automation listens to Prefect's own `prefect.flow-run.Suspended`. This
event adds what is asked. Sent after the suspension, as `announced` does, it also tells the automation that
looks for lost runs that a heartbeat sent in between was the last one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from prefect.events import emit_event
from prefect.exceptions import Pause
from prefect.runtime import flow_run
from pydantic import BaseModel, ConfigDict, Field

GATE_WAITING = "osok.gate.waiting"


class GateWaitingPayload(BaseModel):
    """Payload of `osok.gate.waiting`. It grows only: no field is renamed or removed within a version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = Field(default=1, description="Of this payload")
    flow: str = Field(description="Name of the flow that waits")
    digest: str = Field(description="SHA-256 of what the decision is bound to")
    clusters: tuple[str, ...] = Field(description="Names of the clusters it is about")
    patience_seconds: int = Field(description="After this long without an answer the run ends")


@contextmanager
def announced(digest: str, clusters: Sequence[str], patience: timedelta) -> Iterator[None]:
    """Put it around `suspend_flow_run`: the event is sent when the run is suspended, and not when it goes on.

    Args:
        digest: SHA-256 of what is shown at the gate.
        clusters: The clusters that the decision is about.
        patience: How long the gate waits.
    """
    try:
        yield
    except Pause:
        announce_waiting(digest, clusters, patience)
        raise


def announce_waiting(digest: str, clusters: Sequence[str], patience: timedelta) -> None:
    """Emit the event for the present flow run; once per try, after the run is suspended where that can be."""
    payload = GateWaitingPayload(
        flow=flow_run.flow_name or "",
        digest=digest,
        clusters=tuple(clusters),
        patience_seconds=int(patience.total_seconds()),
    )
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": flow_run.name or "",
    }
    # Prefect leaves out the tags of a run that is the event's own resource, and automations look for them.
    related = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"} for tag in flow_run.tags
    ]
    emit_event(GATE_WAITING, resource, related=related, payload=payload.model_dump(mode="json"))
