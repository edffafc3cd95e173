"""The twelve CustomResourceDefinitions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.rehearsal.bundle.schemas import SPECS, STATUS
from deployments.rehearsal.operator.kinds import MESH_GROUP, MESH_KINDS, MESH_VERSION

SERVICES_GROUP = "oci.oracle.com"
# Oracle's build leaves this mark of cert-manager in, although the bundle has no such Certificate.
_INJECTION_MARK = {
    "cert-manager.io/inject-ca-from": "oci-service-operator-system/oci-service-operator-serving-cert"
}


@dataclass(frozen=True)
class Crd:
    """One custom resource.

    Attributes:
        group: Its API group.
        kind: The kind.
        plural: The resource name; also the singular of AutonomousDatabases, whose kind is a plural.
        annotations: metadata.annotations.
    """

    group: str
    kind: str
    plural: str
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the CustomResourceDefinition."""
        return f"{self.plural}.{self.group}"


CRDS: tuple[Crd, ...] = (
    *(Crd(MESH_GROUP, each.kind, each.plural, _INJECTION_MARK) for each in MESH_KINDS),
    Crd(SERVICES_GROUP, "AutonomousDatabases", "autonomousdatabases", {}),
    Crd(SERVICES_GROUP, "MySqlDbSystem", "mysqldbsystems", {}),
    Crd(SERVICES_GROUP, "Stream", "streams", {}),
)


def crd_manifest(crd: Crd) -> dict[str, Any]:
    """The CustomResourceDefinition as it stands in the bundle."""
    properties = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": SPECS[crd.kind],
        "status": STATUS,
    }
    version = {
        "name": MESH_VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {"status": {}},
    }
    names = {
        "kind": crd.kind,
        "listKind": f"{crd.kind}List",
        "plural": crd.plural,
        "singular": crd.kind.lower(),
    }
    annotations = {"annotations": dict(crd.annotations)} if crd.annotations else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd.name, **annotations},
        "spec": {"group": crd.group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
