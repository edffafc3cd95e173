"""How a rollout stands, as Markdown: waves in counts, and by name every cluster that needs a look."""

from collections import Counter
from collections.abc import Mapping

from tasks.core.markdown import escaped, table
from tasks.core.rollout.plans import PlannedWave, RolloutPlan
from tasks.core.rollout.states import ClusterProgress, ClusterState

_SETTLED = (ClusterState.SUCCEEDED, ClusterState.TO_APPLY)
_ROWS_AT_MOST = 100


def render_progress(plan: RolloutPlan, states: Mapping[str, ClusterProgress], reason: str) -> str:
    """The state of a rollout.

    Args:
        plan: The plan.
        states: By cluster; one that is missing is TO_APPLY.
        reason: What is waited for, or why it ended.
    """
    named = [
        (wave.name, name, states[name]) for wave in plan.waves for name in wave.clusters if name in states
    ]
    rows = [
        (wave, name, one.state.value, f"{one.since:%Y-%m-%d %H:%M:%S} UTC", one.detail)
        for wave, name, one in named
        if one.state not in _SETTLED
    ]
    parts = [
        f"# Rollout: {count_of(states, ClusterState.SUCCEEDED)} of {len(plan.clusters)} clusters succeeded\n",
        f"{escaped(reason)}\n",
        table(("Wave", "Clusters", *ClusterState), [_wave_row(wave, states) for wave in plan.waves]),
    ]
    if rows:
        parts.append(table(("Wave", "Cluster", "State", "Since", "Detail"), rows[:_ROWS_AT_MOST]))
    if len(rows) > _ROWS_AT_MOST:
        parts.append(f"{len(rows) - _ROWS_AT_MOST} more are not shown.\n")
    if plan.paused:
        parts.append(f"Paused, left out: {escaped(', '.join(plan.paused))}\n")
    return "\n".join(parts)


def summarize(plan: RolloutPlan, states: Mapping[str, ClusterProgress]) -> str:
    """One line: how many clusters are in which state, with the names of those set aside."""
    counts = Counter(
        states[name].state if name in states else ClusterState.TO_APPLY for name in plan.clusters
    )
    parts = [f"{counts[state]} {state.value}" for state in ClusterState if counts[state]]
    apart = [
        name
        for name in plan.clusters
        if name in states and states[name].state in (ClusterState.OFFLINE, ClusterState.SKIPPED)
    ]
    if apart:
        parts.append(f"apart: {', '.join(apart)}")
    if plan.paused:
        parts.append(f"paused: {', '.join(plan.paused)}")
    return "; ".join(parts)


def count_of(states: Mapping[str, ClusterProgress], state: ClusterState) -> int:
    """How many clusters are in a state."""
    return sum(one.state is state for one in states.values())


def _wave_row(wave: PlannedWave, states: Mapping[str, ClusterProgress]) -> tuple[str, ...]:
    counts = Counter(
        states[name].state if name in states else ClusterState.TO_APPLY for name in wave.clusters
    )
    return wave.name, str(len(wave.clusters)), *(str(counts[state]) for state in ClusterState)
