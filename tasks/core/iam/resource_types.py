"""Verbs, resource types, their aggregates and permissions, as far as Service Mesh on OKE needs them.

Sources: Oracle's policy reference for Service Mesh, Certificates, Vault and Object Storage. Oracle's own
examples also use singular names (`vault`, `certificate-authority-delegate`), which the service accepts.
"""

from collections.abc import Mapping
from enum import StrEnum


class Verb(StrEnum):
    """The four verbs, from the least access to the most; each includes the ones before it."""

    INSPECT = "inspect"
    READ = "read"
    USE = "use"
    MANAGE = "manage"

    @property
    def rank(self) -> int:
        """The position in that order, from 0."""
        return list(Verb).index(self)

    def includes(self, other: "Verb") -> bool:
        """Whether this verb gives at least the access of the other one."""
        return self.rank >= other.rank


ALL_RESOURCES = "all-resources"

_LEAF_CERTIFICATES = (
    "leaf-certificates",
    "leaf-certificate-versions",
    "leaf-certificate-bundles",
    "cabundles",
    "certificate-associations",
    "cabundle-associations",
)

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "service-mesh-family": (
        "service-meshes",
        "mesh-virtual-services",
        "mesh-virtual-service-route-tables",
        "mesh-virtual-deployments",
        "mesh-ingress-gateways",
        "mesh-ingress-gateway-route-tables",
        "mesh-access-policies",
        "mesh-work-requests",
    ),
    "leaf-certificate-family": _LEAF_CERTIFICATES,
    "certificate-authority-family": (
        "certificate-authorities",
        "certificate-authority-versions",
        "certificate-authority-bundles",
        "certificate-authority-delegates",
        "certificate-authority-associations",
        *_LEAF_CERTIFICATES,
    ),
    # An earlier edition of the Vault reference names this aggregate; the present one does not.
    "key-family": ("vaults", "keys", "key-delegates"),
    "secret-family": ("secrets", "secret-versions", "secret-bundles"),
    "object-family": ("objectstorage-namespaces", "buckets", "objects"),
}
"""Aggregate types and their members."""

_ALIASES: Mapping[str, str] = {
    "vault": "vaults",
    "key": "keys",
    "key-delegate": "key-delegates",
    "object": "objects",
    "certificate-authority": "certificate-authorities",
    "certificate-authority-delegate": "certificate-authority-delegates",
    "certificate-authority-association": "certificate-authority-associations",
    "certificate-association": "certificate-associations",
    "cabundle-association": "cabundle-associations",
    "cabundle": "cabundles",
    "leaf-certificate": "leaf-certificates",
}

PERMISSIONS: Mapping[str, Mapping[Verb, tuple[str, ...]]] = {
    "vaults": {Verb.INSPECT: ("VAULT_INSPECT",), Verb.READ: ("VAULT_READ",)},
    "keys": {
        Verb.INSPECT: ("KEY_INSPECT",),
        Verb.READ: ("KEY_READ",),
        Verb.USE: ("KEY_ENCRYPT", "KEY_DECRYPT", "KEY_EXPORT", "KEY_SIGN", "KEY_VERIFY"),
    },
}
"""What each verb adds, for the levels whose permissions are documented and stable.

A level that is missing here is never taken as granted by a list of permissions.
"""


def canonical_type(name: str) -> str:
    """The plural lower-case name of a resource type."""
    lowered = name.casefold()
    return _ALIASES.get(lowered, lowered)


def members_of(name: str) -> tuple[str, ...]:
    """The individual types that a type or an aggregate stands for."""
    canonical = canonical_type(name)
    return FAMILIES.get(canonical, (canonical,))


def covers(granted: str, wanted: str) -> bool:
    """Whether a statement about `granted` reaches the individual type `wanted`."""
    return canonical_type(granted) == ALL_RESOURCES or wanted in members_of(granted)


def permissions_up_to(verb: Verb, resource_type: str) -> frozenset[str] | None:
    """Every permission that a verb gives on a type; None where that is not recorded here."""
    recorded = PERMISSIONS.get(resource_type, {})
    levels = [level for level in Verb if verb.includes(level)]
    if any(level not in recorded for level in levels):
        return None
    return frozenset(permission for level in levels for permission in recorded[level])


def level_of_permission(permission: str) -> tuple[str, Verb] | None:
    """The type and the least verb that carry a permission; None where that is not recorded here."""
    for resource_type, levels in PERMISSIONS.items():
        for verb, permissions in levels.items():
            if permission in permissions:
                return resource_type, verb
    return None


def may_belong_to(permission: str, resource_type: str) -> bool:
    """Whether a permission's name looks like one of a type, as `CERTIFICATE_READ` and `leaf-certificates` do.

    A guess that is only ever used to answer UNKNOWN instead of NO.
    """
    words = _singular(resource_type).upper().split("-")
    stems = ("_".join(words[start:]) for start in range(min(len(words), 2)))
    return any(permission.startswith(stem) for stem in stems)


def _singular(resource_type: str) -> str:
    for plural, singular in (("ies", "y"), ("shes", "sh"), ("s", "")):
        if resource_type.endswith(plural):
            return resource_type.removesuffix(plural) + singular
    return resource_type
