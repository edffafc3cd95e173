"""R23, R28: what is missing in IAM, as a group and a policy to create or as statements for others."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.iam.missing import DYNAMIC_GROUP_TO_CREATE, group_to_create
from tasks.core.iam.principals import Instance, Principal
from tasks.core.iam.requirements import OSOK_REQUIREMENTS, Role
from tasks.core.prerequisites.findings import Status
from tasks.core.prerequisites.policies import check_policies
from tasks.core.prerequisites.readings import Unread
from tasks.core.prerequisites.steps import CreateDynamicGroup, CreatePolicy, Step


@dataclass(frozen=True)
class RightsPlan:
    """What would have to be done in IAM.

    Attributes:
        steps: The dynamic group, where none stands for the nodes, and the policy.
        blockers: Why rights cannot be granted by a run.
        statements: Every statement that is missing; none where policies could not be read.
    """

    steps: tuple[Step, ...]
    blockers: tuple[str, ...]
    statements: tuple[str, ...]


def plan_rights(policies: PolicyWorld | Unread, principals: dict[Role, Principal]) -> RightsPlan:
    """Compare the policies with what is needed."""
    if isinstance(policies, Unread):
        return RightsPlan((), (f"{policies.what} could not be read: {policies.reason}",), ())
    statements = tuple(dict.fromkeys(_missing_statements(policies, principals)))
    blockers = [
        f"{what} may not be read, so nobody knows which rights are missing" for what in policies.unread
    ]
    steps: list[Step] = []
    operator = principals[Role.OPERATOR]
    absent = group_to_create(operator, policies.directory)
    if absent and isinstance(operator, Instance):
        steps.append(_dynamic_group(operator))
        blockers += _other_groups_of_the_name(policies)
    elif absent:
        blockers.append(f"rights need {absent}: memberships are not changed by this run")
    if statements:
        digest = hashlib.sha256("\n".join(statements).encode()).hexdigest()[:8]
        steps.append(CreatePolicy(f"osok-service-mesh-{digest}", statements))
    return RightsPlan(tuple(steps), tuple(blockers), statements)


def _dynamic_group(operator: Instance) -> CreateDynamicGroup:
    rule = f"ANY {{instance.compartment.id = '{operator.compartment_id}'}}"
    return CreateDynamicGroup(DYNAMIC_GROUP_TO_CREATE, rule)


def _other_groups_of_the_name(policies: PolicyWorld) -> Iterator[str]:
    """Names are unique, and the rule of a group that is there is not changed: it may stand for others."""
    for group in policies.directory.dynamic_groups:
        if group.name == DYNAMIC_GROUP_TO_CREATE:
            yield (
                f"dynamic group {group.name} ({group.id}) does not surely match the nodes: "
                f"{group.matching_rule}. Correct its rule, or remove the group"
            )


def _missing_statements(world: PolicyWorld, principals: dict[Role, Principal]) -> Iterator[str]:
    for finding in check_policies(world, principals, OSOK_REQUIREMENTS):
        statement = finding.fix.partition(" (after creating")[0]
        if finding.status in (Status.FAIL, Status.WARN) and statement.startswith("Allow "):
            yield statement
