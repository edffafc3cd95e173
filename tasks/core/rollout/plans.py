"""The plan of a rollout: which cluster is in which wave, decided before anything is touched."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tasks.core.errors import InputError
from tasks.core.label_selectors import parse_selector
from tasks.core.manifests import sha256_hex
from tasks.core.markdown import bullets, counted, escaped, table
from tasks.core.rollout.amounts import rounded_down, rounded_up
from tasks.core.rollout.settings import Approval, RolloutChoice, RolloutWave
from tasks.core.rollout.windows import MaintenanceWindow, may_begin

_NAMED_AT_MOST = 20
"""How many clusters of a wave are written out; a plan has to stay readable at a thousand."""


@dataclass(frozen=True)
class FleetCluster:
    """A cluster by name, with the labels to select it by."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlannedWave:
    """A wave whose amounts are counted out.

    Attributes:
        windows: By cluster, in order: the windows that it has to wait for. None: any time.
        paused: Clusters of the wave that are left out.
    """

    name: str
    windows: Mapping[str, tuple[MaintenanceWindow, ...]]
    paused: tuple[str, ...]
    max_concurrency: int
    max_failures: int
    min_success_time: timedelta
    progress_deadline: timedelta
    approval: Approval

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters to work on, in order."""
        return tuple(self.windows)


@dataclass(frozen=True)
class RolloutPlan:
    """All waves in order.

    Attributes:
        subject: What is rolled out, in words and with its digests: a decision is about it, too.
    """

    waves: tuple[PlannedWave, ...]
    subject: str = ""

    @property
    def clusters(self) -> tuple[str, ...]:
        """All clusters to work on, in order."""
        return tuple(name for wave in self.waves for name in wave.clusters)

    @property
    def paused(self) -> tuple[str, ...]:
        """All clusters that are left out."""
        return tuple(name for wave in self.waves for name in wave.paused)

    @property
    def subject_digest(self) -> str:
        """SHA-256 over what is rolled out."""
        return sha256_hex(self.subject.encode())

    def wave_of(self, cluster: str) -> str:
        """The name of a cluster's wave."""
        return next(wave.name for wave in self.waves if cluster in wave.windows)

    @property
    def digest(self) -> str:
        """SHA-256 over everything that the plan says."""
        return sha256_hex(json.dumps([self.subject, list(map(_wave_data, self.waves))]).encode())


def plan_rollout(choice: RolloutChoice, fleet: Sequence[FleetCluster], subject: str = "") -> RolloutPlan:
    """Give every cluster its wave: the first one that selects it.

    Nobody is left over silently, and nobody is swept along silently: a cluster that no wave selects, a wave
    that selects none, and a window that leaves a cluster out for ever are errors. A last wave with an empty
    selector says that the rest is meant.

    Raises:
        InputError: The plan cannot be made as chosen; it names the clusters or the wave.
    """
    _refuse_unknown("paused", choice.paused, fleet)
    left = list(fleet)
    waves = []
    for wave in choice.waves:
        selector = parse_selector(wave.selector)
        members = [cluster for cluster in left if selector.matches(cluster.labels)]
        left = [cluster for cluster in left if not selector.matches(cluster.labels)]
        if not members:
            raise _refusal(f"wave {wave.name}", "a wave that selects clusters", f"none for {wave.selector!r}")
        waves.append(_planned(wave, members, choice))
    if left:
        raise _refusal(
            "waves",
            "a wave for every cluster",
            f"none for {', '.join(cluster.name for cluster in left)}",
            "Select them, add a last wave with an empty selector for the rest, or choose fewer clusters.",
        )
    if len(waves) > 1 and not waves[0].clusters:
        raise _refusal(f"wave {waves[0].name}", "a first wave that proves something", "all of it paused")
    return RolloutPlan(tuple(waves), subject)


def render_plan(plan: RolloutPlan, now: datetime) -> str:
    """The plan as Markdown, before anything is touched."""
    count = len(plan.clusters)
    parts = [f"# Rollout to {counted(count, 'cluster')} in {counted(len(plan.waves), 'wave')}\n"]
    if plan.subject:
        parts.append(f"{escaped(plan.subject)}\n")
    parts.append(table(_HEADERS, [_row(wave, now) for wave in plan.waves]))
    if plan.paused:
        parts += ["## Paused, left out\n", bullets(plan.paused)]
    parts.append(f"Digest of this plan: `{plan.digest}`\n")
    return "\n".join(parts)


_HEADERS = ("Wave", "Clusters", "At once", "Failures allowed", "Proves itself", "Deadline", "Begins", "Names")


def _row(wave: PlannedWave, now: datetime) -> tuple[str, ...]:
    return (
        wave.name,
        str(len(wave.clusters)),
        str(wave.max_concurrency),
        str(wave.max_failures),
        str(wave.min_success_time),
        str(wave.progress_deadline),
        _begins(wave, now),
        named(wave.clusters),
    )


def _begins(wave: PlannedWave, now: datetime) -> str:
    who = "when a person approves" if wave.approval is Approval.MANUAL else "by itself"
    every = sorted({window.text for windows in wave.windows.values() for window in windows})
    if not every:
        return who
    first = min((may_begin(windows, now) for windows in wave.windows.values()), default=now)
    when = "open now" if first <= now else f"next from {first:%Y-%m-%d %H:%M} UTC"
    return f"{who}, in the windows {'; '.join(every)} ({when})"


def named(clusters: Sequence[str]) -> str:
    """Clusters by name; of very many the first, and how many more there are."""
    shown = ", ".join(clusters[:_NAMED_AT_MOST])
    more = len(clusters) - _NAMED_AT_MOST
    return f"{shown} and {more} more" if more > 0 else shown


def _planned(wave: RolloutWave, members: list[FleetCluster], choice: RolloutChoice) -> PlannedWave:
    taking_part = [cluster for cluster in members if cluster.name not in choice.paused]
    count = len(taking_part)
    return PlannedWave(
        name=wave.name,
        windows={cluster.name: _windows_of(cluster, choice.windows) for cluster in taking_part},
        paused=tuple(cluster.name for cluster in members if cluster.name in choice.paused),
        max_concurrency=max(1, rounded_up(wave.max_concurrency, count)),
        max_failures=rounded_down(wave.max_failures, count),
        min_success_time=wave.min_success_time,
        progress_deadline=wave.progress_deadline,
        approval=wave.approval,
    )


def _windows_of(cluster: FleetCluster, windows: Iterable[MaintenanceWindow]) -> tuple[MaintenanceWindow, ...]:
    windows = list(windows)
    found = tuple(one for one in windows if parse_selector(one.selector).matches(cluster.labels))
    if windows and not found:
        raise _refusal("windows", "a window for every cluster", f"none for {cluster.name}")
    return found


def _refuse_unknown(field_name: str, names: Iterable[str], fleet: Iterable[FleetCluster]) -> None:
    unknown = set(names) - {cluster.name for cluster in fleet}
    if unknown:
        raise _refusal(field_name, "clusters of this run", ", ".join(sorted(unknown)))


def _refusal(subject: str, expected: str, found: str, next_step: str = "Correct the rollout.") -> InputError:
    return InputError("plan the rollout", subject, expected, found, next_step)


def _wave_data(wave: PlannedWave) -> list[object]:
    windows = [(name, [one.model_dump_json() for one in of]) for name, of in wave.windows.items()]
    limits = [
        wave.max_concurrency,
        wave.max_failures,
        str(wave.min_success_time),
        str(wave.progress_deadline),
    ]
    return [wave.name, windows, list(wave.paused), limits, wave.approval.value]
