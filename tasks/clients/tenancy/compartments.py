"""Identity: compartments, policies, groups and regions, as the facts that IAM decisions need."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.errors import TenancyNotFoundError
from tasks.clients.tenancy.sdk import Untyped
from tasks.core.fleets import Branch
from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.iam.principals import Directory, DynamicGroup, Principal, User, UserGroup
from tasks.core.iam.statements import Source, Statement, parse_statement

T = TypeVar("T")

_ADMINISTRATORS = "Administrators"
_MAX_DEPTH = 8
"""OCI allows six levels of compartments below the root; more means a circle."""


def read_policy_world(
    calls: TenancyCalls, compartment_id: str, principals: Iterable[Principal]
) -> PolicyWorld:
    """Everything that decides over access to a compartment.

    Policies of a compartment that may not be read are named in `unread`; the compartment itself has to be.

    Raises:
        TenancyError: The compartment, one of its ancestors or the service cannot be read.
    """
    lineage = read_lineage(calls, compartment_id)
    unread: list[str] = []
    statements: list[Statement] = []
    for compartment in lineage.compartments:
        try:
            statements += _read_statements(calls, compartment)
        except TenancyNotFoundError:
            unread.append(f"the policies of the compartment {compartment.name}")
    directory = _read_directory(calls, principals, unread)
    return PolicyWorld(lineage, tuple(statements), directory, tuple(unread))


def read_lineage(calls: TenancyCalls, compartment_id: str) -> Lineage:
    """A compartment and its ancestors up to the tenancy.

    Raises:
        TenancyError: One of them cannot be read.
    """
    found: list[Compartment] = []
    identifier = compartment_id
    while identifier and len(found) < _MAX_DEPTH:
        model = calls.get(Service.IDENTITY, "get_compartment", identifier)
        found.append(Compartment(model.id, model.name))
        identifier = "" if model.id == calls.identity.tenancy_id else model.compartment_id or ""
    return Lineage(tuple(reversed(found)))


def read_tree(calls: TenancyCalls, root_id: str) -> tuple[Branch, ...]:
    """A compartment and all below it that are in use, each with its path; the tenancy's own path is its name.

    Raises:
        TenancyError: The compartments cannot be listed, or the one to begin at is not among them.
    """
    tenancy_id = calls.identity.tenancy_id
    # OCI lists subtrees of the tenancy only, so the part is cut out here.
    models = calls.pages(
        Service.IDENTITY, "list_compartments", tenancy_id, compartment_id_in_subtree=True, access_level="ANY"
    )
    alive = [model for model in models if _alive(model)]
    below: dict[str, list[Untyped]] = {}
    for model in alive:
        below.setdefault(model.compartment_id, []).append(model)
    names = {tenancy_id: calls.name, **{model.id: model.name for model in alive}}
    if root_id not in names:
        raise TenancyNotFoundError(
            "find the compartment to begin at", f"{calls.name}: {root_id}", found="no such compartment in use"
        )
    found, waiting = [], [Branch(root_id, names[root_id])]
    while waiting:
        branch = waiting.pop(0)
        found.append(branch)
        prefix = "" if branch.id == tenancy_id else f"{branch.path}:"
        waiting += [Branch(model.id, f"{prefix}{model.name}") for model in below.get(branch.id, [])]
    return tuple(found)


def read_regions(calls: TenancyCalls) -> tuple[str, ...]:
    """The regions that the tenancy is subscribed to, the home region first."""
    models = calls.get(Service.IDENTITY, "list_region_subscriptions", calls.identity.tenancy_id)
    ordered = sorted(models, key=lambda model: not model.is_home_region)
    return tuple(model.region_name for model in ordered if model.status == "READY")


def _read_statements(calls: TenancyCalls, compartment: Compartment) -> list[Statement]:
    policies = calls.pages(Service.IDENTITY, "list_policies", compartment.id)
    return [
        parse_statement(text, Source(policy.name, compartment.id))
        for policy in policies
        if _alive(policy)
        for text in policy.statements or []
    ]


def _read_directory(calls: TenancyCalls, principals: Iterable[Principal], unread: list[str]) -> Directory:
    dynamic = _tolerant(partial(_read_dynamic_groups, calls), "the dynamic groups of the tenancy", unread)
    memberships: dict[str, frozenset[str]] = {}
    groups: list[UserGroup] = []
    for user in principals:
        if isinstance(user, User):
            found = _tolerant(partial(_read_groups, calls, user.id), f"the groups of {user.name}", unread)
            memberships[user.id] = frozenset(group.id for group in found)
            groups += found
    administrators = next((group.id for group in groups if group.name == _ADMINISTRATORS), "")
    return Directory(tuple(groups), memberships, tuple(dynamic), administrators=administrators)


def _read_dynamic_groups(calls: TenancyCalls) -> list[DynamicGroup]:
    models = calls.pages(Service.IDENTITY, "list_dynamic_groups", calls.identity.tenancy_id)
    return [DynamicGroup(model.id, model.name, model.matching_rule) for model in models if _alive(model)]


def _read_groups(calls: TenancyCalls, user_id: str) -> list[UserGroup]:
    tenancy_id = calls.identity.tenancy_id
    memberships = calls.pages(Service.IDENTITY, "list_user_group_memberships", tenancy_id, user_id=user_id)
    models = [calls.get(Service.IDENTITY, "get_group", membership.group_id) for membership in memberships]
    return [UserGroup(model.id, model.name) for model in models]


def _tolerant(read: Callable[[], list[T]], what: str, unread: list[str]) -> list[T]:
    try:
        return read()
    except TenancyNotFoundError:
        unread.append(what)
        return []


def _alive(model: Untyped) -> bool:
    return model.lifecycle_state in ("ACTIVE", None)
