"""What a rollout would write, cluster by cluster, as the API servers rehearsed it; and how people read it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tasks.core.comparison import Difference
from tasks.core.markdown import bullets, counted, escaped
from tasks.core.rollout.plans import named
from tasks.core.steps import InstallStep

_FIELDS_AT_MOST = 10
"""How many fields of one object are written out."""


@dataclass(frozen=True)
class PlannedChange:
    """An object that a step would write.

    Attributes:
        action: CREATED, UPDATED or INSTALLED (by OLM).
        kind: Of the object.
        subject: The object, in words.
        fields: What is not as it should be, one line per field; empty unless UPDATED.
        rehearsed: Whether the API server carried it out as a dry run. It cannot where the object's kind or
            namespace is created by an earlier change.
    """

    action: str
    kind: str
    subject: str
    fields: tuple[str, ...] = ()
    rehearsed: bool = True


@dataclass(frozen=True)
class PlannedProblem:
    """A step that would be refused."""

    step: InstallStep
    reason: str


@dataclass(frozen=True)
class ClusterPreview:
    """What a rollout would do to one cluster.

    Attributes:
        changes: In the order of the steps; empty when nothing would be written.
        problems: Steps that would be refused; what comes after them is told as if they had not been.
    """

    cluster: str
    changes: tuple[PlannedChange, ...] = ()
    problems: tuple[PlannedProblem, ...] = ()

    @property
    def summary(self) -> str:
        """How much of what, for a heading."""
        counts = Counter(change.action for change in self.changes)
        words = {"CREATED": "to create", "UPDATED": "to change", "INSTALLED": "to be installed by OLM"}
        told = [f"{counts[action]} {text}" for action, text in words.items() if counts[action]]
        refused = [f"{counted(len(self.problems), 'step')} would be refused"] if self.problems else []
        return ", ".join(told + refused) or "nothing to write"


def field_lines(found: Iterable[Difference]) -> tuple[str, ...]:
    """One line per field, of very many the first."""
    lines = [difference.summary() for difference in found]
    more = len(lines) - _FIELDS_AT_MOST
    return (*lines[:_FIELDS_AT_MOST], *([f"and {more} more fields"] if more > 0 else []))


def render_previews(previews: Sequence[ClusterPreview]) -> str:
    """All clusters as Markdown; those for which the same would be done are told once, problems first."""
    groups: dict[tuple[object, ...], list[ClusterPreview]] = {}
    for preview in previews:
        groups.setdefault((preview.problems, preview.changes), []).append(preview)
    ordered = sorted(groups.values(), key=lambda group: (not group[0].problems, not group[0].changes))
    parts = [
        "## What would change\n",
        "Rehearsed by every API server as a dry run, with its admission; nothing was written.\n",
        *(_group(group) for group in ordered),
    ]
    return "\n".join(parts)


def summarize_previews(previews: Sequence[ClusterPreview]) -> str:
    """One line for the state of the flow run."""
    refused = [preview.cluster for preview in previews if preview.problems]
    told = f"{counted(len(previews), 'cluster')}; nothing was written"
    return f"{told}; something would be refused on {named(refused)}" if refused else told


def _group(group: Sequence[ClusterPreview]) -> str:
    first, count = group[0], len(group)
    names = named([preview.cluster for preview in group])
    parts = [f"### {counted(count, 'cluster')}: {first.summary}\n", f"{escaped(names)}\n"]
    problems = [f"{problem.step.title} would be refused: {problem.reason}" for problem in first.problems]
    parts.append(bullets([*problems, *_created(first.changes), *_others(first.changes)]))
    return "\n".join(part for part in parts if part)


def _created(changes: Iterable[PlannedChange]) -> Iterable[str]:
    """By kind: a fresh cluster gets dozens of objects, and their names are the release's."""
    created: dict[tuple[str, bool], list[str]] = {}
    for change in changes:
        if change.action == "CREATED":
            created.setdefault((change.kind, change.rehearsed), []).append(change.subject)
    for (kind, rehearsed), subjects in created.items():
        unrehearsed = "" if rehearsed else " (not rehearsed: kind or namespace come first)"
        yield f"CREATED {len(subjects)} {kind}: {named(subjects)}{unrehearsed}"


def _others(changes: Iterable[PlannedChange]) -> Iterable[str]:
    for change in changes:
        if change.action != "CREATED":
            fields = "".join(f"\n{line}" for line in change.fields)
            yield f"{change.action} {change.kind} {change.subject}{fields}"
