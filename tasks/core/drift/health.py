"""Objects that say themselves that they are not well (R3, R7)."""

from collections.abc import Iterable, Iterator, Mapping

from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import HealthState, object_health

STATUS_FIELDS: Mapping[str, tuple[str, str]] = {
    "APIService": ("/status/conditions/Available", "True"),
    "CatalogSource": ("/status/connectionState/lastObservedState", "READY"),
    "ClusterServiceVersion": ("/status/phase", "Succeeded"),
    "CustomResourceDefinition": ("/status/conditions/Established", "True"),
    "Deployment": ("/status/availableReplicas", "every replica rolled out and available"),
    "Namespace": ("/status/phase", "Active"),
    "OperatorGroup": ("/status", "seen by OLM, and alone"),
}
"""Which field of the status is judged, by kind. A condition is named by its type, not by its position."""


def check_health(refs: Iterable[ObjectRef], live: Mapping[ObjectRef, Manifest]) -> Iterator[DriftItem]:
    """One item for each object that is there and not well; a status has no owner but its controller."""
    for ref in dict.fromkeys(refs):
        found = live.get(ref)
        health = object_health(ref, found)
        if found is None or health.state is HealthState.HEALTHY:
            continue
        if found["metadata"].get("deletionTimestamp"):
            yield DriftItem(
                kind=DriftKind.UNEXPECTED,
                ref=ref,
                field="/metadata/deletionTimestamp",
                expected="nothing",
                found=health.detail,
                severity=DriftSeverity.CRITICAL,
            )
            continue
        field, expected = STATUS_FIELDS.get(ref.kind, ("/status", "healthy"))
        yield DriftItem(
            kind=DriftKind.CHANGED,
            ref=ref,
            field=field,
            expected=expected,
            found=f"{health.state}: {health.detail}".rstrip(": "),
            severity=_severity(health.state),
        )


def _severity(state: HealthState) -> DriftSeverity:
    return DriftSeverity.WARNING if state is HealthState.PROGRESSING else DriftSeverity.CRITICAL
