"""Tells automations what a verification found and repaired: one event for each cluster and item, once.

What is found carries whether a repair of it is worth starting (`osok.drift.repair`), so that the run that an
automation started does not start another one.
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from prefect.events import emit_event
from prefect.runtime import flow_run
from pydantic import BaseModel

from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.memory import Remembered
from tasks.core.drift.repairs import RepairEntry, RepairVerdict
from tasks.core.events import (
    REPAIR_LABEL,
    DriftFoundPayload,
    DriftRepairedPayload,
    DriftResolvedPayload,
    EventName,
    RepairOutlook,
)
from tasks.core.manifests import sha256_hex
from tasks.drift.verifying import Verified

_UNDER_WAY = (
    RepairVerdict.PROPOSED,
    RepairVerdict.ASKED,
    RepairVerdict.DUE,
    RepairVerdict.REPAIRED,
    RepairVerdict.FAILED,
    RepairVerdict.DENIED,
    RepairVerdict.BLOCKED,
    RepairVerdict.NEW,
)
_NONE: Mapping[str, str] = MappingProxyType({})


def announce(verified: Verified) -> None:
    """Emit what is new and what is gone of one cluster."""
    cluster, at = verified.result.cluster, verified.result.verified_at
    if at is None:
        return
    for item in verified.news:
        expiring = item.kind is DriftKind.EXPIRING
        name = EventName.CERTIFICATE_EXPIRING if expiring else EventName.DRIFT_FOUND
        label = {REPAIR_LABEL: outlook(verified, item).value}
        _emit(name, cluster, item.key, found_payload(cluster, item, at), label)
    for entry in verified.repaired:
        _emit(EventName.DRIFT_REPAIRED, cluster, entry.item.key, _repaired_payload(verified, entry, at))
    for key, remembered in verified.resolved:
        _emit(EventName.DRIFT_RESOLVED, cluster, key, _resolved_payload(cluster, key, remembered, at))


def outlook(verified: Verified, item: DriftItem) -> RepairOutlook:
    """Whether a repair of an item is worth starting."""
    repair = verified.result.repair
    if repair and any(entry.item.key == item.key for entry in repair.having(*_UNDER_WAY)):
        return RepairOutlook.UNDER_WAY
    return RepairOutlook.POSSIBLE if item.key in verified.repairable else RepairOutlook.NONE


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


def _repaired_payload(verified: Verified, entry: RepairEntry, at: datetime) -> DriftRepairedPayload:
    item = entry.item
    known = verified.memory.items.get(item.key)
    return DriftRepairedPayload(
        key=item.key,
        cluster=verified.result.cluster,
        api_version=item.ref.api_version,
        kind=item.ref.kind,
        namespace=item.ref.namespace,
        name=item.ref.name,
        field=item.field,
        drift=item.kind.value,
        expected=item.expected,
        found=item.found,
        owner=item.owner.manager if item.owner else "",
        step=entry.step,
        repairs=known.repairs if known else 1,
        repaired_at=known.repaired_at if known and known.repaired_at else at,
    )


def _resolved_payload(cluster: str, key: str, gone: Remembered, at: datetime) -> DriftResolvedPayload:
    return DriftResolvedPayload(
        key=key, cluster=cluster, summary=gone.summary, since=gone.since, resolved_at=at
    )


def _emit(
    name: EventName, cluster: str, key: str, payload: BaseModel, labels: Mapping[str, str] = _NONE
) -> None:
    resource = {
        "prefect.resource.id": f"osok-fleet.cluster.{cluster}",
        "prefect.resource.name": cluster,
        # An automation that is about single items has this in `for_each`.
        "osok.drift.item": sha256_hex(key.encode())[:16],
        **labels,
    }
    related = [
        {"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"},
    ]
    emit_event(name.value, resource, related=related, payload=payload.model_dump(mode="json"))
