"""What all OCI objects have in common: they may be absent, unreadable, on their way in or out."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.readings import NotSeen, Unread

UNKNOWN_VALUE = "UNKNOWN_ENUM_VALUE"
"""What the SDK gives for a value that it does not know."""

ARRIVING = frozenset({"CREATING", "ENABLING", "CANCELLING_DELETION"})
"""It becomes usable by itself."""
LEAVING = frozenset({"SCHEDULING_DELETION", "PENDING_DELETION"})
"""Deletion can still be cancelled."""


@dataclass(frozen=True)
class Kind:
    """A kind of object in messages: its group, its runbook step, its name and the right to list it."""

    group: CheckGroup
    runbook: str
    name: str
    right_to_list: str


@dataclass(frozen=True)
class Lifecycle:
    """How the states of a kind are to be read.

    Attributes:
        good: The state that is wanted.
        passing: States that end by themselves without the object being away: WARN.
        fixes: What to do about the other states that are known.
    """

    good: str
    passing: frozenset[str]
    fixes: Mapping[str, str]


def not_read(kind: Kind, reading: NotSeen | Unread) -> Finding:
    """The finding for an object that was not read. Only a list that shows others makes it absent."""
    check = Check(kind.group, kind.runbook, kind.name, f"{reading.what}: not read")
    if isinstance(reading, Unread):
        return check.unknown(reading.reason, "Run the check again when the service answers.")
    if reading.visible:
        return check.failed(
            f"{reading.what} is not among the {reading.visible} in {reading.searched}",
            f"Create it (flow create-prerequisites), or name another {kind.name}.",
        )
    if reading.visible == 0:
        return check.failed(
            f"nothing like {reading.what} is visible in {reading.searched}",
            f"Create it (flow create-prerequisites); if it exists, grant: {kind.right_to_list}.",
        )
    return check.unknown(
        f"{reading.what} does not exist in {reading.searched} or may not be seen: OCI answers both with 404",
        f"Check the OCID and the region, or grant: {kind.right_to_list}.",
    )


def check_state(kind: Kind, lifecycle: Lifecycle, evidence: str, state: str, details: str = "") -> Finding:
    """Whether an object is in the state that is wanted."""
    check = Check(kind.group, kind.runbook, f"{kind.name}: state", evidence)
    reason = f"its state is {state}" + (f" ({details})" if details else "")
    if state == lifecycle.good:
        return check.passed()
    if state in lifecycle.passing:
        return check.warned(reason, "Nothing; check again when the change is done.")
    if state in LEAVING:
        return check.failed(f"{reason}: it will be deleted", f"Cancel the deletion of the {kind.name}.")
    if state in lifecycle.fixes:
        return check.failed(reason, lifecycle.fixes[state])
    return check.unknown(f"{reason}, which this version does not know", "Look at it in the OCI console.")
