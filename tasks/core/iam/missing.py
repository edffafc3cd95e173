"""Writes the statements that are missing, ready to paste into a policy attached to the tenancy."""

from tasks.core.iam.compartments import Lineage, quoted
from tasks.core.iam.principals import (
    Directory,
    Instance,
    Principal,
    ResourcePrincipal,
    User,
    Workload,
    dynamic_group_covers,
)
from tasks.core.iam.requirements import Requirement, Scope
from tasks.core.iam.statements import DEFAULT_DOMAIN
from tasks.core.iam.truth import Truth

DYNAMIC_GROUP_TO_CREATE = "osok-nodes"
"""The dynamic group that statements name where none stands for the nodes yet."""
_USER_GROUP_TO_CREATE = "osok-operators"


def statement_for(
    requirement: Requirement, principal: Principal, lineage: Lineage, directory: Directory
) -> str:
    """The narrowest statement that satisfies a requirement, for a policy in the root compartment."""
    subject, condition = _subject(principal, directory)
    in_tenancy = requirement.scope is Scope.TENANCY or len(lineage.compartments) == 1
    place = "tenancy" if in_tenancy else f"compartment {lineage.path}"
    return f"Allow {subject} to {requirement.action} in {place}{condition}"


def group_to_create(principal: Principal, directory: Directory) -> str:
    """What has to be created first because no group stands for the principal; empty when one does."""
    match principal:
        case Instance() if not _dynamic_group(principal, directory):
            rule = f"ANY {{instance.compartment.id = '{principal.compartment_id}'}}"
            return f"a dynamic group {DYNAMIC_GROUP_TO_CREATE} with the matching rule {rule}"
        case User() if not _user_group(principal, directory):
            return f"a group {_USER_GROUP_TO_CREATE} with the user {principal.name}"
        case _:
            return ""


def _subject(principal: Principal, directory: Directory) -> tuple[str, str]:
    match principal:
        case User():
            return f"group {_user_group(principal, directory) or _USER_GROUP_TO_CREATE}", ""
        case Instance():
            return f"dynamic-group {_dynamic_group(principal, directory) or DYNAMIC_GROUP_TO_CREATE}", ""
        case Workload():
            clauses = {
                "request.principal.type": "workload",
                "request.principal.namespace": principal.namespace,
                "request.principal.service_account": principal.service_account,
                "request.principal.cluster_id": principal.cluster_id,
            }
            return "any-user", f" where all {{{_equals(clauses)}}}"
        case ResourcePrincipal():
            clauses = {
                "request.principal.type": principal.resource_type,
                "request.principal.compartment.id": principal.compartment_id,
            }
            return "any-user", f" where all {{{_equals(clauses)}}}"


def _equals(clauses: dict[str, str]) -> str:
    return ", ".join(f"{variable} = '{value}'" for variable, value in clauses.items())


def _dynamic_group(principal: Instance, directory: Directory) -> str:
    matching = [
        group
        for group in directory.dynamic_groups
        if dynamic_group_covers(group, principal).truth is Truth.YES
    ]
    return _qualified(matching[0].domain, matching[0].name) if matching else ""


def _user_group(principal: User, directory: Directory) -> str:
    memberships = directory.group_ids_of(principal.id)
    matching = [group for group in directory.groups if group.id in memberships]
    return _qualified(matching[0].domain, matching[0].name) if matching else ""


def _qualified(domain: str, name: str) -> str:
    return quoted(name) if domain == DEFAULT_DOMAIN else f"'{domain}'/'{name}'"
