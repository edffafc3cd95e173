"""Plans: every cluster in one wave, amounts counted out, and nobody forgotten or swept along silently."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.errors import InputError
from tasks.core.rollout.plans import FleetCluster, plan_rollout, render_plan
from tasks.core.rollout.settings import RolloutChoice, RolloutWave

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
FLEET = [
    FleetCluster("lab", {"env": "lab"}),
    FleetCluster("fra-0", {"env": "prod", "region": "fra"}),
    FleetCluster("fra-1", {"env": "prod", "region": "fra"}),
    FleetCluster("iad-0", {"env": "prod", "region": "iad"}),
]
CANARY: dict[str, Any] = {"name": "canary", "selector": "env=lab"}
REST: dict[str, Any] = {"name": "rest"}


def choice(*waves: dict[str, Any], **more: object) -> RolloutChoice:
    return RolloutChoice.model_validate({"waves": list(waves), **more})


def test_a_cluster_belongs_to_the_first_wave_that_selects_it() -> None:
    plan = plan_rollout(
        choice(CANARY, {"name": "prod", "selector": "env in (lab, prod), region!=iad"}, REST), FLEET
    )

    assert [wave.clusters for wave in plan.waves] == [("lab",), ("fra-0", "fra-1"), ("iad-0",)]


def test_clusters_that_no_wave_selects_are_named() -> None:
    with pytest.raises(InputError, match=r"expected a wave for every cluster; found none for fra-0, fra-1\."):
        plan_rollout(choice(CANARY, {"name": "iad", "selector": "region=iad"}), FLEET)


def test_a_wave_that_selects_nobody_is_an_error_because_it_would_prove_nothing() -> None:
    with pytest.raises(InputError, match=r"wave canary.* none for 'env=lba'"):
        plan_rollout(choice({"name": "canary", "selector": "env=lba"}, REST), FLEET)


@pytest.mark.parametrize(
    ("amount", "at_once", "failures"),
    [(1, 1, 1), (9, 9, 9), ("9%", 1, 0), ("50%", 5, 5), ("15%", 2, 1), ("100%", 10, 10), ("99%", 10, 9)],
)
def test_shares_are_rounded_to_the_careful_side_that_still_moves(
    amount: int | str, at_once: int, failures: int
) -> None:
    wave = {**REST, "max_concurrency": amount, "max_failures": amount}

    planned = plan_rollout(choice(wave), [FleetCluster(f"c{number}") for number in range(10)]).waves[0]

    assert (planned.max_concurrency, planned.max_failures) == (at_once, failures)


def test_no_failure_is_allowed_and_one_tenth_works_at_once_unless_chosen_otherwise() -> None:
    wave = plan_rollout(choice(REST), FLEET).waves[0]

    assert (wave.max_failures, wave.max_concurrency, wave.approval) == (0, 1, "AUTO")


def test_paused_clusters_are_apart_and_do_not_count() -> None:
    plan = plan_rollout(choice(CANARY, {**REST, "max_failures": "50%"}, paused=["fra-1"]), FLEET)

    assert plan.waves[1].clusters == ("fra-0", "iad-0")
    assert plan.waves[1].max_failures == 1
    assert plan.paused == ("fra-1",)


def test_pausing_a_cluster_that_is_not_there_is_an_error() -> None:
    with pytest.raises(InputError, match=r"paused.* found frankfurt"):
        plan_rollout(choice(CANARY, REST, paused=["frankfurt"]), FLEET)


def test_a_canary_wave_that_is_all_paused_is_an_error() -> None:
    with pytest.raises(InputError, match=r"wave canary.* a first wave that proves something"):
        plan_rollout(choice(CANARY, REST, paused=["lab"]), FLEET)


def test_windows_belong_to_the_clusters_that_they_select() -> None:
    windows = [
        {"cron": "0 22 * * *", "duration": "PT4H", "selector": "region=fra"},
        {"cron": "0 4 * * *", "duration": "PT4H", "selector": "region notin (fra)"},
    ]

    plan = plan_rollout(choice(REST, windows=windows), FLEET)

    found = {name: [one.cron for one in of] for name, of in plan.waves[0].windows.items()}
    assert found == {
        "lab": ["0 4 * * *"],
        "fra-0": ["0 22 * * *"],
        "fra-1": ["0 22 * * *"],
        "iad-0": ["0 4 * * *"],
    }


def test_a_cluster_without_a_window_among_windows_is_an_error_and_not_free_to_go() -> None:
    windows = [{"cron": "0 22 * * *", "duration": "PT4H", "selector": "region"}]

    with pytest.raises(InputError, match=r"windows.* none for lab"):
        plan_rollout(choice(REST, windows=windows), FLEET)


def test_the_plan_shows_waves_limits_windows_and_names() -> None:
    prod = {**REST, "approval": "MANUAL", "max_concurrency": 2, "min_success_time": "PT1H"}
    windows = [{"cron": "0 22 * * *", "duration": "PT4H", "time_zone": "Europe/Berlin"}]
    plan = plan_rollout(choice(CANARY, prod, windows=windows, paused=["iad-0"]), FLEET, "OSOK 1.1.9")

    shown = render_plan(plan, NOW)

    assert "# Rollout to 3 clusters in 2 waves" in shown
    assert "OSOK 1.1.9" in shown
    assert (
        "| rest | 2 | 2 | 0 | 1:00:00 | 1:00:00 | when a person approves, in the windows "
        "0 22 \\* \\* \\* Europe/Berlin for 4:00:00 (next from 2026-07-01 20:00 UTC) | fra-0, fra-1 |"
    ) in shown
    assert "## Paused, left out\n\n- iad-0" in shown
    assert plan.digest in shown


def test_a_plan_of_a_thousand_clusters_stays_readable() -> None:
    fleet = [FleetCluster(f"cluster-{number:04}") for number in range(1000)]

    shown = render_plan(plan_rollout(choice(REST), fleet), NOW)

    assert "cluster-0019 and 980 more" in shown
    assert len(shown) < 1000


@pytest.mark.parametrize(
    "other",
    [
        plan_rollout(choice(CANARY, {**REST, "max_failures": 1}), FLEET, "OSOK 1.1.9"),
        plan_rollout(choice(CANARY, {**REST, "min_success_time": "PT1S"}), FLEET, "OSOK 1.1.9"),
        plan_rollout(choice(CANARY, {**REST, "approval": "MANUAL"}), FLEET, "OSOK 1.1.9"),
        plan_rollout(choice(CANARY, REST, paused=["iad-0"]), FLEET, "OSOK 1.1.9"),
        plan_rollout(choice(CANARY, REST), FLEET[:3], "OSOK 1.1.9"),
        plan_rollout(choice(CANARY, REST), FLEET, "OSOK 1.1.8"),
    ],
)
def test_a_digest_changes_with_everything_that_is_decided_about(other: object) -> None:
    plan = plan_rollout(choice(CANARY, REST), FLEET, "OSOK 1.1.9")

    assert plan.digest == plan_rollout(choice(CANARY, REST), list(FLEET), "OSOK 1.1.9").digest
    assert plan.digest != getattr(other, "digest", "")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"waves": [CANARY, CANARY]}, "two waves have the name canary"),
        ({"paused": ["lab"]}, "belong to waves"),
        ({"mode": "PLAN"}, "belong to waves"),
        ({"waves": [{**REST, "max_concurrency": 0}]}, "at least 1"),
        ({"waves": [{**REST, "max_failures": "101%"}]}, "max_failures"),
        ({"waves": [{**REST, "max_failures": -1}]}, "max_failures"),
        ({"waves": [{**REST, "selector": "a in ("}]}, "read the label selector"),
        ({"waves": [{**REST, "maxFailures": 1}]}, "Extra inputs"),
    ],
)
def test_a_choice_that_cannot_be_meant_is_refused_in_the_form(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        RolloutChoice.model_validate(wrong)


def test_without_a_choice_there_are_no_waves() -> None:
    assert RolloutChoice().waves == []
    assert RolloutWave(name="one").progress_deadline == timedelta(hours=1)
