"""OCI IAM without OCI: policy statements, who they reach, and whether they satisfy a requirement.

Runbook R23 and R28. `statements` reads texts, `principals` and `compartments` say whom and what they reach,
`evaluation` decides a requirement in three values, `missing` writes what has to be added.
"""

from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld, Verdict, evaluate_requirement
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
from tasks.core.iam.requirements import OSOK_REQUIREMENTS, Requirement, RequirementGroup
from tasks.core.iam.resource_types import Verb
from tasks.core.iam.statements import Source, parse_statement
from tasks.core.iam.truth import Answer, Truth

__all__ = [
    "OSOK_REQUIREMENTS",
    "Answer",
    "Compartment",
    "Directory",
    "DynamicGroup",
    "Instance",
    "Lineage",
    "PolicyWorld",
    "Principal",
    "Requirement",
    "RequirementGroup",
    "ResourcePrincipal",
    "Source",
    "Truth",
    "User",
    "UserGroup",
    "Verb",
    "Verdict",
    "Workload",
    "evaluate_requirement",
    "group_to_create",
    "parse_statement",
    "statement_for",
]
