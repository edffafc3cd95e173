"""Compartments from the tenancy down to a target, and which locations of statements reach the target."""

from dataclasses import dataclass

from tasks.core.errors import InputError
from tasks.core.iam.statements import Location, LocationKind
from tasks.core.iam.truth import Answer, answer, some, unknown


@dataclass(frozen=True)
class Compartment:
    """A compartment, or the tenancy itself."""

    id: str
    name: str


@dataclass(frozen=True)
class Lineage:
    """A compartment and all its ancestors.

    Policies attached to one of them, and only those, can reach the compartment's resources.

    Attributes:
        compartments: From the tenancy (the root compartment) down to the target.
    """

    compartments: tuple[Compartment, ...]

    def __post_init__(self) -> None:
        """Refuse an empty lineage: there is always a tenancy."""
        if not self.compartments:
            raise InputError("describe a compartment", expected="at least the tenancy", found="nothing")

    @property
    def tenancy(self) -> Compartment:
        """The root compartment."""
        return self.compartments[0]

    @property
    def target(self) -> Compartment:
        """The compartment that the lineage ends with."""
        return self.compartments[-1]

    @property
    def root_only(self) -> "Lineage":
        """The lineage of the tenancy itself, for requirements that hold tenancy-wide."""
        return Lineage(self.compartments[:1])

    @property
    def path(self) -> str:
        """The target's path as statements attached to the tenancy write it, such as `A:B`."""
        return ":".join(quoted(compartment.name) for compartment in self.compartments[1:])

    def position(self, compartment_id: str) -> int | None:
        """How far below the tenancy a compartment of the lineage lies; None when it is not part of it."""
        ids = [compartment.id for compartment in self.compartments]
        return ids.index(compartment_id) if compartment_id in ids else None


def quoted(name: str) -> str:
    """A name as a statement writes it: in quotes where it is more than one plain word."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    return name if plain.isascii() and plain.isalnum() and name[0].isalnum() else f"'{name}'"


def location_covers(location: Location, attached_to: str, lineage: Lineage) -> Answer:
    """Whether a statement of a policy attached to `attached_to` reaches the lineage's target.

    A statement reaches the compartment that it names and everything below.
    """
    start = lineage.position(attached_to)
    if start is None:
        return answer(holds=False)
    match location.kind:
        case LocationKind.TENANCY if start == 0:
            return answer(holds=True)
        case LocationKind.TENANCY:
            return unknown("a policy below the root says 'in tenancy', which the service does not accept")
        case LocationKind.COMPARTMENT_ID:
            return answer(holds=lineage.position(location.values[0]) is not None)
        case LocationKind.COMPARTMENT_NAME | LocationKind.COMPARTMENT_PATH:
            return some(
                answer(holds=_follows(location.values, lineage, first)) for first in (start, start + 1)
            )


def _follows(names: tuple[str, ...], lineage: Lineage, first: int) -> bool:
    # A path begins with the attachment itself or with a child of it.
    found = [compartment.name.casefold() for compartment in lineage.compartments[first : first + len(names)]]
    return found == [name.casefold() for name in names]
