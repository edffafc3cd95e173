"""What Service Mesh and the operator need to be allowed to do, as requirements instead of statement texts.

Runbook R23 and R28: three groups. The operator's documentation, the service's documentation and Oracle's
tutorials list different statements that satisfy the same requirements.
"""

from dataclasses import dataclass
from enum import StrEnum

from tasks.core.iam.resource_types import Verb


class RequirementGroup(StrEnum):
    """The three groups that runbook R28 asks policies for."""

    SERVICE_MESH = "Service Mesh"
    CERTIFICATES = "Certificates"
    VAULT = "Vault"


class Role(StrEnum):
    """Which principal a requirement is about."""

    OPERATOR = "operator"
    """Whoever the operator calls OCI as: a user, its node's instance, or its service account."""
    AUTHORITY = "certificate authority"
    """The certificate authority itself, which uses its key in the vault."""


class Scope(StrEnum):
    """Where a requirement has to hold."""

    COMPARTMENT = "compartment"
    TENANCY = "tenancy"


class Importance(StrEnum):
    """What its absence means."""

    REQUIRED = "required"
    RECOMMENDED = "recommended"


@dataclass(frozen=True)
class Requirement:
    """One thing that a principal has to be allowed to do.

    Attributes:
        group: The runbook's group.
        purpose: What it is needed for, as a clause after "needed to".
        verb: The least verb; None when permissions are listed.
        resource: The resource type or aggregate; empty when permissions are listed.
        permissions: The permissions; empty when there is a verb.
        role: Whose right it is.
        scope: Where it has to hold.
        importance: What its absence means.
    """

    group: RequirementGroup
    purpose: str
    verb: Verb | None = None
    resource: str = ""
    permissions: tuple[str, ...] = ()
    role: Role = Role.OPERATOR
    scope: Scope = Scope.COMPARTMENT
    importance: Importance = Importance.REQUIRED

    @property
    def action(self) -> str:
        """The verb and resource, or the permissions in braces, as a statement writes them."""
        if self.verb is None:
            return "{" + ", ".join(self.permissions) + "}"
        return f"{self.verb.value} {self.resource}"


def _mesh(verb: Verb, resource: str, purpose: str) -> Requirement:
    return Requirement(
        RequirementGroup.SERVICE_MESH, purpose, verb, resource, importance=Importance.RECOMMENDED
    )


def _certificates(verb: Verb, resource: str, purpose: str) -> Requirement:
    return Requirement(RequirementGroup.CERTIFICATES, purpose, verb, resource)


OSOK_REQUIREMENTS: tuple[Requirement, ...] = (
    Requirement(
        RequirementGroup.SERVICE_MESH,
        "create and change meshes and everything in them",
        Verb.MANAGE,
        "service-mesh-family",
    ),
    Requirement(
        RequirementGroup.SERVICE_MESH,
        "learn which proxy image to inject",
        permissions=("MESH_PROXY_DETAILS_READ",),
        scope=Scope.TENANCY,
    ),
    _mesh(Verb.USE, "metrics", "publish the proxies' metrics"),
    _mesh(Verb.USE, "log-content", "publish the proxies' access logs"),
    _mesh(Verb.USE, "tag-namespaces", "tag mesh resources"),
    _certificates(
        Verb.READ, "certificate-authority-family", "find the authority that signs mesh certificates"
    ),
    _certificates(Verb.USE, "certificate-authority-delegates", "have certificates issued by the authority"),
    _certificates(Verb.MANAGE, "leaf-certificate-family", "create and renew the mesh's certificates"),
    _certificates(Verb.MANAGE, "certificate-associations", "attach certificates to ingress gateways"),
    _certificates(Verb.MANAGE, "certificate-authority-associations", "attach the authority to a mesh"),
    Requirement(
        RequirementGroup.VAULT,
        "see the vault that holds the authority's key",
        Verb.INSPECT,
        "vaults",
        importance=Importance.RECOMMENDED,
    ),
    Requirement(
        RequirementGroup.VAULT,
        "sign with the authority's key",
        Verb.USE,
        "keys",
        role=Role.AUTHORITY,
    ),
    Requirement(
        RequirementGroup.VAULT,
        "store the authority's revocation list",
        Verb.MANAGE,
        "objects",
        role=Role.AUTHORITY,
        importance=Importance.RECOMMENDED,
    ),
)
"""What the operator of the OSOK 1.1.9 profile and its certificate authority need."""
