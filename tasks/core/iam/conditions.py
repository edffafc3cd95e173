"""Conditions of policy statements and matching rules of dynamic groups, evaluated in three values.

Source: Oracle's "Conditions" in "Policy Syntax" and "Writing Matching Rules to Define Dynamic Groups".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.core.iam.truth import NO, Answer, answer, every, negate, some, unknown


class Operator(StrEnum):
    """How a clause compares; the values are those of oci-lexer-parser's output."""

    EQUAL = "eq"
    NOT_EQUAL = "neq"
    IN = "in"
    NOT_IN = "not_in"
    BEFORE = "before"
    AFTER = "after"
    BETWEEN = "between"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"


class Mode(StrEnum):
    """How the members of a group combine."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True)
class Value:
    """The right side of a clause: a literal, or a pattern written between slashes with `*` as wildcard."""

    text: str
    pattern: bool = False

    def matches(self, actual: str) -> bool:
        """Compare without regard to case, as IAM does."""
        if not self.pattern:
            return self.text.casefold() == actual.casefold()
        expression = ".*".join(re.escape(part) for part in self.text.casefold().split("*"))
        return re.fullmatch(expression, actual.casefold()) is not None


@dataclass(frozen=True)
class Clause:
    """One comparison, such as `request.principal.type = 'certificate'`."""

    variable: str
    operator: Operator
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Group:
    """`any {…}` or `all {…}` of clauses and further groups."""

    mode: Mode
    items: tuple["Condition", ...]


Condition = Clause | Group


@dataclass(frozen=True)
class Facts:
    """What is known about a request or a principal.

    Attributes:
        known: The values of each variable that can be known, by its lower-case name; an empty set means
            that the thing has no such value.
        inapplicable: Beginnings of variables that do not exist for this request unless they are known. IAM
            evaluates a clause about such a variable to false, whatever its operator.
    """

    known: Mapping[str, frozenset[str]] = field(default_factory=dict)
    inapplicable: tuple[str, ...] = ()

    def extended(self, more: Mapping[str, frozenset[str]]) -> "Facts":
        """These facts and some more."""
        return Facts({**self.known, **more}, self.inapplicable)


def evaluate_condition(condition: Condition | None, facts: Facts) -> Answer:
    """Whether a condition holds; a statement without one always does."""
    match condition:
        case None:
            return every([])
        case Clause():
            return _evaluate_clause(condition, facts)
        case Group():
            combine = some if condition.mode is Mode.ANY else every
            return combine(evaluate_condition(item, facts) for item in condition.items)


def _evaluate_clause(clause: Clause, facts: Facts) -> Answer:
    variable = clause.variable.casefold()
    actual = facts.known.get(variable)
    if actual is None:
        if any(variable.startswith(beginning) for beginning in facts.inapplicable):
            return NO
        return unknown(f"the condition on {clause.variable} depends on the request")
    return _compare(clause, actual)


def _compare(clause: Clause, actual: frozenset[str]) -> Answer:
    match clause.operator:
        case Operator.EQUAL | Operator.IN:
            return _has_any(clause.values, actual)
        case Operator.NOT_EQUAL | Operator.NOT_IN:
            return negate(_has_any(clause.values, actual))
        case Operator.EXISTS | Operator.NOT_EXISTS:
            return answer(holds=bool(actual) is (clause.operator is Operator.EXISTS))
        case Operator.BEFORE | Operator.AFTER | Operator.BETWEEN:
            return unknown(f"the condition on {clause.variable} depends on the time of the request")


def _has_any(values: tuple[Value, ...], actual: frozenset[str]) -> Answer:
    return answer(holds=any(value.matches(item) for value in values for item in actual))
