"""Tells automations what a verification found: one event for each cluster and item, once."""

from datetime import datetime

from prefect.events import emit_event
from prefect.runtime import flow_run
from pydantic import BaseModel

from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.memory import Remembered
from tasks.core.events import DriftFoundPayload, DriftResolvedPayload, EventName
from tasks.core.manifests import sha256_hex
from tasks.drift.verifying import Verified


def announce(verified: Verified) -> None:
    """Emit what is new and what is gone of one cluster."""
    cluster, at = verified.result.cluster, verified.result.verified_at
    if at is None:
        return
    for item in verified.news:
        expiring = item.kind is DriftKind.EXPIRING
        name = EventName.CERTIFICATE_EXPIRING if expiring else EventName.DRIFT_FOUND
        _emit(name, cluster, item.key, found_payload(cluster, item, at))
    for key, remembered in verified.resolved:
        _emit(EventName.DRIFT_RESOLVED, cluster, key, _resolved_payload(cluster, key, remembered, at))


def found_payload(cluster: str, item: DriftItem, at: datetime) -> DriftFoundPayload:
    """The payload of an item."""
    return DriftFoundPayload(
        key=item.key,
        cluster=cluster,
        api_version=item.ref.api_version,
        kind=item.ref.kind,
        namespace=item.ref.namespace,
        name=item.ref.name,
        field=item.field,
        drift=item.kind.value,
        severity=item.severity.value,
        expected=item.expected,
        found=item.found,
        owner=item.owner.manager if item.owner else "",
        since=item.since or at,
    )


def _resolved_payload(cluster: str, key: str, gone: Remembered, at: datetime) -> DriftResolvedPayload:
    return DriftResolvedPayload(
        key=key, cluster=cluster, summary=gone.summary, since=gone.since, resolved_at=at
    )


def _emit(name: EventName, cluster: str, key: str, payload: BaseModel) -> None:
    resource = {
        "prefect.resource.id": f"osok-fleet.cluster.{cluster}",
        "prefect.resource.name": cluster,
        # An automation that is about single items has this in `for_each`.
        "osok.drift.item": sha256_hex(key.encode())[:16],
    }
    related = [
        {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"},
    ]
    emit_event(name.value, resource, related=related, payload=payload.model_dump(mode="json"))
