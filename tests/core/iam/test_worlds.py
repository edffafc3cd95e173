"""R23, R28: whether policies satisfy a requirement, in worlds as they are met in real tenancies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld, Verdict, evaluate_requirement
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
from tasks.core.iam.requirements import Requirement, RequirementGroup, Scope
from tasks.core.iam.resource_types import Verb
from tasks.core.iam.statements import Source, parse_statement
from tasks.core.iam.truth import Answer, Truth

TENANCY = "ocid1.tenancy.oc1..t"
PLATFORM = "ocid1.compartment.oc1..platform"
MESH = "ocid1.compartment.oc1..mesh"
LINEAGE = Lineage(
    (Compartment(TENANCY, "acme"), Compartment(PLATFORM, "Platform"), Compartment(MESH, "Mesh"))
)

ANNA = User("ocid1.user.oc1..anna", "anna@example.com")
ROOT = User("ocid1.user.oc1..root", "root")
NODE = Instance(MESH)
GROUP = RequirementGroup.CERTIFICATES

DIRECTORY = Directory(
    groups=(
        UserGroup("g-operators", "Operators"),
        UserGroup("g-platform", "Platform Team"),
        UserGroup("g-admins", "Administrators"),
    ),
    memberships={
        ANNA.id: frozenset({"g-operators"}),
        "g-operators": frozenset({"g-platform"}),
        ROOT.id: frozenset({"g-admins"}),
    },
    dynamic_groups=(
        DynamicGroup("dg-nodes", "nodes", f"ANY {{instance.compartment.id = '{MESH}'}}"),
        DynamicGroup("dg-osok", "osok", f"Any {{instance.id = 'i-1', instance.compartment.id = '{MESH}'}}"),
        DynamicGroup("dg-one", "one-node", "instance.id = 'ocid1.instance.oc1..one'"),
        DynamicGroup("ocid1.dynamicgroup.oc1..nodes", "by-id", f"instance.compartment.id = '{MESH}'"),
        DynamicGroup("dg-other", "other-nodes", "ALL {instance.compartment.id = 'elsewhere'}"),
        DynamicGroup("dg-ca", "authorities", "ANY {resource.type='certificateauthority'}"),
        DynamicGroup("dg-tagged", "tagged", "tag.ops.role.value = 'mesh'"),
        DynamicGroup("dg-broken", "broken", "something else"),
    ),
    administrators="g-admins",
)

PRINCIPALS: dict[str, Principal] = {
    "anna": ANNA,
    "root": ROOT,
    "node": NODE,
    "one node": Instance(MESH, "ocid1.instance.oc1..one"),
    "tagged node": Instance(MESH, tags={"ops.role": "mesh"}),
    "untagged node": Instance(MESH, tags={}),
    "pod": Workload("ocid1.cluster.oc1..c", "oci-service-operator-system", "osok"),
    "authority": ResourcePrincipal("certificateauthority", MESH),
}
ATTACHMENTS = {"tenancy": TENANCY, "platform": PLATFORM, "mesh": MESH}
WORLDS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "worlds.yaml").read_text())


def requirement(action: str) -> Requirement:
    if action.startswith("{"):
        permissions = (action.strip("{}"),)
        return Requirement(GROUP, "test", permissions=permissions, scope=Scope.TENANCY)
    verb, resource = action.split()
    return Requirement(GROUP, "test", Verb(verb), resource)


def policy_world(texts: list[str], attached_to: str = TENANCY) -> PolicyWorld:
    source = Source("osok", attached_to)
    return PolicyWorld(LINEAGE, tuple(parse_statement(text, source) for text in texts), DIRECTORY)


def verdict_of(world: dict[str, Any]) -> Verdict:
    policies = policy_world(world["statements"], ATTACHMENTS[world.get("attached_to", "tenancy")])
    principal = PRINCIPALS[world.get("principal", "node")]
    return evaluate_requirement(policies, principal, requirement(world["requirement"]))


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: str(world["name"]))
def test_policies_are_evaluated_against_requirements(world: dict[str, Any]) -> None:
    assert verdict_of(world).answer.truth.value == world["expected"]


@pytest.mark.parametrize("world", [world for world in WORLDS if world["expected"] == "UNKNOWN"], ids=str)
def test_unknown_always_has_a_reason(world: dict[str, Any]) -> None:
    assert verdict_of(world).answer.gaps


def test_a_policy_that_could_not_be_read_leaves_everything_unknown() -> None:
    policies = policy_world(["Allow any-user to use keys in tenancy"])
    world = replace(policies, unread=("the policies of Platform",))

    verdict = evaluate_requirement(world, NODE, requirement("use keys"))

    assert verdict.answer == Answer(Truth.UNKNOWN, ("the policies of Platform could not be read",))


def test_a_verdict_names_the_statements_and_the_lacking_parts() -> None:
    allow = "Allow dynamic-group nodes to manage leaf-certificates in tenancy"
    deny = "Deny dynamic-group nodes to manage cabundles in tenancy"
    world = policy_world([allow, deny])

    verdict = evaluate_requirement(world, NODE, requirement("manage leaf-certificate-family"))

    assert [statement.text for statement in (*verdict.granting, *verdict.denying)] == [allow, deny]
    assert verdict.lacking == (
        "manage leaf-certificate-versions",
        "manage leaf-certificate-bundles",
        "manage cabundles",
        "manage certificate-associations",
        "manage cabundle-associations",
    )


def test_nested_groups_in_a_circle_end() -> None:
    directory = Directory(memberships={"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"a"})})

    assert directory.group_ids_of("a") == {"a", "b", "c"}
