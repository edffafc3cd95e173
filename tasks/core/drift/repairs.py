"""The plan of a repair: for each item of a cluster what is done about it, or why nothing is. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA, DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.memory import FLIPS, ClusterMemory
from tasks.core.drift.repair_choice import RepairChoice, RepairPolicy
from tasks.core.drift.repair_steps import Remedy, RepairSteps
from tasks.core.manifests import ObjectRef
from tasks.core.steps import InstallStep

Identity = tuple[str, str, str]
"""Key of an item, what it is put back to, and the id of the step."""


class RepairVerdict(StrEnum):
    """What becomes of an item."""

    REPORTED = "REPORTED"
    """The policy of its kind is REPORT."""
    IMPOSSIBLE = "IMPOSSIBLE"
    """No step puts it right."""
    WAITING = "WAITING"
    """It was repaired a short while ago and came back."""
    BLOCKED = "BLOCKED"
    """Its step would also write something that may not be repaired."""
    PROPOSED = "PROPOSED"
    """A person decides."""
    ASKED = "ASKED"
    """A person decides in another flow run, which waits for the answer."""
    DUE = "DUE"
    """It is repaired without a question."""
    NEW = "NEW"
    """It was not there when the person was asked, or says something else than was shown."""
    DENIED = "DENIED"
    """The person said no."""
    REPAIRED = "REPAIRED"
    """Its step ran, and it is gone."""
    FAILED = "FAILED"
    """Its step was to run, and it is still there."""


class RepairEntry(BaseModel):
    """One item and what becomes of it."""

    model_config = DATA

    item: DriftItem = Field(description="What drifted")
    verdict: RepairVerdict = Field(description="What becomes of it")
    step: str = Field(default="", description="Id of the step that puts it right; empty when none does")
    unit: ObjectRef | None = Field(default=None, description="What that step writes at once")
    reason: str = Field(default="", description="Why nothing is done, or what a person does instead")

    @property
    def title(self) -> str:
        """The step in words."""
        return InstallStep[self.step].title if self.step else ""

    @property
    def identity(self) -> Identity:
        """What a decision is bound to: the item, what it is put back to, and by which step."""
        return self.item.key, self.item.expected, self.step


class ClusterRepair(BaseModel):
    """What was planned and done about the drift of one cluster."""

    model_config = DATA

    entries: tuple[RepairEntry, ...] = Field(default=(), description="One for each item")
    changed: tuple[str, ...] = Field(default=(), description="Every object that was written, in order")
    error: str = Field(default="", description="Why the repair failed")

    def having(self, *verdicts: RepairVerdict) -> tuple[RepairEntry, ...]:
        """The entries with one of these verdicts."""
        return tuple(entry for entry in self.entries if entry.verdict in verdicts)


@dataclass(frozen=True)
class Situation:
    """What a plan is made of.

    Attributes:
        items: What drifted, as recollected.
        ignored: What rules leave out: an object that has it is not written.
        memory: What is remembered, these items included.
        now: The time.
    """

    items: tuple[DriftItem, ...]
    ignored: tuple[DriftItem, ...]
    memory: ClusterMemory
    now: datetime


def plan_repairs(steps: RepairSteps, situation: Situation, choice: RepairChoice) -> tuple[RepairEntry, ...]:
    """Decide about every item of a cluster.

    A step writes a unit at once: an object, all of a certificate, all that OLM makes. It is repaired only
    when every item of the unit may be; and only without a question when every one may be so.
    """
    entries = [_judge(item, steps.remedy(item), situation, choice) for item in situation.items]
    obstacles = _obstacles(entries, steps, situation)
    asked = {entry.unit for entry in entries if entry.verdict is RepairVerdict.PROPOSED}
    return tuple(_settled(entry, obstacles, asked) for entry in entries)


def _judge(item: DriftItem, remedy: Remedy, situation: Situation, choice: RepairChoice) -> RepairEntry:
    if remedy.step is None:
        return RepairEntry(item=item, verdict=RepairVerdict.IMPOSSIBLE, reason=remedy.reason)
    verdict, reason = _verdict(item, situation, choice)
    reason = reason or remedy.reason
    return RepairEntry(item=item, verdict=verdict, step=remedy.step.name, unit=remedy.unit, reason=reason)


def _verdict(item: DriftItem, situation: Situation, choice: RepairChoice) -> tuple[RepairVerdict, str]:
    policy = choice.policy_for(item)
    if policy is RepairPolicy.REPORT:
        return RepairVerdict.REPORTED, _why_reported(item)
    until = situation.memory.waits(item, situation.now)
    if until is not None:
        times = situation.memory.items[item.key].repairs
        text = f"repaired {times} times already; not again before {until:%Y-%m-%d %H:%M} UTC"
        return RepairVerdict.WAITING, text
    verdict = RepairVerdict.DUE if policy is RepairPolicy.REPAIR else RepairVerdict.PROPOSED
    return verdict, _why_reported(item)


def _why_reported(item: DriftItem) -> str:
    if item.kind is DriftKind.CONTESTED:
        manager = item.owner.manager if item.owner else "somebody"
        return f"{manager} wrote it again {item.returns} times: settle it with whoever runs {manager}"
    if item.returns >= FLIPS:
        return f"it came back {item.returns} times; what is gone has no owner, so nobody can be named"
    return ""


def _obstacles(
    entries: Iterable[RepairEntry], steps: RepairSteps, situation: Situation
) -> Mapping[ObjectRef, str]:
    """By unit: an item that its step would put right as well, and may not."""
    found: dict[ObjectRef, str] = {}
    for entry in entries:
        if entry.unit and entry.verdict not in (RepairVerdict.DUE, RepairVerdict.PROPOSED):
            found.setdefault(entry.unit, f"{entry.item.summary}, which is {entry.verdict}")
    for item in situation.ignored:
        unit = steps.remedy(item).unit
        if unit:
            found.setdefault(unit, f"{item.summary}, which a rule ignores")
    worry = next((entry for entry in entries if _endangers(entry, steps, found)), None)
    if worry:
        # OLM may throw a certificate away that it finds wanting when it installs.
        found.setdefault(steps.csv, f"the certificate first: {worry.item.summary}, which is {worry.verdict}")
    return found


def _endangers(entry: RepairEntry, steps: RepairSteps, obstacles: Mapping[ObjectRef, str]) -> bool:
    """Whether something about the certificate stays wrong."""
    if entry.item.severity is DriftSeverity.NOTE or entry.item.kind is DriftKind.EXPIRING:
        return False
    stays = entry.verdict not in (RepairVerdict.DUE, RepairVerdict.PROPOSED)
    if entry.step == InstallStep.CERTIFICATE_REPAIR.name:
        return stays or entry.unit in obstacles
    return stays and entry.item.ref == steps.secret


def _settled(
    entry: RepairEntry, obstacles: Mapping[ObjectRef, str], asked: set[ObjectRef | None]
) -> RepairEntry:
    if entry.verdict not in (RepairVerdict.DUE, RepairVerdict.PROPOSED) or entry.unit is None:
        return entry
    if entry.unit in obstacles:
        reason = f"its step would also write {obstacles[entry.unit]}"
        return entry.model_copy(update={"verdict": RepairVerdict.BLOCKED, "reason": reason})
    verdict = RepairVerdict.PROPOSED if entry.unit in asked else entry.verdict
    return entry.model_copy(update={"verdict": verdict})


def repairable_items(
    steps: RepairSteps, items: Iterable[DriftItem], memory: ClusterMemory, now: datetime
) -> frozenset[str]:
    """Keys of the items for which a repair is worth starting, whatever the policy says."""
    return frozenset(
        item.key
        for item in items
        if steps.remedy(item).step is not None
        and item.kind is not DriftKind.CONTESTED
        and item.returns < FLIPS
        and memory.waits(item, now) is None
    )


def choose(entries: Iterable[RepairEntry], approved: frozenset[Identity]) -> tuple[RepairEntry, ...]:
    """After a person agreed: what was shown becomes due; what was not is new, and holds up its unit."""
    listed = [_answered(entry, approved) for entry in entries]
    held_up = {entry.unit: entry.item.summary for entry in listed if entry.verdict is RepairVerdict.NEW}
    return tuple(
        entry.model_copy(
            update={
                "verdict": RepairVerdict.BLOCKED,
                "reason": f"its step would also write {held_up[entry.unit]}, which nobody was shown",
            }
        )
        if entry.verdict is RepairVerdict.DUE and entry.unit in held_up
        else entry
        for entry in listed
    )


def _answered(entry: RepairEntry, approved: frozenset[Identity]) -> RepairEntry:
    if entry.verdict is not RepairVerdict.PROPOSED:
        return entry
    if entry.identity in approved:
        return entry.model_copy(update={"verdict": RepairVerdict.DUE})
    reason = "it was not among what the person was shown"
    return entry.model_copy(update={"verdict": RepairVerdict.NEW, "reason": reason})


def by_step(entries: Iterable[RepairEntry]) -> Mapping[InstallStep, tuple[RepairEntry, ...]]:
    """Entries by their step, in the order of an installation."""
    sorted_out: dict[InstallStep, list[RepairEntry]] = defaultdict(list)
    for entry in entries:
        if entry.step:
            sorted_out[InstallStep[entry.step]].append(entry)
    return {step: tuple(sorted_out[step]) for step in InstallStep if step in sorted_out}
