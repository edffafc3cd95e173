"""The events that this product emits: names and payloads that automations may rely on.

Payloads grow only: a field is never renamed or removed within one `schema_version`.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

_PAYLOAD = ConfigDict(extra="forbid", frozen=True)


class EventName(StrEnum):
    """What happened."""

    DRIFT_FOUND = "osok.drift.found"
    DRIFT_REPAIRED = "osok.drift.repaired"
    DRIFT_RESOLVED = "osok.drift.resolved"
    CERTIFICATE_EXPIRING = "osok.certificate.expiring"
    GATE_WAITING = "osok.gate.waiting"


REPAIR_LABEL = "osok.drift.repair"
"""Label of the resource of `osok.drift.found`, for automations that start repairs: a `RepairOutlook`."""


class RepairOutlook(StrEnum):
    """Whether a repair of an item is worth starting."""

    POSSIBLE = "possible"
    """A step puts it right, and nobody has begun."""
    UNDER_WAY = "under-way"
    """The run that says so repairs or proposes it itself."""
    NONE = "none"
    """No step puts it right, it is contested, or it has to wait after a repair."""


class ObjectPayload(BaseModel):
    """Which object of which cluster; it identifies one item from its finding to its end."""

    model_config = _PAYLOAD

    schema_version: int = Field(default=1, description="Of this payload")
    key: str = Field(description="Names the item; equal in found and resolved")
    cluster: str = Field(description="Name of the cluster's block")
    api_version: str = Field(description="Of the object")
    kind: str = Field(description="Of the object")
    namespace: str = Field(description="Of the object; empty for cluster-scoped ones")
    name: str = Field(description="Of the object")
    field: str = Field(description="JSON pointer; empty for the whole object")


class DriftFoundPayload(ObjectPayload):
    """Payload of `osok.drift.found` and `osok.certificate.expiring`."""

    drift: str = Field(description="MISSING, CHANGED, UNEXPECTED, EXPIRING, UNREACHABLE or CONTESTED")
    severity: str = Field(description="NOTE, WARNING or CRITICAL")
    expected: str = Field(description="What should be there")
    found: str = Field(description="What is there")
    owner: str = Field(description="Field manager that wrote it last; empty when unknown")
    since: datetime = Field(description="Since when, as far as anybody knows")


class DriftRepairedPayload(ObjectPayload):
    """Payload of `osok.drift.repaired`: a step of ours put it back, and it is gone."""

    drift: str = Field(description="MISSING, CHANGED, UNEXPECTED or CONTESTED")
    expected: str = Field(description="What it was put back to")
    found: str = Field(description="What was there")
    owner: str = Field(description="Field manager that had written it; empty when unknown")
    step: str = Field(description="Id of the step that wrote it")
    repairs: int = Field(description="How often this item was repaired, this time included")
    repaired_at: datetime = Field(description="When")


class DriftResolvedPayload(BaseModel):
    """Payload of `osok.drift.resolved`."""

    model_config = _PAYLOAD

    schema_version: int = Field(default=1, description="Of this payload")
    key: str = Field(description="Names the item; equal in found and resolved")
    cluster: str = Field(description="Name of the cluster's block")
    summary: str = Field(description="What it was")
    since: datetime = Field(description="Since when it had been there")
    resolved_at: datetime = Field(description="When it was found gone")


class GateWaitingPayload(BaseModel):
    """Payload of `osok.gate.waiting`; the event's resource is the flow run."""

    model_config = _PAYLOAD

    schema_version: int = Field(default=1, description="Of this payload")
    flow: str = Field(description="Name of the flow that waits")
    digest: str = Field(description="SHA-256 of what the decision is bound to")
    clusters: tuple[str, ...] = Field(description="Names of the clusters it is about")
    patience_seconds: int = Field(description="After this long without an answer the run ends")
