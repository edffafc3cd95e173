"""Drift over time: one point for each verification, of the clusters that are followed."""

from datetime import timedelta

from tasks.core.drift.items import DriftSeverity
from tasks.core.drift.report.history import drift_over_time, evenly, snapshot_of
from tests.support.fleet_results import NOW, fleet, item, unreachable, verified

YESTERDAY, TODAY = NOW - timedelta(days=1), NOW
CRITICAL, WARNING, NOTE = DriftSeverity.CRITICAL, DriftSeverity.WARNING, DriftSeverity.NOTE


def test_points_count_items_by_severity_the_oldest_first() -> None:
    later = snapshot_of(fleet(verified("a"), verified("b", item(NOTE)), at=TODAY))
    sooner = snapshot_of(fleet(verified("a", item(CRITICAL), item(field="/x")), verified("b"), at=YESTERDAY))

    first, second = drift_over_time([later, sooner], ["a", "b"])

    assert (first.at, first.items, first.drifted) == (YESTERDAY, {NOTE: 0, WARNING: 1, CRITICAL: 1}, 1)
    assert (second.at, second.items, second.drifted) == (TODAY, {NOTE: 1, WARNING: 0, CRITICAL: 0}, 0)


def test_a_verification_of_a_part_leaves_the_others_as_they_were_last_seen() -> None:
    whole = snapshot_of(fleet(verified("a", item()), verified("b", item()), at=YESTERDAY))
    part = snapshot_of(fleet(verified("a"), at=TODAY))

    points = drift_over_time([whole, part], ["a", "b"])

    assert [point.items[WARNING] for point in points] == [2, 1]


def test_the_drift_of_a_cluster_out_of_reach_is_not_known() -> None:
    whole = snapshot_of(fleet(verified("a", item()), at=YESTERDAY))
    dark = snapshot_of(fleet(unreachable("a"), at=TODAY))

    points = drift_over_time([whole, dark], ["a"])

    assert [(point.items[WARNING], point.unverified) for point in points] == [(1, 0), (0, 1)]


def test_clusters_that_are_not_followed_do_not_count() -> None:
    (point,) = drift_over_time([snapshot_of(fleet(verified("gone", item()), verified("a")))], ["a"])

    assert point.items == {NOTE: 0, WARNING: 0, CRITICAL: 0}


def test_a_long_history_is_read_evenly_and_to_both_ends() -> None:
    assert evenly(range(7), 60) == [0, 1, 2, 3, 4, 5, 6]
    assert evenly(range(101), 5) == [0, 25, 50, 75, 100]
    assert len(set(evenly(range(720), 60))) == 60
