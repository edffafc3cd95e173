"""Tells automations and other listeners that a run is about to wait for a person: `osok.gate.waiting`.

Nobody else has to be told for people to be reminded: that automation listens to Prefect's own
`prefect.flow-run.Suspended`. This event adds what is asked, for whoever wants to act on it.
"""

from collections.abc import Sequence
from datetime import timedelta

from prefect.events import emit_event
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


def announce_waiting(digest: str, clusters: Sequence[str], patience: timedelta) -> None:
    """Emit the event for the present flow run; call it once per try, before the run is suspended.

    Args:
        digest: SHA-256 of what is shown at the gate.
        clusters: The clusters that the decision is about.
        patience: How long the gate waits.
    """
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
    emit_event(GATE_WAITING, resource, payload=payload.model_dump(mode="json"))
