"""Decides whether the policies of a tenancy satisfy a requirement for a principal.

IAM has no simulation of its own ("There isn't a way to automatically obtain that information via the API",
ListPolicies), so the statements are evaluated here, in three values: what cannot be known is UNKNOWN.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from typing_extensions import override

from tasks.core.iam.compartments import Lineage, location_covers
from tasks.core.iam.conditions import Facts, evaluate_condition
from tasks.core.iam.principals import Directory, Principal, User, facts_about, subject_covers
from tasks.core.iam.requirements import Requirement, Scope
from tasks.core.iam.resource_types import (
    ALL_RESOURCES,
    PERMISSIONS,
    Verb,
    canonical_type,
    covers,
    level_of_permission,
    may_belong_to,
    members_of,
    permissions_up_to,
)
from tasks.core.iam.statements import Effect, PolicyStatement, Statement, Unparsed
from tasks.core.iam.truth import NO, Answer, Truth, answer, every, negate, some, unknown


@dataclass(frozen=True)
class PolicyWorld:
    """Everything that decides over access to one compartment, as far as it could be read.

    Attributes:
        lineage: The compartment and its ancestors.
        statements: All statements of policies attached to one of them.
        directory: Groups, memberships and dynamic groups.
        unread: Which policies could not be read, in words.
    """

    lineage: Lineage
    statements: tuple[Statement, ...]
    directory: Directory
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the policies say about one requirement.

    Attributes:
        requirement: The requirement.
        answer: YES when it is satisfied, NO when it is not, UNKNOWN with the reasons otherwise.
        granting: The statements that grant it or a part of it.
        denying: The Deny statements that take it or a part of it away, or may do so.
        lacking: The parts that no statement grants, such as a member type of an aggregate.
    """

    requirement: Requirement
    answer: Answer
    granting: tuple[PolicyStatement, ...] = ()
    denying: tuple[PolicyStatement, ...] = ()
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Part:
    """The smallest thing that statements grant or deny here: a permission, or a verb on a type."""

    resource_type: str
    verb: Verb | None
    permission: str = ""

    @override
    def __str__(self) -> str:
        return self.permission or f"{self.verb} {self.resource_type}"


@dataclass(frozen=True)
class _Matched:
    """A statement whose subject and location reach the principal and the place, or may do so."""

    statement: PolicyStatement
    reach: Answer


def evaluate_requirement(world: PolicyWorld, principal: Principal, requirement: Requirement) -> Verdict:
    """Decide one requirement: every part of it has to be allowed and must not be denied."""
    lineage = world.lineage.root_only if requirement.scope is Scope.TENANCY else world.lineage
    facts = _facts(principal, world.directory, lineage)
    matched = list(_matched(world, principal, lineage))
    allows = [item for item in matched if item.statement.effect is Effect.ALLOW]
    denies = [item for item in matched if item.statement.effect is Effect.DENY]
    parts = list(_parts(requirement))
    allowed = {part: some(_grants(item, part, facts) for item in allows) for part in parts}
    denied = {part: some(_denies(item, part, facts) for item in denies) for part in parts}
    decided = every(every([allowed[part], negate(denied[part])]) for part in parts)
    return Verdict(
        requirement,
        _with_unread(decided, world, principal),
        _involved(allows, lambda item, part: _grants(item, part, facts), parts),
        _involved(denies, lambda item, part: _denies(item, part, facts), parts),
        tuple(str(part) for part in parts if allowed[part].truth is not Truth.YES),
    )


def _parts(requirement: Requirement) -> Iterator[_Part]:
    if requirement.verb is None:
        yield from (_permission_part(permission) for permission in requirement.permissions)
        return
    for resource_type in members_of(requirement.resource):
        permissions = permissions_up_to(requirement.verb, resource_type)
        if permissions is None:
            yield _Part(resource_type, requirement.verb)
        else:
            yield from (_permission_part(permission) for permission in sorted(permissions))


def _permission_part(permission: str) -> _Part:
    resource_type, verb = level_of_permission(permission) or ("", None)
    return _Part(resource_type, verb, permission)


def _facts(principal: Principal, directory: Directory, lineage: Lineage) -> Facts:
    place = {
        "target.compartment.id": frozenset({lineage.target.id}),
        "target.compartment.name": frozenset({lineage.target.name}),
    }
    return facts_about(principal, directory).extended(place)


def _matched(world: PolicyWorld, principal: Principal, lineage: Lineage) -> Iterator[_Matched]:
    for statement in world.statements:
        if not isinstance(statement, PolicyStatement):
            continue
        if statement.effect is Effect.DENY and _exempt(principal, world.directory):
            continue
        place = location_covers(statement.location, statement.source.compartment_id, lineage)
        reach = every([place, subject_covers(statement.subject, principal, world.directory)])
        if reach.truth is not Truth.NO:
            yield _Matched(statement, reach)


def _exempt(principal: Principal, directory: Directory) -> bool:
    # "Deny Policies": the default Administrators group is exempt, so that nobody is locked out.
    administrators = directory.administrators
    return (
        isinstance(principal, User)
        and bool(administrators)
        and (administrators in directory.group_ids_of(principal.id))
    )


def _grants(item: _Matched, part: _Part, facts: Facts) -> Answer:
    return every([item.reach, _action_grants(item.statement, part), _condition_holds(item, part, facts)])


def _denies(item: _Matched, part: _Part, facts: Facts) -> Answer:
    return every([item.reach, _action_denies(item.statement, part), _condition_holds(item, part, facts)])


def _action_grants(statement: PolicyStatement, part: _Part) -> Answer:
    if statement.verb is None:
        return _permissions_meet(statement, part)
    if part.verb is None:
        return _verb_meets_unrecorded_permission(statement, part, sure=Verb.MANAGE)
    reaches = covers(statement.resource, part.resource_type)
    return answer(holds=reaches and statement.verb.includes(part.verb))


def _action_denies(statement: PolicyStatement, part: _Part) -> Answer:
    if statement.verb is None:
        return _permissions_meet(statement, part)
    if part.verb is None:
        return _verb_meets_unrecorded_permission(statement, part, sure=Verb.INSPECT)
    if not covers(statement.resource, part.resource_type):
        return NO
    if part.verb.includes(statement.verb):
        return answer(holds=True)
    # Whether "deny … to manage" also takes away reading is not said where we could read it.
    return unknown(f"how far '{statement.text}' reaches below its verb is not documented")


def _permissions_meet(statement: PolicyStatement, part: _Part) -> Answer:
    if part.permission:
        return answer(holds=part.permission in statement.permissions)
    if any(may_belong_to(permission, part.resource_type) for permission in statement.permissions):
        return unknown(f"which permissions '{part}' stands for, compared with '{statement.text}'")
    return NO


def _verb_meets_unrecorded_permission(statement: PolicyStatement, part: _Part, sure: Verb) -> Answer:
    """Compare a verb with a permission whose verb is not recorded; `sure` is the verb that has them all."""
    everything = statement.resource == ALL_RESOURCES
    if everything and statement.verb is sure:
        return answer(holds=True)
    related = any(may_belong_to(part.permission, name) for name in _types_of(statement))
    if everything or related:
        return unknown(f"whether '{statement.text}' includes {part.permission}")
    return NO


def _types_of(statement: PolicyStatement) -> Iterable[str]:
    # "service-meshes" and "mesh-…" share the permissions that begin with MESH.
    if canonical_type(statement.resource) == "service-mesh-family":
        return ("mesh",)
    return (name for name in members_of(statement.resource) if name not in PERMISSIONS)


def _involved(
    items: Iterable[_Matched], effect: Callable[[_Matched, _Part], Answer], parts: Sequence[_Part]
) -> tuple[PolicyStatement, ...]:
    return tuple(
        item.statement for item in items if any(effect(item, part).truth is not Truth.NO for part in parts)
    )


def _condition_holds(item: _Matched, part: _Part, facts: Facts) -> Answer:
    if not part.permission:
        return evaluate_condition(item.statement.condition, facts)
    about_permission = {"request.permission": frozenset({part.permission})}
    return evaluate_condition(item.statement.condition, facts.extended(about_permission))


def _with_unread(decided: Answer, world: PolicyWorld, principal: Principal) -> Answer:
    """A decision that something unread or unparsed could still turn is no decision."""
    gaps = [f"{what} could not be read" for what in world.unread]
    if decided.truth is Truth.NO:
        gaps += _unparsed_gaps(world.statements, "allow")
    elif not _exempt(principal, world.directory):
        gaps += _unparsed_gaps(world.statements, "deny")
    if not gaps:
        return decided
    return Answer(Truth.UNKNOWN, tuple(dict.fromkeys([*decided.gaps, *gaps])))


def _unparsed_gaps(statements: tuple[Statement, ...], first_word: str) -> list[str]:
    return [
        f"the statement '{item.text}' of the policy {item.source.policy} could not be read ({item.reason})"
        for item in statements
        if isinstance(item, Unparsed) and item.text.strip().casefold().startswith(first_word)
    ]
