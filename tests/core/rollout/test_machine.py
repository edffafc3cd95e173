"""What may happen next in a rollout: tables of single moments, and properties of whole rollouts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.rollout.machine import Decisions, NextStep, StepKind, next_step
from tasks.core.rollout.plans import FleetCluster, RolloutPlan, plan_rollout
from tasks.core.rollout.settings import Approval, RolloutChoice
from tasks.core.rollout.states import ClusterProgress, ClusterState

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
TO_APPLY, WORKING, PREPARED = ClusterState.TO_APPLY, ClusterState.PROGRESSING, ClusterState.PREPARED
GOOD, BAD, OFFLINE, SKIPPED = (
    ClusterState.SUCCEEDED,
    ClusterState.FAILED,
    ClusterState.OFFLINE,
    ClusterState.SKIPPED,
)


def plan_of(*sizes: int, first: Mapping[str, Any] | None = None, **others: Any) -> RolloutPlan:  # noqa: ANN401 - fields of waves
    """Waves a, b, … with the clusters a0, a1, …; `first` is about the first wave, the rest about all."""
    names = [chr(ord("a") + index) for index in range(len(sizes))]
    windows = others.pop("windows", [])
    waves = [{"name": name, "selector": f"wave={name}", "max_concurrency": 2, **others} for name in names]
    waves[0] |= first or {}
    fleet = [
        FleetCluster(f"{name}{number}", {"wave": name})
        for name, size in zip(names, sizes, strict=True)
        for number in range(size)
    ]
    return plan_rollout(RolloutChoice.model_validate({"waves": waves, "windows": windows}), fleet)


def seen(ago: timedelta = timedelta(hours=3), **states: ClusterState) -> dict[str, ClusterProgress]:
    return {name: ClusterProgress(state, NOW - ago) for name, state in states.items()}


def at_noon(plan: RolloutPlan, states: Mapping[str, ClusterProgress], *approved: str) -> NextStep:
    return next_step(plan, states, NOW, Decisions(approved=approved))


def test_the_first_wave_begins_with_as_many_clusters_as_may_be_worked_on() -> None:
    step = at_noon(plan_of(3, 3), {})

    assert (step.kind, step.wave, step.clusters) == (StepKind.START, "a", ("a0", "a1"))


def test_a_place_that_becomes_free_is_taken_by_the_next_cluster() -> None:
    step = at_noon(plan_of(3, 3), seen(timedelta(minutes=1), a0=GOOD, a1=WORKING))

    assert (step.kind, step.clusters) == (StepKind.START, ("a2",))


def test_a_wave_waits_until_the_one_before_it_has_no_cluster_at_work() -> None:
    step = at_noon(plan_of(2, 2), seen(timedelta(minutes=1), a0=GOOD, a1=WORKING))

    assert (step.kind, step.reason) == (StepKind.WAIT, "wave a waits for a1")
    assert step.until == NOW + timedelta(minutes=59)


@pytest.mark.parametrize(
    "a1", [pytest.param(GOOD), pytest.param(OFFLINE), pytest.param(SKIPPED)], ids=lambda state: state.value
)
def test_the_next_wave_begins_when_all_of_the_one_before_are_settled(a1: ClusterState) -> None:
    step = at_noon(plan_of(2, 2), seen(a0=GOOD, a1=a1))

    assert (step.kind, step.wave, step.clusters) == (StepKind.START, "b", ("b0", "b1"))


def test_one_failure_of_the_canary_stops_everything_and_names_it() -> None:
    step = at_noon(plan_of(2, 2), seen(a0=BAD, a1=GOOD))

    assert step.kind is StepKind.STOP
    assert step.reason == "wave a stops: 1 of 2 clusters failed and 0 may: a0"


def test_failures_inside_of_the_budget_stop_nothing() -> None:
    plan = plan_of(3, 1, first={"max_failures": 1})

    assert at_noon(plan, seen(a0=BAD)).clusters == ("a1", "a2")
    assert at_noon(plan, seen(a0=BAD, a1=GOOD, a2=GOOD)).wave == "b"
    assert at_noon(plan, seen(a0=BAD, a1=BAD)).kind is StepKind.STOP


def test_nothing_more_begins_once_the_budget_is_exceeded() -> None:
    step = at_noon(plan_of(3), seen(timedelta(minutes=1), a0=BAD, a1=WORKING))

    assert step.kind is StepKind.STOP


def test_offline_and_skipped_clusters_are_no_failures() -> None:
    step = at_noon(plan_of(4), seen(a0=GOOD, a1=OFFLINE, a2=OFFLINE, a3=SKIPPED))

    assert step.kind is StepKind.DONE


def test_a_first_wave_without_any_success_proves_nothing() -> None:
    step = at_noon(plan_of(2, 2), seen(a0=OFFLINE, a1=SKIPPED))

    assert step.kind is StepKind.STOP
    assert "it proved nothing" in step.reason


def test_a_cluster_that_takes_too_long_counts_as_failed_while_it_is_still_worked_on() -> None:
    step = at_noon(plan_of(2, progress_deadline="PT30M"), seen(timedelta(minutes=30), a0=WORKING))

    assert step.kind is StepKind.STOP
    assert step.reason == ("wave a stops: 1 of 2 clusters failed and 0 may: a0; a0 took longer than 0:30:00")


def test_a_late_cluster_within_the_budget_keeps_its_place() -> None:
    plan = plan_of(4, max_failures=1, progress_deadline="PT30M")

    step = at_noon(plan, seen(timedelta(minutes=31), a0=WORKING, a1=GOOD))

    assert step.clusters == ("a2",)


def test_a_cluster_that_proves_itself_keeps_its_place_and_the_next_wave_back() -> None:
    plan = plan_of(3, 1, min_success_time="PT1H")
    proving = seen(timedelta(minutes=20), a0=GOOD, a1=GOOD)
    all_proving = seen(timedelta(minutes=20), a0=GOOD, a1=GOOD, a2=GOOD)

    full, last = at_noon(plan, proving), at_noon(plan, all_proving)

    assert (full.kind, full.until) == (StepKind.WAIT, NOW + timedelta(minutes=40))
    assert full.reason == "wave a has 2 places, taken by a0, a1"
    assert (last.kind, last.until) == (StepKind.WAIT, NOW + timedelta(minutes=40))
    assert last.reason == "wave a proves itself: a0, a1, a2 until 2026-07-01 12:40 UTC"
    assert at_noon(plan, seen(timedelta(hours=1), a0=GOOD, a1=GOOD, a2=GOOD)).wave == "b"


def test_a_manual_wave_asks_when_the_one_before_it_is_over_and_begins_when_approved() -> None:
    plan = plan_of(1, 1, approval="MANUAL", first={"approval": "AUTO"})

    assert at_noon(plan, seen(timedelta(minutes=1), a0=WORKING)).kind is StepKind.WAIT
    assert at_noon(plan, seen(a0=GOOD)).kind is StepKind.ASK
    assert at_noon(plan, seen(a0=GOOD), "b").clusters == ("b0",)


def test_certificates_are_decided_when_the_whole_wave_is_prepared() -> None:
    plan = plan_of(3, 1)
    prepared = seen(a0=PREPARED, a1=PREPARED, a2=OFFLINE)

    early = at_noon(plan, seen(timedelta(minutes=1), a0=PREPARED, a1=PREPARED, a2=WORKING))
    due = at_noon(plan, prepared)
    decided = next_step(plan, prepared, NOW, Decisions(settled={"a"}))

    assert early.kind is StepKind.WAIT
    assert (due.kind, due.clusters) == (StepKind.DECIDE, ("a0", "a1"))
    assert (decided.kind, decided.clusters) == (StepKind.START, ("a0", "a1"))


def test_prepared_clusters_leave_their_places_to_the_others_of_the_wave() -> None:
    assert at_noon(plan_of(3), seen(a0=PREPARED, a1=PREPARED)).clusters == ("a2",)


def test_nothing_begins_outside_of_the_window_and_the_reason_says_when_it_opens() -> None:
    plan = plan_of(2, windows=[{"cron": "0 22 * * *", "duration": "PT4H", "time_zone": "Europe/Berlin"}])

    closed, opened = next_step(plan, {}, NOW), next_step(plan, {}, NOW + timedelta(hours=8))

    assert closed.kind is StepKind.WAIT
    assert closed.until == NOW + timedelta(hours=8)
    assert closed.reason == (
        "wave a waits for the maintenance window of a0, a1, which opens at 2026-07-01 20:00 UTC"
    )
    assert opened.clusters == ("a0", "a1")


def test_a_cluster_whose_window_is_open_does_not_wait_for_one_whose_window_is_closed() -> None:
    windows = [{"cron": "0 11 * * *", "duration": "PT2H", "selector": "wave=a"}]
    fleet = [FleetCluster("late", {"wave": "b"}), FleetCluster("now", {"wave": "a"})]
    windows.append({"cron": "0 22 * * *", "duration": "PT2H", "selector": "wave=b"})
    plan = plan_rollout(RolloutChoice.model_validate({"waves": [{"name": "all"}], "windows": windows}), fleet)

    assert next_step(plan, {}, NOW).clusters == ("now",)


def test_paused_clusters_block_nothing() -> None:
    waves = [{"name": "a", "selector": "wave=a"}, {"name": "b"}]
    choice = RolloutChoice.model_validate({"waves": waves, "paused": ["b0"]})
    fleet = [FleetCluster(name, {"wave": name[0]}) for name in ("a0", "b0")]

    assert at_noon(plan_rollout(choice, fleet), seen(a0=GOOD)).kind is StepKind.DONE


@dataclass
class Simulation:
    """A rollout whose clusters always end as given; the only clock is this one.

    Attributes:
        ends: How every cluster ends, and after how many minutes.
        touched: Clusters in the order in which they were begun.
    """

    plan: RolloutPlan
    ends: Mapping[str, tuple[ClusterState, int]]
    with_certificates: bool
    now: datetime = NOW
    states: dict[str, ClusterProgress] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    touched: list[str] = field(default_factory=list)
    steps: list[NextStep] = field(default_factory=list)
    begun_at: list[datetime] = field(default_factory=list)

    def run(self, at_most: int = 10_000) -> NextStep:
        """Go on until the end, or for some steps."""
        for _ in range(at_most):
            step = next_step(self.plan, self.states, self.now, Decisions(self.approved, self.settled))
            self.steps.append(step)
            if step.kind is StepKind.DONE or (step.kind is StepKind.STOP and not self._ending()):
                break
            self._carry_out(step)
            self._check_limits()
        return self.steps[-1]

    def killed(self) -> "Simulation":
        """The same rollout begun again from nothing but the clusters."""
        return Simulation(self.plan, self.ends, self.with_certificates, self.now)

    def _carry_out(self, step: NextStep) -> None:
        if step.kind is StepKind.START:
            assert step.clusters
            self.touched += step.clusters
            self.begun_at.append(self.now)
            self.states |= {name: ClusterProgress(WORKING, self.now) for name in step.clusters}
        elif step.kind is StepKind.ASK:
            self.approved.add(step.wave)
        elif step.kind is StepKind.DECIDE:
            self.settled.add(step.wave)
        else:
            self._pass_time(step)

    def _pass_time(self, step: NextStep) -> None:
        moments = [*self._ending().values(), *([step.until] if step.until else [])]
        assert moments, f"waits for nothing: {step}"
        assert min(moments) > self.now or self._ending(), f"does not wait: {step}"
        self.now = max(self.now, min(moments))
        for name, end in self._ending().items():
            if end <= self.now:
                self._end(name)

    def _ending(self) -> dict[str, datetime]:
        working = {name: one for name, one in self.states.items() if one.state is WORKING}
        return {name: one.since + timedelta(minutes=self.ends[name][1]) for name, one in working.items()}

    def _end(self, name: str) -> None:
        wave = name[0]
        prepares = self.with_certificates and wave not in self.settled
        state = PREPARED if prepares and self.ends[name][0] in (GOOD, BAD) else self.ends[name][0]
        self.states[name] = ClusterProgress(state, self.now)

    def _check_limits(self) -> None:
        for wave in self.plan.waves:
            states = [self.states[name].state for name in wave.clusters if name in self.states]
            assert states.count(WORKING) <= wave.max_concurrency
            assert states.count(BAD) <= wave.max_failures + wave.max_concurrency


@st.composite
def simulations(draw: st.DrawFn) -> Simulation:
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    plan = plan_of(
        *sizes,
        max_concurrency=draw(st.sampled_from([1, 2, "50%"])),
        max_failures=draw(st.sampled_from([0, 1, "40%"])),
        min_success_time=timedelta(minutes=draw(st.sampled_from([0, 30]))),
        approval=draw(st.sampled_from(["AUTO", "MANUAL"])),
        windows=draw(st.sampled_from([[], [{"cron": "0 22 * * *", "duration": "PT2H"}]])),
    )
    end = st.tuples(st.sampled_from([GOOD, GOOD, GOOD, BAD, OFFLINE, SKIPPED]), st.integers(1, 50))
    ends = {name: draw(end) for name in plan.clusters}
    return Simulation(plan, ends, draw(st.booleans()))


@settings(max_examples=60, deadline=None)
@given(rollout=simulations())
def test_a_rollout_ends_inside_of_its_limits_and_in_the_order_of_its_waves(rollout: Simulation) -> None:
    last = rollout.run()

    waves = [name[0] for name in rollout.touched]
    assert last.kind in (StepKind.DONE, StepKind.STOP)
    assert waves == sorted(waves)
    if last.kind is StepKind.DONE:
        assert {name: one.state for name, one in rollout.states.items()} == {
            name: state for name, (state, _) in rollout.ends.items()
        }


@settings(max_examples=60, deadline=None)
@given(rollout=simulations())
def test_a_wave_that_is_reached_had_waves_before_it_that_are_inside_of_their_budget(
    rollout: Simulation,
) -> None:
    rollout.run()

    reached = [wave for wave in rollout.plan.waves if set(wave.clusters) & set(rollout.touched)]
    for wave in reached[:-1]:
        states = [rollout.states[name].state for name in wave.clusters]
        assert states.count(BAD) <= wave.max_failures
        assert {TO_APPLY, WORKING, PREPARED}.isdisjoint(states)


@settings(max_examples=60, deadline=None)
@given(rollout=simulations(), steps=st.integers(1, 40))
def test_a_rollout_that_is_killed_anywhere_comes_to_the_same_end(rollout: Simulation, steps: int) -> None:
    rollout.run(at_most=steps)

    undisturbed, resumed = rollout.killed(), rollout.killed()
    undisturbed.now = NOW
    first, second = undisturbed.run(), resumed.run()

    assert (first.kind, first.wave) == (second.kind, second.wave)


@settings(max_examples=40, deadline=None)
@given(rollout=simulations())
def test_nothing_begins_outside_of_a_window_or_without_an_approval(rollout: Simulation) -> None:
    rollout.run()

    windows = [one for wave in rollout.plan.waves for of in wave.windows.values() for one in of]
    begun = {step.wave for step in rollout.steps if step.kind is StepKind.START}
    manual = {wave.name for wave in rollout.plan.waves if wave.approval is Approval.MANUAL}
    assert not windows or {moment.hour for moment in rollout.begun_at} <= {22, 23}
    assert begun & manual <= rollout.approved
