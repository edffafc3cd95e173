"""The lock on a cluster as data: who holds it, when it expires, and what it remembers."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.rollout.leases import (
    CLOCK_TOLERANCE,
    DURATION,
    held_by,
    released,
    remembering,
    renewed,
    right_since,
    taken,
    transitions,
)

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
GONE = DURATION + CLOCK_TOLERANCE


def test_nobody_holds_a_lease_that_is_not_there_or_was_released() -> None:
    assert held_by(None, NOW) == ""
    assert held_by(released(taken(None, "run one", NOW)), NOW) == ""


@pytest.mark.parametrize(
    ("later", "holder"),
    [
        (timedelta(0), "run one"),
        (DURATION, "run one"),
        (GONE - timedelta(microseconds=1), "run one"),
        (GONE, ""),
        (timedelta(days=400), ""),
    ],
)
def test_a_lock_expires_when_its_holder_is_not_heard_of(later: timedelta, holder: str) -> None:
    assert held_by(taken(None, "run one", NOW), NOW + later) == holder


def test_a_sign_of_life_keeps_the_lock() -> None:
    lease = renewed(taken(None, "run one", NOW), NOW + DURATION)

    assert held_by(lease, NOW + GONE) == "run one"


def test_every_taking_is_counted_so_that_an_older_process_of_the_same_run_notices() -> None:
    first = taken(None, "run one", NOW)
    second = taken(first, "run one", NOW)

    assert (transitions(None), transitions(first), transitions(second)) == (0, 1, 2)


def test_the_time_since_when_a_cluster_is_right_outlives_holders_and_belongs_to_what_was_rolled_out() -> None:
    lease = remembering(taken(None, "run one", NOW), "digest", NOW)

    later = taken(released(lease), "run two", NOW + timedelta(days=1))

    assert right_since(later, "digest") == NOW
    assert right_since(later, "another digest") is None
    assert right_since(None, "digest") is None


def test_a_lease_of_others_is_changed_in_its_spec_and_our_annotations_only() -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "osok-fleet", "resourceVersion": "7", "annotations": {"theirs": "1"}},
    }

    new = remembering(taken(lease, "run one", NOW), "digest", NOW)

    assert new["metadata"]["resourceVersion"] == "7"
    assert new["metadata"]["annotations"]["theirs"] == "1"
    assert "spec" not in lease
