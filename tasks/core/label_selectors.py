"""Label selectors with the syntax and the meaning that Kubernetes gives them.

Source: k8s.io/apimachinery pkg/labels/selector.go and pkg/util/validation. No library on the package index
evaluates selectors outside of an API server; tests compare this one with an API server's own answers.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.errors import InputError

_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_LIMIT = 63
_PREFIX_LIMIT = 253
_TOKEN = re.compile(r"==|!=|[=!<>(),]|[^ \t\r\n=!<>(),]+")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "<", ">", "(", ")", ","})
_LARGEST = 2**63 - 1
_HELP = "Write it as for kubectl: env=prod, env in (prod, stage), region!=us-ashburn-1, owner, !retired."


class Operator(StrEnum):
    """What a requirement asks of the label with its key."""

    IN = "in"
    NOT_IN = "notin"
    """Also true where there is no such label."""
    EXISTS = "exists"
    MISSING = "missing"
    GREATER = "gt"
    LESS = "lt"


@dataclass(frozen=True)
class Requirement:
    """One of the conditions that a selector joins with "and"."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the condition holds for some labels."""
        match self.operator:
            case Operator.IN:
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:
                return self.key not in labels or labels[self.key] not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.MISSING:
                return self.key not in labels
            case Operator.GREATER:
                return self._compares(labels, lambda found, wanted: found > wanted)
            case Operator.LESS:
                return self._compares(labels, lambda found, wanted: found < wanted)

    def _compares(self, labels: Mapping[str, str], holds: Callable[[int, int], bool]) -> bool:
        found, wanted = _integer(labels.get(self.key, "")), _integer(next(iter(self.values)))
        return found is not None and wanted is not None and holds(found, wanted)


@dataclass(frozen=True)
class LabelSelector:
    """All requirements have to hold; none at all selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether some labels are selected."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> LabelSelector:
    """Read a selector such as `env in (prod, stage), region != us-ashburn-1, !retired`.

    Raises:
        InputError: An API server would refuse it too; the message says where.
    """
    tokens = _Tokens(text)
    if not tokens.peek():
        return LabelSelector()
    found = [_read_requirement(tokens)]
    while tokens.peek():
        tokens.take(",")
        found.append(_read_requirement(tokens))
    return LabelSelector(tuple(found))


def key_problem(key: str) -> str:
    """Why a label's key is not valid; empty when it is."""
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > _PREFIX_LIMIT or not _PREFIX.fullmatch(prefix)):
        return "its prefix is no DNS name"
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        return "it is not up to 63 letters, digits, '-', '_' and '.' between letters or digits"
    return ""


def value_problem(value: str) -> str:
    """Why a label's value is not valid; empty when it is."""
    if len(value) > _NAME_LIMIT or not _VALUE.fullmatch(value):
        return "it is not empty or up to 63 letters, digits, '-', '_' and '.' between letters or digits"
    return ""


class _Tokens:
    """The words and symbols of a selector, and where a problem is."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._next = 0

    def peek(self) -> str:
        """The next token; empty at the end."""
        return str(self._tokens[self._next]) if self._next < len(self._tokens) else ""

    def take(self, expected: str) -> None:
        """Consume a symbol."""
        if self.peek() != expected:
            raise self.refuse(f"'{expected}'")
        self._next += 1

    def take_if(self, *symbols: str) -> str:
        """Consume one of some tokens; empty when the next one is none of them."""
        token = self.peek()
        if token not in symbols:
            return ""
        self._next += 1
        return token

    def take_word(self, what: str) -> str:
        """Consume a key or a value."""
        token = self.peek()
        if not token or token in _SYMBOLS:
            raise self.refuse(what)
        self._next += 1
        return token

    def refuse(self, expected: str, found: str = "") -> InputError:
        """An error about the next token, or about what was found."""
        seen = found or (f"'{self.peek()}'" if self.peek() else "the end")
        return InputError("read the label selector", repr(self._text), expected, seen, _HELP)


def _read_requirement(tokens: _Tokens) -> Requirement:
    negated = bool(tokens.take_if("!"))
    key = tokens.take_word("a key")
    problem = key_problem(key)
    if problem:
        raise tokens.refuse("a valid key", f"'{key}': {problem}")
    if negated:
        return Requirement(key, Operator.MISSING)
    if tokens.peek() in ("", ","):
        return Requirement(key, Operator.EXISTS)
    symbol = tokens.take_if("=", "==", "!=", ">", "<", "in", "notin")
    match symbol:
        case "=" | "==":
            return Requirement(key, Operator.IN, _read_value(tokens))
        case "!=":
            return Requirement(key, Operator.NOT_IN, _read_value(tokens))
        case ">" | "<":
            operator = Operator.GREATER if symbol == ">" else Operator.LESS
            return Requirement(key, operator, _read_integer(tokens))
        case "in" | "notin":
            operator = Operator.IN if symbol == "in" else Operator.NOT_IN
            return Requirement(key, operator, _read_values(tokens))
        case _:
            raise tokens.refuse("an operator")


def _read_value(tokens: _Tokens) -> frozenset[str]:
    return frozenset({"" if tokens.peek() in ("", ",") else _valid_word(tokens)})


def _read_integer(tokens: _Tokens) -> frozenset[str]:
    word = tokens.take_word("a number")
    if _integer(word) is None:
        raise tokens.refuse("a number", f"'{word}'")
    return frozenset({word})


def _read_values(tokens: _Tokens) -> frozenset[str]:
    """A list in parentheses; nothing before, after or between commas is the empty value."""
    tokens.take("(")
    found: set[str] = set()
    while True:
        found.add("" if tokens.peek() in (",", ")") else _valid_word(tokens))
        if tokens.take_if(")"):
            return frozenset(found)
        tokens.take(",")


def _valid_word(tokens: _Tokens) -> str:
    word = tokens.take_word("a value")
    problem = value_problem(word)
    if problem:
        raise tokens.refuse("a valid value", f"'{word}': {problem}")
    return word


def _integer(text: str) -> int | None:
    """A whole number of 64 bits; None for anything else, signs included, which label values cannot have."""
    is_number = text.isascii() and text.isdigit() and int(text) <= _LARGEST
    return int(text) if is_number else None
