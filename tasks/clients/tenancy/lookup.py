"""Finding one object by OCID or name, with a second look before anybody calls it missing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.core.errors import TenancyError
from tasks.core.prerequisites.objects import ARRIVING, LEAVING
from tasks.core.prerequisites.readings import NotSeen, Unread

F = TypeVar("F")

_USABLE = frozenset({"ACTIVE", "ENABLED", "UPDATING"})


@dataclass(frozen=True)
class Candidate:
    """One entry of a list: enough to choose by."""

    id: str
    name: str
    state: str


@dataclass(frozen=True)
class Lookup(Generic[F]):
    """What to look for, and how.

    Attributes:
        kind: The kind of object in messages.
        wanted: Its OCID or its name.
        compartment_id: Where to look.
        read_all: Lists the compartment.
        read_one: Reads one by OCID; the number says how many other usable ones bear the same name.
    """

    kind: str
    wanted: str
    compartment_id: str
    read_all: Callable[[], list[Candidate]]
    read_one: Callable[[str, int], F]


def find(lookup: Lookup[F]) -> F | NotSeen | Unread:
    """Read the object; a 404 leads to the list of its compartment, which may show that it is absent."""
    what = f"the {lookup.kind} {lookup.wanted}"
    try:
        if lookup.wanted.startswith("ocid1."):
            return _find_by_id(lookup, what)
        return _find_by_name(lookup, what)
    except TenancyNotFoundError:
        return NotSeen(what, _place(lookup), None)
    except TenancyError as error:
        return Unread(what, f"{error}")


def _find_by_id(lookup: Lookup[F], what: str) -> F | NotSeen:
    try:
        return lookup.read_one(lookup.wanted, 0)
    except TenancyNotFoundError:
        return NotSeen(what, _place(lookup), len(lookup.read_all()))


def _find_by_name(lookup: Lookup[F], what: str) -> F | NotSeen:
    candidates = lookup.read_all()
    named = [candidate for candidate in candidates if candidate.name == lookup.wanted]
    if not named:
        return NotSeen(what, _place(lookup), len(candidates))
    usable = [candidate for candidate in named if candidate.state in _USABLE]
    chosen = min(named, key=_rank)
    return lookup.read_one(chosen.id, max(0, len(usable) - 1))


def _rank(candidate: Candidate) -> int:
    """Which of several of one name to look at: a usable one, or the one whose state explains the most."""
    order = (_USABLE, ARRIVING, LEAVING)
    return next((rank for rank, states in enumerate(order) if candidate.state in states), len(order))


def _place(lookup: Lookup[F]) -> str:
    return f"the compartment {lookup.compartment_id}"
