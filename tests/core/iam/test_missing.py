"""R23, R28: the documented lists satisfy the requirements, and what is missing is written so that it does."""

from pathlib import Path

import pytest
import yaml

from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld, evaluate_requirement
from tasks.core.iam.missing import group_to_create, statement_for
from tasks.core.iam.principals import (
    Directory,
    DynamicGroup,
    Instance,
    Principal,
    ResourcePrincipal,
    User,
    UserGroup,
    Workload,
)
from tasks.core.iam.requirements import OSOK_REQUIREMENTS, Importance, Requirement, Role
from tasks.core.iam.statements import Source, parse_statement
from tasks.core.iam.truth import Truth

LINEAGE = Lineage((Compartment("t", "acme"), Compartment("p", "Plat form"), Compartment("m", "mesh")))
FLAT = Lineage((Compartment("t", "acme"), Compartment("m", "mesh")))
NODE = Instance("m")
ANNA = User("u", "anna")
POD = Workload("ocid1.cluster.oc1..c", "osok", "manager")
AUTHORITY = ResourcePrincipal("certificateauthority", "m")
DIRECTORY = Directory(
    groups=(UserGroup("g", "Mesh People", "Staff"),),
    memberships={"u": frozenset({"g"})},
    dynamic_groups=(
        DynamicGroup("dg", "nodes", "ANY {instance.compartment.id = 'm'}"),
        DynamicGroup("ca", "authorities", "ANY {resource.type='certificateauthority'}"),
    ),
    readable_domains=frozenset({"Default", "Staff"}),
)

LISTS = yaml.safe_load((Path(__file__).parent / "statements.yaml").read_text())


def unmet(texts: list[str]) -> set[str]:
    statements = tuple(parse_statement(text, Source("osok", "t")) for text in texts)
    world = PolicyWorld(FLAT, statements, DIRECTORY)
    verdicts = [
        evaluate_requirement(world, AUTHORITY if item.role is Role.AUTHORITY else NODE, item)
        for item in OSOK_REQUIREMENTS
    ]
    return {verdict.requirement.action for verdict in verdicts if verdict.answer.truth is not Truth.YES}


def test_the_operators_own_list_satisfies_every_requirement() -> None:
    assert unmet(LISTS["operator"]) == set()


def test_the_tutorials_list_lacks_only_what_it_does_not_name() -> None:
    lacking = {
        "{MESH_PROXY_DETAILS_READ}",
        "use metrics",
        "use log-content",
        "use tag-namespaces",
        "inspect vaults",
    }

    assert unmet(LISTS["tutorial"]) == lacking


@pytest.mark.parametrize("requirement", OSOK_REQUIREMENTS, ids=lambda item: item.action)
@pytest.mark.parametrize("principal", [NODE, ANNA, POD, AUTHORITY], ids=lambda item: type(item).__name__)
def test_the_statement_that_is_missing_satisfies_the_requirement(
    requirement: Requirement, principal: Principal
) -> None:
    text = statement_for(requirement, principal, LINEAGE, DIRECTORY)
    world = PolicyWorld(LINEAGE, (parse_statement(text, Source("osok", "t")),), DIRECTORY)

    assert evaluate_requirement(world, principal, requirement).answer.truth is Truth.YES


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (NODE, "Allow dynamic-group nodes to use keys in compartment 'Plat form':mesh"),
        (ANNA, "Allow group 'Staff'/'Mesh People' to use keys in compartment 'Plat form':mesh"),
    ],
)
def test_a_missing_statement_is_written_for_a_policy_in_the_root(principal: Principal, expected: str) -> None:
    requirement = next(item for item in OSOK_REQUIREMENTS if item.action == "use keys")

    assert statement_for(requirement, principal, LINEAGE, DIRECTORY) == expected


def test_a_missing_statement_for_a_resource_is_bound_to_its_compartment() -> None:
    requirement = next(item for item in OSOK_REQUIREMENTS if item.action == "use keys")

    _, _, condition = statement_for(requirement, AUTHORITY, FLAT, DIRECTORY).partition(" where ")

    assert condition == (
        "all {request.principal.type = 'certificateauthority', request.principal.compartment.id = 'm'}"
    )


def test_without_a_dynamic_group_one_is_proposed() -> None:
    proposal = group_to_create(NODE, Directory())

    assert proposal == (
        "a dynamic group osok-nodes with the matching rule ANY {instance.compartment.id = 'm'}"
    )


def test_the_three_groups_of_the_runbook_all_have_required_entries() -> None:
    groups = {item.group.value for item in OSOK_REQUIREMENTS if item.importance is Importance.REQUIRED}

    assert groups == {"Service Mesh", "Certificates", "Vault"}
