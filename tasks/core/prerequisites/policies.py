"""R23 and R28: the verdicts about IAM policies as findings, with the missing statements ready to paste."""

from collections.abc import Iterable

from tasks.core.iam.evaluation import PolicyWorld, Verdict, evaluate_requirement
from tasks.core.iam.missing import group_to_create, statement_for
from tasks.core.iam.principals import Principal
from tasks.core.iam.requirements import Importance, Requirement, RequirementGroup, Role
from tasks.core.iam.truth import Truth
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.readings import Unread

_GROUPS = {
    RequirementGroup.SERVICE_MESH: CheckGroup.IAM_SERVICE_MESH,
    RequirementGroup.CERTIFICATES: CheckGroup.IAM_CERTIFICATES,
    RequirementGroup.VAULT: CheckGroup.IAM_VAULT,
}


def check_policies(
    world: PolicyWorld | Unread, principals: dict[Role, Principal], requirements: Iterable[Requirement]
) -> tuple[Finding, ...]:
    """One finding per requirement: who needs it, which statements decide it, what is missing.

    Args:
        world: Policies, compartments and groups, or why they could not be read.
        principals: Who stands in each role.
        requirements: What is needed.
    """
    if isinstance(world, Unread):
        return tuple(_unread(item, world) for item in requirements)
    return tuple(_finding(item, world, principals[item.role]) for item in requirements)


def _check(requirement: Requirement, evidence: str) -> Check:
    name = f"{requirement.role.value}: {requirement.action}"
    return Check(_GROUPS[requirement.group], "R28", name, evidence)


def _unread(requirement: Requirement, world: Unread) -> Finding:
    check = _check(requirement, f"{world.what}: not read")
    return check.unknown(world.reason, "Let the caller inspect policies, compartments and dynamic groups.")


def _finding(requirement: Requirement, world: PolicyWorld, principal: Principal) -> Finding:
    verdict = evaluate_requirement(world, principal, requirement)
    check = _check(requirement, _evidence(verdict))
    fix = _fix(requirement, world, principal)
    match verdict.answer.truth:
        case Truth.YES:
            return check.passed()
        case Truth.UNKNOWN:
            return check.unknown("; ".join(verdict.answer.gaps), f"Check by hand, or add: {fix}")
        case Truth.NO if verdict.denying:
            return check.failed("a Deny statement takes it away", "Remove or narrow the Deny statement.")
        case Truth.NO if requirement.importance is Importance.RECOMMENDED:
            return check.warned(_reason(verdict), fix)
        case Truth.NO:
            return check.failed(_reason(verdict), fix)


def _evidence(verdict: Verdict) -> str:
    statements = [*verdict.granting, *verdict.denying]
    shown = [f"{item.source.policy}: {item.text.strip()}" for item in statements]
    return "; ".join(shown) or "no statement reaches it"


def _reason(verdict: Verdict) -> str:
    lacking = ", ".join(verdict.lacking)
    return f"needed to {verdict.requirement.purpose}; not granted: {lacking}"


def _fix(requirement: Requirement, world: PolicyWorld, principal: Principal) -> str:
    statement = statement_for(requirement, principal, world.lineage, world.directory)
    group = group_to_create(principal, world.directory)
    return f"{statement} (after creating {group})" if group else statement
