"""Maintenance windows: when work may begin, over the changes of the clock."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.core.rollout.windows import MaintenanceWindow, may_begin, opening

NIGHTLY = MaintenanceWindow(cron="0 22 * * *", duration=timedelta(hours=4), time_zone="UTC")


def berlin(cron: str, hours: int = 1) -> MaintenanceWindow:
    return MaintenanceWindow(cron=cron, duration=timedelta(hours=hours), time_zone="Europe/Berlin")


def utc(year: int, month: int, day: int, *time: int) -> datetime:
    hour, minute, second = (*time, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        pytest.param(utc(2026, 7, 1, 21, 59, 59), utc(2026, 7, 1, 22), id="one second before"),
        pytest.param(utc(2026, 7, 1, 22), utc(2026, 7, 1, 22), id="in the moment it opens"),
        pytest.param(utc(2026, 7, 2, 1, 59, 59), utc(2026, 7, 1, 22), id="after midnight"),
        pytest.param(utc(2026, 7, 2, 2), utc(2026, 7, 2, 22), id="in the moment it closes"),
    ],
)
def test_a_window_is_open_from_its_first_moment_until_its_duration_is_over(
    now: datetime, opened: datetime
) -> None:
    assert opening(NIGHTLY, now) == opened


@pytest.mark.parametrize(
    ("window", "now", "opened"),
    [
        pytest.param(berlin("0 3 * * *"), utc(2026, 3, 28, 12), utc(2026, 3, 29, 1), id="after spring"),
        pytest.param(
            berlin("30 2 * * *"), utc(2026, 3, 28, 12), utc(2026, 3, 29, 1), id="02:30 does not exist"
        ),
        pytest.param(
            berlin("30 2 * * *"), utc(2026, 10, 25, 0, 45), utc(2026, 10, 25, 0, 30), id="first 02:30"
        ),
        pytest.param(
            berlin("30 2 * * *"), utc(2026, 10, 25, 1, 45), utc(2026, 10, 26, 1, 30), id="second 02:30"
        ),
        pytest.param(
            berlin("0 1 * * *", hours=3), utc(2026, 10, 25, 1, 59), utc(2026, 10, 24, 23), id="3 h pass"
        ),
        pytest.param(
            berlin("0 1 * * *", hours=3), utc(2026, 10, 25, 2), utc(2026, 10, 26, 0), id="3 h have passed"
        ),
        pytest.param(
            berlin("0 22 * * SUN"), utc(2026, 10, 23, 12), utc(2026, 10, 25, 21), id="winter time already"
        ),
    ],
)
def test_windows_follow_the_clock_of_their_time_zone(
    window: MaintenanceWindow, now: datetime, opened: datetime
) -> None:
    assert opening(window, now) == opened


@given(now=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)), minute=st.integers(0, 59))  # noqa: DTZ001 - Hypothesis wants naive bounds
def test_an_opening_is_always_open_and_nothing_before_it_is(now: datetime, minute: int) -> None:
    window = berlin(f"{minute} 2 * * *")
    moment = now.replace(tzinfo=UTC)

    found = opening(window, moment)

    assert found + window.duration > moment
    assert opening(window, found) == found
    assert found <= moment or opening(window, found - timedelta(seconds=1)) == found


def test_the_first_window_that_opens_counts_and_no_windows_are_always_open() -> None:
    now = utc(2026, 7, 1, 12)
    earlier = MaintenanceWindow(cron="0 18 * * *", duration=timedelta(hours=1))

    assert may_begin([NIGHTLY, earlier], now) == utc(2026, 7, 1, 18)
    assert may_begin([NIGHTLY], utc(2026, 7, 1, 23)) == utc(2026, 7, 1, 23)
    assert may_begin([], now) == now


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"cron": "0 0 31 2 *"}, "no cron expression that ever comes true"),
        ({"cron": "0 25 * * *"}, "no cron expression that ever comes true"),
        ({"cron": "0 0 22 * * *"}, "five fields"),
        ({"time_zone": "Europe/Bielefeld"}, "no IANA time zone"),
        ({"time_zone": "../etc/passwd"}, "no IANA time zone"),
        ({"selector": "env in ("}, "read the label selector"),
        ({"duration": timedelta(0)}, "greater than 0"),
        ({"duration": timedelta(days=8)}, "less than or equal to 7 days"),
    ],
)
def test_a_window_that_cannot_work_is_refused_in_the_form(wrong: dict[str, object], told: str) -> None:
    right: dict[str, object] = {"cron": "0 22 * * *", "duration": timedelta(hours=4)}

    with pytest.raises(ValidationError, match=told):
        MaintenanceWindow.model_validate({**right, **wrong})
