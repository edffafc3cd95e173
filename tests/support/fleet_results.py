"""Results of verifications for tests of what is made of them: metrics, the report, drift over time."""

from datetime import UTC, datetime, timedelta

from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, FieldOwner
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tasks.core.manifests import ObjectRef

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
LEAF_END = datetime(2027, 3, 1, tzinfo=UTC)
ISSUER_END = datetime(2029, 3, 1, tzinfo=UTC)


def item(
    severity: DriftSeverity = DriftSeverity.WARNING,
    kind: DriftKind = DriftKind.CHANGED,
    field: str = "/spec/replicas",
    found: str = "2",
) -> DriftItem:
    """A field of olm-operator that mallory wrote."""
    return DriftItem(
        kind=kind,
        ref=ObjectRef("apps/v1", "Deployment", "olm-operator", "olm"),
        field=field,
        expected="1",
        found=found,
        owner=FieldOwner(manager="mallory", operation="Update", at=NOW),
        since=NOW - timedelta(hours=5),
        severity=severity,
    )


def verified(name: str, *items: DriftItem, leaf_end: datetime = LEAF_END) -> ClusterVerification:
    """A cluster that was looked at, with its two certificates."""
    return ClusterVerification(
        cluster=name,
        state=VerificationState.DRIFTED if items else VerificationState.FINE,
        verified_at=NOW,
        kubernetes="v1.36.3",
        olm="0.46.0",
        operator="oci-service-operator.v1.1.9",
        items=items,
        calendar=(
            CalendarEntry(at=leaf_end, kind=EndKind.LEAF_EXPIRES, subject="certificate `CN=kube`"),
            CalendarEntry(at=ISSUER_END, kind=EndKind.ISSUER_EXPIRES, subject="CA `CN=signer`"),
        ),
        reads=18,
        seconds=1.25,
    )


def unreachable(name: str, error: str = "no answer") -> ClusterVerification:
    """A cluster that did not answer, last verified a day ago."""
    return ClusterVerification(
        cluster=name,
        state=VerificationState.UNREACHABLE,
        verified_at=NOW - timedelta(days=1),
        error=error,
    )


def fleet(*clusters: ClusterVerification, at: datetime = NOW) -> FleetVerification:
    """A verification of them."""
    return FleetVerification(at=at, clusters=clusters)


def five_hundred() -> FleetVerification:
    """Every tenth has drifted, and every certificate has its own day."""
    return fleet(
        *(
            verified(
                f"cluster-{number:03}",
                *([item(), item(DriftSeverity.CRITICAL, DriftKind.MISSING)] if number % 10 == 0 else []),
                leaf_end=NOW + timedelta(days=number),
            )
            for number in range(500)
        )
    )
