"""Policy statements and matching rules as data, read with `oci-lexer-parser` (docs/adr/0004)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from oci_lexer_parser import parse_dynamic_group_matching_rules, parse_policy_statements

from tasks.core.iam.conditions import Clause, Condition, Group, Mode, Operator, Value
from tasks.core.iam.resource_types import ALL_RESOURCES, Verb

DEFAULT_DOMAIN = "Default"
"""The identity domain of a name that is written without one."""


class Effect(StrEnum):
    """What a statement does to a request that it matches."""

    ALLOW = "allow"
    DENY = "deny"


class SubjectKind(StrEnum):
    """Whom a statement names; the values are those of oci-lexer-parser's output."""

    GROUP = "group"
    GROUP_ID = "group-id"
    DYNAMIC_GROUP = "dynamic-group"
    DYNAMIC_GROUP_ID = "dynamic-group-id"
    ANY_USER = "any-user"
    ANY_GROUP = "any-group"
    SERVICE = "service"


class LocationKind(StrEnum):
    """How a statement names its place; the values are those of oci-lexer-parser's output."""

    TENANCY = "tenancy"
    COMPARTMENT_NAME = "compartment_name"
    COMPARTMENT_PATH = "compartment-path"
    COMPARTMENT_ID = "compartment-id"


@dataclass(frozen=True)
class Subject:
    """Whom a statement is about: names as (identity domain, name), or OCIDs as ("", OCID)."""

    kind: SubjectKind
    names: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Location:
    """Where a statement applies: nothing, an OCID, or a path of names relative to the attachment."""

    kind: LocationKind
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a statement was found: the policy's name and the compartment that the policy is attached to."""

    policy: str
    compartment_id: str


@dataclass(frozen=True)
class PolicyStatement:
    """One Allow or Deny statement.

    Attributes:
        text: The statement as it was written.
        source: The policy it belongs to.
        effect: Allow or Deny.
        subject: Whom it names.
        verb: The verb; None when it lists permissions.
        resource: The resource type or aggregate; empty when it lists permissions.
        permissions: The permissions it lists, in upper case; empty when it has a verb.
        location: Where it applies.
        condition: Its `where` part.
    """

    text: str
    source: Source
    effect: Effect
    subject: Subject
    verb: Verb | None
    resource: str
    permissions: frozenset[str]
    location: Location
    condition: Condition | None


@dataclass(frozen=True)
class Unparsed:
    """A statement that could not be read. It may grant or deny anything that its first word says."""

    text: str
    source: Source
    reason: str


@dataclass(frozen=True)
class CrossTenancy:
    """Define, Endorse and Admit: they say nothing about principals and resources of the same tenancy."""

    text: str
    source: Source


Statement = PolicyStatement | Unparsed | CrossTenancy

_CROSS_TENANCY = {"define", "endorse", "admit"}
_COMMENT = re.compile(r"""^((?:[^'/]|'[^']*'|/(?!/))*)//.*$""")


def parse_statement(text: str, source: Source) -> Statement:
    """Read one statement; what cannot be read completely is `Unparsed`, never half a statement."""
    trimmed = _without_comment(text).strip()
    problem = _problem_before_parsing(trimmed)
    if problem:
        return Unparsed(text, source, problem)
    try:
        # The return type is a union over the parser's error modes; "report" always gives this pair.
        parsed: Any = parse_policy_statements(trimmed, error_mode="report")
        payload, diagnostics = parsed
        if diagnostics["error_count"]:
            return Unparsed(text, source, str(diagnostics["errors"][0]["message"]))
        nodes = payload["statements"]
        if len(nodes) != 1:
            return Unparsed(text, source, f"{len(nodes)} statements where one was expected")
        if nodes[0]["kind"] in _CROSS_TENANCY:
            return CrossTenancy(text, source)
        return _statement(text, source, nodes[0])
    except (ValueError, KeyError) as error:
        return Unparsed(text, source, f"{error}")


@lru_cache(maxsize=1024)  # each statement that names a group asks for its rule again
def parse_matching_rule(rule: str) -> Condition | None:
    """Read a dynamic group's matching rule; None when it cannot be read."""
    try:
        parsed: Any = parse_dynamic_group_matching_rules(rule)
        rules = parsed["rules"]
        return _condition(rules[0]["expr"]) if len(rules) == 1 else None
    except (ValueError, KeyError):
        return None


def _without_comment(text: str) -> str:
    # The parser takes comments on lines of their own only.
    match = _COMMENT.match(text)
    return match.group(1) if match else text


def _problem_before_parsing(text: str) -> str:
    # The parser's lexer skips characters that it does not know, so a placeholder would become a name.
    outside_quotes = re.sub(r"'[^']*'", "", text)
    skipped = re.search(r"[<>\[\]@#$%&\"`]", outside_quotes)
    return f"the character {skipped.group()} has no meaning in a statement" if skipped else ""


def _statement(text: str, source: Source, node: Mapping[str, Any]) -> PolicyStatement:
    actions = node["actions"]
    listed = actions["type"] == "permissions"
    if listed and node["resources"]["values"]:
        # The parser takes any word where a verb stands; only braces make a list of permissions.
        raise ValueError(f"{actions['values'][0]} is not a verb")
    resources = node["resources"]
    resource = ALL_RESOURCES if resources["type"] == ALL_RESOURCES else "".join(resources["values"])
    return PolicyStatement(
        text=text,
        source=source,
        effect=Effect(node["kind"]),
        subject=_subject(node["subject"]),
        verb=None if listed else Verb(actions["values"][0]),
        resource="" if listed else resource,
        permissions=frozenset(value.upper() for value in actions["values"]) if listed else frozenset(),
        location=Location(LocationKind(node["location"]["type"]), tuple(node["location"]["values"])),
        condition=_condition(node["conditions"]) if "conditions" in node else None,
    )


def _subject(node: Mapping[str, Any]) -> Subject:
    kind = SubjectKind(node["type"])
    by_id = kind in (SubjectKind.GROUP_ID, SubjectKind.DYNAMIC_GROUP_ID)
    no_domain = "" if by_id else DEFAULT_DOMAIN
    names = tuple((value.get("identity_domain") or no_domain, value["label"]) for value in node["values"])
    return Subject(kind, names)


def _condition(node: Mapping[str, Any]) -> Condition:
    if node["type"] == "group":
        return Group(Mode(node["mode"]), tuple(_condition(item) for item in node["items"]))
    clause = node["node"]
    operator = Operator(clause["op"])
    return Clause(clause["lhs"], operator, _values(clause.get("rhs")))


def _values(node: Mapping[str, Any] | None) -> tuple[Value, ...]:
    if node is None:
        return ()
    if node["type"] == "list":
        return tuple(value for item in node["values"] for value in _values(item))
    if node["type"] == "range":
        return (*_values(node["from"]), *_values(node["to"]))
    if node["type"] == "regex":
        return (Value(node["pattern"], pattern=True),)
    return (Value(node["value"]),)
