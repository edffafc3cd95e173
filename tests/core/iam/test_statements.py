"""R23, R28: what is read out of policy statements, and that nothing is read out of broken ones."""

from pathlib import Path

import pytest
import yaml

from tasks.core.iam.conditions import Clause, Group, Mode, Operator, Value
from tasks.core.iam.resource_types import Verb
from tasks.core.iam.statements import (
    CrossTenancy,
    Effect,
    Location,
    LocationKind,
    PolicyStatement,
    Source,
    Subject,
    SubjectKind,
    Unparsed,
    parse_matching_rule,
    parse_statement,
)

SOURCE = Source("osok", "tenancy")

LISTS = yaml.safe_load((Path(__file__).parent / "statements.yaml").read_text())


def parsed(text: str) -> PolicyStatement:
    statement = parse_statement(text, SOURCE)
    assert isinstance(statement, PolicyStatement), statement
    return statement


@pytest.mark.parametrize("text", [text for texts in LISTS.values() for text in texts])
def test_every_documented_statement_is_read(text: str) -> None:
    assert isinstance(parse_statement(text, SOURCE), PolicyStatement)


def test_a_statement_is_read_into_its_parts() -> None:
    statement = parsed("Allow dynamic-group 'Other'/'osok', nodes to use Keys in compartment A:B")

    assert statement == PolicyStatement(
        text="Allow dynamic-group 'Other'/'osok', nodes to use Keys in compartment A:B",
        source=SOURCE,
        effect=Effect.ALLOW,
        subject=Subject(SubjectKind.DYNAMIC_GROUP, (("Other", "osok"), ("Default", "nodes"))),
        verb=Verb.USE,
        resource="Keys",
        permissions=frozenset(),
        location=Location(LocationKind.COMPARTMENT_PATH, ("A", "B")),
        condition=None,
    )


def test_permissions_in_braces_are_no_verb() -> None:
    statement = parsed("Allow group A to {KEY_READ, KEY_INSPECT} in tenancy")

    assert (statement.verb, statement.resource) == (None, "")
    assert statement.permissions == {"KEY_READ", "KEY_INSPECT"}


def test_nested_conditions_keep_their_structure() -> None:
    statement = parsed(
        "Deny any-user to read keys in compartment id ocid1.compartment.oc1..x where all "
        "{target.key.id != 'k', any {request.operation = /Get*/, request.region in ('fra', 'iad')}}"
    )

    inner = (
        Clause("request.operation", Operator.EQUAL, (Value("Get*", pattern=True),)),
        Clause("request.region", Operator.IN, (Value("fra"), Value("iad"))),
    )
    assert statement.effect is Effect.DENY
    assert statement.location == Location(LocationKind.COMPARTMENT_ID, ("ocid1.compartment.oc1..x",))
    assert statement.condition == Group(
        Mode.ALL, (Clause("target.key.id", Operator.NOT_EQUAL, (Value("k"),)), Group(Mode.ANY, inner))
    )


@pytest.mark.parametrize(
    "text",
    [
        "Allow group A to manage keys in compartment c // for the mesh",
        "Allow group A to manage keys in compartment c where request.region = 'a//b' // why",
    ],
)
def test_a_trailing_comment_is_no_part_of_a_statement(text: str) -> None:
    assert parsed(text).location == Location(LocationKind.COMPARTMENT_NAME, ("c",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Allow group A to manage <OCI_SERVICE_1> in tenancy", "the character < has no meaning"),
        ("Allow group A to frobnicate keys in tenancy", "frobnicate is not a verb"),
        ("Allow group A to manage keys, vaults in compartment c", "mismatched input ','"),
        ("Allow resource r to use keys in tenancy", "mismatched input 'resource'"),
        ("Allow group Größe to use keys in tenancy", "ASCII"),
        ("", "0 statements where one was expected"),
        ("this is no policy", "mismatched input 'this'"),
        (
            "Allow group A to read keys in tenancy\nAllow group B to read keys in tenancy",
            "2 statements where one was expected",
        ),
    ],
)
def test_what_cannot_be_read_completely_is_not_read_at_all(text: str, reason: str) -> None:
    statement = parse_statement(text, SOURCE)

    assert isinstance(statement, Unparsed)
    assert reason in statement.reason


@pytest.mark.parametrize(
    "text",
    [
        "Define tenancy Acceptor as ocid1.tenancy.oc1..zz",
        "Endorse group A to manage object-family in tenancy Acceptor",
        "Admit group A of tenancy Acceptor to manage object-family in compartment c",
    ],
)
def test_statements_between_tenancies_are_set_aside(text: str) -> None:
    assert isinstance(parse_statement(text, SOURCE), CrossTenancy)


def test_a_matching_rule_is_read_into_a_condition() -> None:
    rule = parse_matching_rule("Any {instance.id = 'i', All {resource.type='certificate'}}")

    assert rule == Group(
        Mode.ANY,
        (
            Clause("instance.id", Operator.EQUAL, (Value("i"),)),
            Group(Mode.ALL, (Clause("resource.type", Operator.EQUAL, (Value("certificate"),)),)),
        ),
    )


def test_a_broken_matching_rule_is_no_condition() -> None:
    assert parse_matching_rule("foo bar") is None
