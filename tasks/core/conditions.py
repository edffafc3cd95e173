"""Reads `status.conditions`, the form in which nearly every Kubernetes and OLM object reports on itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ConditionStatus(StrEnum):
    """The three values of a condition (Kubernetes API conventions, "Typical status properties")."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class Condition:
    """One condition; one that the object does not carry reads as Unknown."""

    type: str
    status: ConditionStatus = ConditionStatus.UNKNOWN
    reason: str = ""
    message: str = ""

    @property
    def is_true(self) -> bool:
        """Whether the condition holds."""
        return self.status is ConditionStatus.TRUE

    @property
    def is_false(self) -> bool:
        """Whether it is known not to hold; an absent condition is not known."""
        return self.status is ConditionStatus.FALSE

    def explanation(self) -> str:
        """Reason and message as one text."""
        return ": ".join(part for part in (self.reason, self.message) if part)


def condition_of(manifest: Mapping[str, Any] | None, condition_type: str) -> Condition:
    """The condition of that type in an object's status."""
    for condition in conditions_of(manifest):
        if condition.type == condition_type:
            return condition
    return Condition(condition_type)


def conditions_of(manifest: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """All conditions in an object's status."""
    listed = ((manifest or {}).get("status") or {}).get("conditions") or []
    return tuple(
        Condition(
            str(item.get("type", "")),
            _status(item.get("status")),
            str(item.get("reason") or ""),
            str(item.get("message") or ""),
        )
        for item in listed
    )


def _status(value: object) -> ConditionStatus:
    try:
        return ConditionStatus(str(value))
    except ValueError:
        return ConditionStatus.UNKNOWN
