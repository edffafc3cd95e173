"""Drift over time, from what earlier verifications said."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from tasks.core.drift.items import DriftSeverity
from tasks.core.drift.results import VERIFIED, FleetVerification

WINDOW = timedelta(days=30)
"""How far back the report looks."""
MOST_POINTS = 60
"""So many verifications of the window are read: two a day, where one runs every hour."""

T = TypeVar("T")


@dataclass(frozen=True)
class ClusterPoint:
    """What one verification said of one cluster.

    Attributes:
        verified: Whether it could be looked at.
        items: Items by severity.
    """

    verified: bool
    items: Mapping[DriftSeverity, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One verification, without everything that drift over time does not need."""

    at: datetime
    clusters: Mapping[str, ClusterPoint]


@dataclass(frozen=True)
class HistoryPoint:
    """The fleet at one time.

    Attributes:
        items: Items by severity, of the clusters that could be verified.
        drifted: Clusters with more than notes.
        unverified: Clusters that could not be verified.
    """

    at: datetime
    items: Mapping[DriftSeverity, int]
    drifted: int
    unverified: int


def snapshot_of(fleet: FleetVerification) -> Snapshot:
    """What is kept of a verification."""
    clusters = {
        one.cluster: ClusterPoint(one.state in VERIFIED, Counter(item.severity for item in one.items))
        for one in fleet.clusters
    }
    return Snapshot(fleet.at, clusters)


def drift_over_time(snapshots: Iterable[Snapshot], followed: Iterable[str]) -> tuple[HistoryPoint, ...]:
    """One point for each verification, of the clusters that are followed, the oldest first.

    A verification of a part of the fleet says nothing of the others: they stay as they were last seen.
    """
    wanted = set(followed)
    last: dict[str, ClusterPoint] = {}
    points = []
    for snapshot in sorted(snapshots, key=lambda one: one.at):
        last |= {name: point for name, point in snapshot.clusters.items() if name in wanted}
        points.append(_point(snapshot.at, last.values()))
    return tuple(points)


def evenly(ordered: Sequence[T], most: int) -> list[T]:
    """At most so many of a sequence, spread over all of it; the first and the last are among them."""
    if len(ordered) <= most:
        return list(ordered)
    step = (len(ordered) - 1) / (most - 1)
    return [ordered[round(number * step)] for number in range(most)]


def _point(at: datetime, clusters: Collection[ClusterPoint]) -> HistoryPoint:
    known = [one for one in clusters if one.verified]
    unverified = sum(not one.verified for one in clusters)
    items = {severity: sum(one.items.get(severity, 0) for one in known) for severity in DriftSeverity}
    bad = (DriftSeverity.WARNING, DriftSeverity.CRITICAL)
    drifted = sum(any(one.items.get(severity) for severity in bad) for one in known)
    return HistoryPoint(at, items, drifted, unverified)
