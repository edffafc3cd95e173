"""One thing that is not as it should be: what, where, since when, and who did it."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tasks.core.manifests import ObjectRef

DATA = ConfigDict(extra="forbid", frozen=True)
"""Results are written once and read by others: an unknown field is a mistake."""


class DriftKind(StrEnum):
    """In which way something is not as it should be."""

    MISSING = "MISSING"
    """An object or a field that should be there is not."""
    CHANGED = "CHANGED"
    """A field has another value."""
    UNEXPECTED = "UNEXPECTED"
    """An object or a field is there that should not be."""
    EXPIRING = "EXPIRING"
    """It ends soon, or has ended."""
    UNREACHABLE = "UNREACHABLE"
    """It does not answer."""
    CONTESTED = "CONTESTED"
    """Somebody else keeps writing it: putting it back does not last."""


class DriftSeverity(StrEnum):
    """How bad it is, from best to worst."""

    NOTE = "NOTE"
    """Nothing fails because of it."""
    WARNING = "WARNING"
    """It works, until a restart, a reinstall or a date comes."""
    CRITICAL = "CRITICAL"
    """Something fails now."""


_BADNESS = list(DriftSeverity)


class FieldOwner(BaseModel):
    """Who wrote a field last, as metadata.managedFields says it (Kubernetes API, ManagedFieldsEntry).

    It is the name that the client gave itself, which is no proof of who it was.
    """

    model_config = DATA

    manager: str = Field(description="managedFields[].manager")
    operation: str = Field(description="Apply or Update")
    at: datetime | None = Field(default=None, description="managedFields[].time, when it last wrote")


class DriftItem(BaseModel):
    """One thing that is not as it should be. It never holds the value of a Secret."""

    model_config = DATA

    kind: DriftKind = Field(description="In which way")
    ref: ObjectRef = Field(description="Which object")
    field: str = Field(default="", description="JSON pointer (RFC 6901); empty for the whole object")
    expected: str = Field(default="", description="What should be there")
    found: str = Field(default="", description="What is there")
    owner: FieldOwner | None = Field(default=None, description="Who wrote the field; unknown when it is gone")
    since: datetime | None = Field(default=None, description="Since when, as far as anybody knows")
    severity: DriftSeverity = Field(default=DriftSeverity.WARNING, description="How bad")
    returns: int = Field(default=0, description="How often it was gone and came back")

    @property
    def key(self) -> str:
        """What it is called from one verification to the next, whatever its values are by then."""
        kind = DriftKind.CHANGED if self.kind is DriftKind.CONTESTED else self.kind
        return f"{kind} {self.ref}{self.field}"

    @property
    def summary(self) -> str:
        """One line for people."""
        return f"{self.kind} {self.ref} {self.field}".rstrip()


def worst_first(items: Iterable[DriftItem]) -> tuple[DriftItem, ...]:
    """Sorted by severity, then by object and field; one item for each key."""
    unique = {item.key: item for item in reversed(list(items))}
    return tuple(
        sorted(unique.values(), key=lambda item: (-_BADNESS.index(item.severity), str(item.ref), item.field))
    )


def worst_severity(items: Iterable[DriftItem]) -> DriftSeverity | None:
    """The worst severity, None without items."""
    return max((item.severity for item in items), key=_BADNESS.index, default=None)
