"""Who makes a request, and which subjects of policy statements stand for it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tasks.core.iam.conditions import Facts, evaluate_condition
from tasks.core.iam.statements import DEFAULT_DOMAIN, Subject, SubjectKind, parse_matching_rule
from tasks.core.iam.truth import NO, YES, Answer, answer, some, unknown


@dataclass(frozen=True)
class User:
    """A user of the tenancy."""

    id: str
    name: str
    domain: str = DEFAULT_DOMAIN


@dataclass(frozen=True)
class Instance:
    """A compute instance, or any instance of a compartment where `id` is empty (nodes come and go).

    Attributes:
        compartment_id: The compartment that the instance lies in.
        id: Its OCID; empty when the principal is whichever instance runs the operator.
        tags: Defined tags as `namespace.key` → value; None when they were not read.
    """

    compartment_id: str
    id: str = ""
    tags: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Workload:
    """A Kubernetes service account of an enhanced OKE cluster (OKE workload identity)."""

    cluster_id: str
    namespace: str
    service_account: str


@dataclass(frozen=True)
class ResourcePrincipal:
    """A resource that calls services itself, such as a certificate authority that uses its key."""

    resource_type: str
    compartment_id: str
    id: str = ""


Principal = User | Instance | Workload | ResourcePrincipal


@dataclass(frozen=True)
class UserGroup:
    """A group of users."""

    id: str
    name: str
    domain: str = DEFAULT_DOMAIN


@dataclass(frozen=True)
class DynamicGroup:
    """A dynamic group with its matching rule as it was written."""

    id: str
    name: str
    matching_rule: str
    domain: str = DEFAULT_DOMAIN


@dataclass(frozen=True)
class Directory:
    """The groups of a tenancy, as far as they could be read.

    Attributes:
        groups: The groups.
        memberships: Which groups (OCIDs) a user or a nested group (OCID) is a direct member of.
        dynamic_groups: The dynamic groups.
        readable_domains: The identity domains whose groups are all here.
        administrators: The OCID of the default Administrators group, which no Deny reaches.
    """

    groups: tuple[UserGroup, ...] = ()
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)
    dynamic_groups: tuple[DynamicGroup, ...] = ()
    readable_domains: frozenset[str] = frozenset({DEFAULT_DOMAIN})
    administrators: str = ""

    @cached_property
    def _readable(self) -> frozenset[str]:
        return frozenset(domain.casefold() for domain in self.readable_domains)

    def can_read(self, domain: str) -> bool:
        """Whether the groups of an identity domain are known."""
        return domain.casefold() in self._readable

    def group_ids_of(self, member_id: str) -> frozenset[str]:
        """All groups of a member, through nested groups too; a cycle ends where it closes."""
        found: set[str] = set()
        open_ids = [member_id]
        while open_ids:
            fresh = self.memberships.get(open_ids.pop(), frozenset()) - found
            found |= fresh
            open_ids.extend(fresh)
        return frozenset(found)


def facts_about(principal: Principal, directory: Directory) -> Facts:
    """What conditions of statements can know about the principal."""
    match principal:
        case User():
            return _facts(
                {
                    "request.principal.type": ["user"],
                    "request.principal.id": [principal.id],
                    "request.user.id": [principal.id],
                    "request.user.name": [principal.name],
                    "request.groups.id": directory.group_ids_of(principal.id),
                },
                (*_WORKLOAD_ONLY, *_RESOURCE_ONLY),
            )
        case Instance():
            return _resource_facts("instance", principal.compartment_id, principal.id)
        case ResourcePrincipal():
            return _resource_facts(principal.resource_type, principal.compartment_id, principal.id)
        case Workload():
            return _facts(
                {
                    "request.principal.type": ["workload"],
                    "request.principal.cluster_id": [principal.cluster_id],
                    "request.principal.namespace": [principal.namespace],
                    "request.principal.service_account": [principal.service_account],
                },
                _USER_ONLY,
            )


_WORKLOAD_ONLY = (
    "request.principal.cluster_id",
    "request.principal.namespace",
    "request.principal.service_account",
)
_USER_ONLY = ("request.user.", "request.groups.")
_RESOURCE_ONLY = ("request.principal.compartment.",)


def _facts(known: Mapping[str, Collection[str]], inapplicable: tuple[str, ...]) -> Facts:
    # An empty text stands for a value that exists but was not read, so nothing is known about it.
    return Facts(
        {name: frozenset(values) for name, values in known.items() if "" not in values}, inapplicable
    )


def _resource_facts(resource_type: str, compartment_id: str, identifier: str) -> Facts:
    known = {
        "request.principal.type": [resource_type],
        "request.principal.id": [identifier],
        "request.principal.compartment.id": [compartment_id],
    }
    return _facts(known, (*_WORKLOAD_ONLY, *_USER_ONLY))


def subject_covers(subject: Subject, principal: Principal, directory: Directory) -> Answer:
    """Whether a statement's subject stands for the principal."""
    match subject.kind:
        case SubjectKind.ANY_USER:
            return YES
        case SubjectKind.SERVICE:
            return NO
        case SubjectKind.ANY_GROUP:
            return _in_any_group(principal, directory)
        case SubjectKind.GROUP | SubjectKind.GROUP_ID:
            return _in_named_group(subject, principal, directory)
        case SubjectKind.DYNAMIC_GROUP | SubjectKind.DYNAMIC_GROUP_ID:
            return some(_in_dynamic_group(name, principal, directory) for name in subject.names)


def dynamic_group_covers(group: DynamicGroup, principal: Principal) -> Answer:
    """Whether a dynamic group's matching rule takes the principal in; users and workloads never are."""
    if isinstance(principal, User | Workload):
        return NO
    rule = parse_matching_rule(group.matching_rule)
    if rule is None:
        return unknown(f"the matching rule of the dynamic group {group.name} cannot be read")
    return evaluate_condition(rule, _matching_facts(principal))


def _matching_facts(principal: Instance | ResourcePrincipal) -> Facts:
    resource_type = "instance" if isinstance(principal, Instance) else principal.resource_type
    known = {
        "resource.type": [resource_type],
        "resource.compartment.id": [principal.compartment_id],
        "resource.id": [principal.id],
    }
    if isinstance(principal, ResourcePrincipal):
        return _facts(known, ("instance.",))
    instance = {"instance.compartment.id": [principal.compartment_id], "instance.id": [principal.id]}
    if principal.tags is None:
        return _facts({**known, **instance}, ())
    tags = {f"tag.{key}.value".casefold(): [value] for key, value in principal.tags.items()}
    present = {f"tag.{key}".casefold(): [value] for key, value in principal.tags.items()}
    return _facts({**known, **instance, **tags, **present}, ("tag.",))


def _in_any_group(principal: Principal, directory: Directory) -> Answer:
    if not isinstance(principal, User):
        return unknown("any-group and principals that are no users")
    if directory.group_ids_of(principal.id):
        return YES
    return unknown(f"the groups of {principal.name} were not read")


def _in_named_group(subject: Subject, principal: Principal, directory: Directory) -> Answer:
    if not isinstance(principal, User):
        return NO
    memberships = directory.group_ids_of(principal.id)
    if subject.kind is SubjectKind.GROUP_ID:
        return answer(holds=any(identifier in memberships for _, identifier in subject.names))
    return some(_in_group(domain, name, memberships, directory) for domain, name in subject.names)


def _in_group(domain: str, name: str, memberships: frozenset[str], directory: Directory) -> Answer:
    if not directory.can_read(domain):
        return unknown(f"the groups of the identity domain {domain} cannot be read")
    wanted = (domain.casefold(), name.casefold())
    found = {
        group.id for group in directory.groups if (group.domain.casefold(), group.name.casefold()) == wanted
    }
    return answer(holds=bool(found & memberships))


def _in_dynamic_group(name: tuple[str, str], principal: Principal, directory: Directory) -> Answer:
    if isinstance(principal, User | Workload):
        return NO
    domain, label = name
    if domain and not directory.can_read(domain):
        return unknown(f"the dynamic groups of the identity domain {domain} cannot be read")
    matches = [group for group in directory.dynamic_groups if _is_named(group, domain, label)]
    if not matches and not domain:
        return unknown(f"the dynamic group {label} was not found among those that can be read")
    return some(dynamic_group_covers(group, principal) for group in matches)


def _is_named(group: DynamicGroup, domain: str, label: str) -> bool:
    if not domain:
        return group.id == label
    return (group.domain.casefold(), group.name.casefold()) == (domain.casefold(), label.casefold())
