"""The status of a fleet: the worst first, readable at 500 clusters; its first date; one cluster's page."""

from datetime import UTC, datetime, timedelta

from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, FieldOwner
from tasks.core.drift.reports import cluster_page, fleet_status
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tasks.core.manifests import ObjectRef

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def item(severity: DriftSeverity) -> DriftItem:
    return DriftItem(
        kind=DriftKind.CHANGED,
        ref=ObjectRef("apps/v1", "Deployment", "olm-operator", "olm"),
        field="/spec/replicas",
        expected="1",
        found="2",
        owner=FieldOwner(manager="mallory", operation="Update", at=NOW - timedelta(hours=5)),
        since=NOW - timedelta(hours=5),
        severity=severity,
    )


def cluster(name: str, *items: DriftItem, days: int = 300) -> ClusterVerification:
    return ClusterVerification(
        cluster=name,
        state=VerificationState.DRIFTED if items else VerificationState.FINE,
        verified_at=NOW,
        olm="0.46.0",
        operator="osok.v1",
        items=items,
        calendar=(
            CalendarEntry(
                at=NOW + timedelta(days=days), kind=EndKind.LEAF_EXPIRES, subject=f"certificate of {name}"
            ),
        ),
    )


def unreachable(name: str) -> ClusterVerification:
    return ClusterVerification(cluster=name, state=VerificationState.UNREACHABLE, error="no answer")


def rows(text: str) -> list[str]:
    """The first cell of each row of the first table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]]


def test_the_worst_clusters_come_first() -> None:
    fleet = FleetVerification(
        at=NOW,
        clusters=(
            cluster("fine"),
            cluster("soon", days=40),
            cluster("warned", item(DriftSeverity.WARNING)),
            unreachable("dark"),
            cluster("broken", item(DriftSeverity.CRITICAL)),
        ),
    )

    assert rows(fleet_status(fleet))[:5] == ["broken", "dark", "warned", "soon", "fine"]


def test_five_hundred_clusters_fit_on_a_page() -> None:
    drifted = [cluster(f"d{number:03}", item(DriftSeverity.WARNING)) for number in range(3)]
    fine = [cluster(f"f{number:03}") for number in range(497)]

    text = fleet_status(FleetVerification(at=NOW, clusters=(*fine, *drifted)))

    assert len(text.splitlines()) < 70
    assert rows(text)[:3] == ["d000", "d001", "d002"]
    assert "… and 450 more clusters, none worse than these: 450 FINE." in text
    assert "| CHANGED Deployment olm/olm-operator /spec/replicas | 3 |" in text


def test_the_first_date_of_the_fleet_names_its_cluster() -> None:
    fleet = FleetVerification(at=NOW, clusters=(cluster("a", days=90), cluster("b", days=12)))

    text = fleet_status(fleet)

    assert "2026-12-07 (12 days): LEAF_EXPIRES on b, certificate of b" in text.replace("\\", "")


def test_a_page_says_what_by_whom_and_since_when() -> None:
    page = cluster_page(cluster("a", item(DriftSeverity.WARNING)), NOW)

    expected = (
        "| WARNING | CHANGED | Deployment olm/olm-operator | /spec/replicas | 1 | 2 "
        "| mallory, 2026-11-25 03:00 UTC | 2026-11-25 03:00 UTC |"
    )
    assert expected in page


def test_the_result_of_a_fleet_survives_json() -> None:
    fleet = FleetVerification(at=NOW, clusters=(cluster("a", item(DriftSeverity.NOTE)), unreachable("b")))

    assert FleetVerification.model_validate_json(fleet.model_dump_json()) == fleet
