"""Three-valued answers: what a policy says is yes, no, or not to be known from here.

Kleene's strong logic: an unknown part leaves the whole unknown unless another part already decides it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Truth(StrEnum):
    """The three values."""

    YES = "YES"
    NO = "NO"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Answer:
    """A truth value and, where it is UNKNOWN, what would have to be known.

    Attributes:
        truth: The value.
        gaps: What could not be read or evaluated, as clauses; empty unless the value is UNKNOWN.
    """

    truth: Truth
    gaps: tuple[str, ...] = ()


YES = Answer(Truth.YES)
NO = Answer(Truth.NO)


def unknown(gap: str) -> Answer:
    """An answer that cannot be given, with the reason."""
    return Answer(Truth.UNKNOWN, (gap,))


def answer(*, holds: bool) -> Answer:
    """A plain yes or no."""
    return YES if holds else NO


def every(answers: Iterable[Answer]) -> Answer:
    """Whether all of them hold; YES for none at all."""
    collected = list(answers)
    if any(item.truth is Truth.NO for item in collected):
        return NO
    return _unknown_of(collected) or YES


def some(answers: Iterable[Answer]) -> Answer:
    """Whether at least one of them holds; NO for none at all."""
    collected = list(answers)
    if any(item.truth is Truth.YES for item in collected):
        return YES
    return _unknown_of(collected) or NO


def negate(item: Answer) -> Answer:
    """The opposite; unknown stays unknown for the same reason."""
    match item.truth:
        case Truth.YES:
            return NO
        case Truth.NO:
            return YES
        case Truth.UNKNOWN:
            return item


def _unknown_of(answers: list[Answer]) -> Answer | None:
    gaps = [gap for item in answers if item.truth is Truth.UNKNOWN for gap in item.gaps]
    return Answer(Truth.UNKNOWN, tuple(dict.fromkeys(gaps))) if gaps else None
