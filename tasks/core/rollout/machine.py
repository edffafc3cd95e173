"""What may happen next in a rollout: a pure function of the plan, the clusters' states and the time."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tasks.core.rollout.plans import PlannedWave, RolloutPlan, named
from tasks.core.rollout.settings import Approval
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.core.rollout.windows import may_begin


class StepKind(StrEnum):
    """What to do now."""

    START = "START"
    """Begin, or go on with, the named clusters."""
    WAIT = "WAIT"
    """Nothing may begin before one of those that are worked on ends, or before `until`."""
    ASK = "ASK"
    """Ask a person whether the wave may begin. Nothing is worked on."""
    DECIDE = "DECIDE"
    """The wave is prepared: have its certificates decided. Nothing is worked on."""
    STOP = "STOP"
    """Begin nothing more, wait for what is worked on, and end."""
    DONE = "DONE"
    """Every wave is over."""


@dataclass(frozen=True)
class NextStep:
    """What to do now, and why.

    Attributes:
        wave: Name of the wave that it is about; empty for DONE.
        until: When to look again although nothing ended; only for WAIT.
        reason: In words, for people: what is waited for, or why it stops.
    """

    kind: StepKind
    wave: str = ""
    clusters: tuple[str, ...] = ()
    until: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Decisions:
    """Waves, by name, about which people have decided.

    Attributes:
        approved: They may begin.
        settled: Their certificates are decided.
    """

    approved: Collection[str] = field(default_factory=frozenset)
    settled: Collection[str] = field(default_factory=frozenset)


def next_step(
    plan: RolloutPlan,
    states: Mapping[str, ClusterProgress],
    now: datetime,
    decisions: Decisions | None = None,
) -> NextStep:
    """What may happen next.

    The waves are taken in order, and a wave begins when all of the one before it is over: no cluster is
    worked on, those that succeeded did so `min_success_time` ago, and the failures are within the budget.

    Args:
        plan: The plan.
        states: By cluster; one that is missing is TO_APPLY.
        now: The time.
        decisions: What people have decided; None: nothing yet.
    """
    decisions = decisions or Decisions()
    for wave in plan.waves:
        view = _View(wave, states, now)
        step = _stop(view) or _within(view, decisions)
        if step is None and wave is plan.waves[0]:
            step = _unproven(view, len(plan.waves))
        if step is not None:
            return step
    return NextStep(StepKind.DONE, reason="every wave is over")


@dataclass(frozen=True)
class _View:
    """One wave at one moment."""

    wave: PlannedWave
    states: Mapping[str, ClusterProgress]
    now: datetime

    def having(self, *wanted: ClusterState) -> tuple[str, ...]:
        """Its clusters that are in one of some states."""
        return tuple(name for name in self.wave.clusters if self.state(name) in wanted)

    def state(self, name: str) -> ClusterState:
        """The state of one of them."""
        return self.states[name].state if name in self.states else ClusterState.TO_APPLY

    @property
    def late(self) -> tuple[str, ...]:
        """Clusters that take longer than their deadline."""
        deadline = self.wave.progress_deadline
        working = self.having(ClusterState.PROGRESSING)
        return tuple(name for name in working if self.now - self.states[name].since >= deadline)

    @property
    def next_deadline(self) -> datetime | None:
        """When the next of the clusters that are worked on becomes late."""
        working = set(self.having(ClusterState.PROGRESSING)) - set(self.late)
        return min((self.states[name].since + self.wave.progress_deadline for name in working), default=None)

    @property
    def proving(self) -> dict[str, datetime]:
        """Clusters that have not been right for long enough, and when they will have been."""
        done = self.having(ClusterState.SUCCEEDED)
        ends = {name: self.states[name].since + self.wave.min_success_time for name in done}
        return {name: end for name, end in ends.items() if end > self.now}

    def step(self, kind: StepKind, reason: str, clusters: tuple[str, ...] = ()) -> NextStep:
        """A step of this wave."""
        return NextStep(kind, self.wave.name, clusters, reason=reason)

    def wait(self, reason: str, *until: datetime) -> NextStep:
        """Waiting until the first of some moments, or until a cluster becomes late."""
        moments = [*until, *([self.next_deadline] if self.next_deadline else [])]
        return NextStep(StepKind.WAIT, self.wave.name, until=min(moments, default=None), reason=reason)


def _stop(view: _View) -> NextStep | None:
    failed = (*view.having(ClusterState.FAILED), *view.late)
    if len(failed) <= view.wave.max_failures:
        return None
    late = f"; {named(view.late)} took longer than {view.wave.progress_deadline}" if view.late else ""
    reason = (
        f"wave {view.wave.name} stops: {len(failed)} of {len(view.wave.clusters)} clusters failed and "
        f"{view.wave.max_failures} may: {named(failed)}{late}"
    )
    return view.step(StepKind.STOP, reason)


def _unproven(view: _View, waves: int) -> NextStep | None:
    """The first wave vouches for the others, so at least one of its clusters has to succeed."""
    if waves == 1 or not view.wave.clusters or view.having(ClusterState.SUCCEEDED):
        return None
    reason = f"wave {view.wave.name} stops: it proved nothing, since none of its clusters succeeded"
    return view.step(StepKind.STOP, reason)


def _within(view: _View, decisions: Decisions) -> NextStep | None:
    """The next step inside of a wave; None when it is over."""
    name = view.wave.name
    waiting = view.having(ClusterState.TO_APPLY)
    prepared = view.having(ClusterState.PREPARED)
    working = view.having(ClusterState.PROGRESSING)
    if waiting and _may_begin(view.wave, decisions):
        return _start(view, waiting)
    if prepared and name in decisions.settled:
        return _start(view, prepared)
    if working:
        return view.wait(f"wave {name} waits for {named(working)}")
    if waiting:
        return view.step(StepKind.ASK, f"wave {name} waits for an approval")
    if prepared:
        reason = f"wave {name} waits for the decision about {len(prepared)} certificates"
        return view.step(StepKind.DECIDE, reason, prepared)
    return _prove(view)


def _may_begin(wave: PlannedWave, decisions: Decisions) -> bool:
    return wave.approval is Approval.AUTO or wave.name in decisions.approved


def _start(view: _View, candidates: tuple[str, ...]) -> NextStep:
    """As many candidates as there are places, of those whose window is open."""
    occupied = (*view.having(ClusterState.PROGRESSING), *view.proving)
    places = view.wave.max_concurrency - len(occupied)
    moments = {name: may_begin(view.wave.windows[name], view.now) for name in candidates}
    ready = tuple(name for name in candidates if moments[name] <= view.now)
    if ready and places > 0:
        return view.step(StepKind.START, f"wave {view.wave.name} goes on", ready[:places])
    if ready:
        reason = f"wave {view.wave.name} has {view.wave.max_concurrency} places, taken by {named(occupied)}"
        return view.wait(reason, *view.proving.values())
    until = min(moments.values())
    reason = (
        f"wave {view.wave.name} waits for the maintenance window of {named(candidates)}, "
        f"which opens at {until:%Y-%m-%d %H:%M} UTC"
    )
    return view.wait(reason, until)


def _prove(view: _View) -> NextStep | None:
    proving = view.proving
    if not proving:
        return None
    until = max(proving.values())
    reason = f"wave {view.wave.name} proves itself: {named(tuple(proving))} until {until:%Y-%m-%d %H:%M} UTC"
    return view.wait(reason, until)
