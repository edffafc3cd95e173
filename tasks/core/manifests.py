"""Kubernetes manifests as data: reading them, naming them, and finding their REST resource."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import yaml
from typing_extensions import override

from tasks.core.errors import ManifestError

Manifest = dict[str, Any]
"""One Kubernetes object as JSON data. The only place where `Any` stands for the API's own schemas."""


@dataclass(frozen=True, order=True)
class ObjectRef:
    """Names one object of a cluster.

    Attributes:
        api_version: `v1` or `group/version`.
        kind: The kind in the API's spelling.
        name: metadata.name.
        namespace: metadata.namespace, empty for cluster-scoped objects.
    """

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    @override
    def __str__(self) -> str:
        """Kind and name as kubectl users read them: `Deployment olm/olm-operator`."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"

    @property
    def group(self) -> str:
        """The API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]


@dataclass(frozen=True)
class ResourceType:
    """The REST resource of a kind (Kubernetes API concepts, "Resource URIs")."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "") -> str:
        """The URL path of the collection, or of one object when `name` is given."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        place = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{place}/{self.plural}" + (f"/{name}" if name else "")


def _types(api_version: str, *, namespaced: bool, **kinds: str) -> list[ResourceType]:
    return [ResourceType(api_version, kind, plural, namespaced) for kind, plural in kinds.items()]


RESOURCE_TYPES: Mapping[tuple[str, str], ResourceType] = {
    (resource.api_version, resource.kind): resource
    for resource in [
        *_types("v1", namespaced=False, Namespace="namespaces", Node="nodes"),
        *_types(
            "v1",
            namespaced=True,
            ConfigMap="configmaps",
            Endpoints="endpoints",
            Event="events",
            Pod="pods",
            Secret="secrets",  # noqa: S106 - the plural name of a resource, not a password
            Service="services",
            ServiceAccount="serviceaccounts",
        ),
        *_types("apps/v1", namespaced=True, Deployment="deployments", ReplicaSet="replicasets"),
        *_types("batch/v1", namespaced=True, Job="jobs"),
        *_types("discovery.k8s.io/v1", namespaced=True, EndpointSlice="endpointslices"),
        *_types("networking.k8s.io/v1", namespaced=True, NetworkPolicy="networkpolicies"),
        *_types("policy/v1", namespaced=True, PodDisruptionBudget="poddisruptionbudgets"),
        *_types(
            "rbac.authorization.k8s.io/v1",
            namespaced=False,
            ClusterRole="clusterroles",
            ClusterRoleBinding="clusterrolebindings",
        ),
        *_types("rbac.authorization.k8s.io/v1", namespaced=True, Role="roles", RoleBinding="rolebindings"),
        *_types(
            "apiextensions.k8s.io/v1", namespaced=False, CustomResourceDefinition="customresourcedefinitions"
        ),
        *_types("apiregistration.k8s.io/v1", namespaced=False, APIService="apiservices"),
        *_types(
            "admissionregistration.k8s.io/v1",
            namespaced=False,
            ValidatingWebhookConfiguration="validatingwebhookconfigurations",
            MutatingWebhookConfiguration="mutatingwebhookconfigurations",
        ),
        *_types(
            "authorization.k8s.io/v1", namespaced=False, SelfSubjectAccessReview="selfsubjectaccessreviews"
        ),
        *_types("authentication.k8s.io/v1", namespaced=False, SelfSubjectReview="selfsubjectreviews"),
        *_types(
            "certificates.k8s.io/v1", namespaced=False, CertificateSigningRequest="certificatesigningrequests"
        ),
        *_types("operators.coreos.com/v1", namespaced=False, OLMConfig="olmconfigs"),
        *_types("operators.coreos.com/v1", namespaced=True, OperatorGroup="operatorgroups"),
        *_types(
            "operators.coreos.com/v1alpha1",
            namespaced=True,
            CatalogSource="catalogsources",
            ClusterServiceVersion="clusterserviceversions",
            InstallPlan="installplans",
            Subscription="subscriptions",
        ),
    ]
}
"""The kinds that every cluster of a fleet serves: naming them here saves a discovery request per group."""


def ref_of(manifest: Mapping[str, Any]) -> ObjectRef:
    """Name an object.

    Raises:
        ManifestError: apiVersion, kind or metadata.name is missing.
    """
    metadata = manifest.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    values = {
        "apiVersion": manifest.get("apiVersion"),
        "kind": manifest.get("kind"),
        "metadata.name": metadata.get("name"),
    }
    missing = [field for field, value in values.items() if not isinstance(value, str) or not value]
    if missing:
        known = ", ".join(f"{field}={value}" for field, value in values.items() if value)
        raise ManifestError(
            "name a Kubernetes object", known, expected=f"the field {' and '.join(missing)}", found="nothing"
        )
    return ObjectRef(
        str(values["apiVersion"]), str(values["kind"]), metadata["name"], metadata.get("namespace") or ""
    )


def read_manifests(text: str, source: str) -> list[Manifest]:
    """Read a multi-document YAML (or JSON) file; `List` objects are opened, empty documents dropped.

    Args:
        text: The file's content.
        source: Where it came from, for messages.

    Raises:
        ManifestError: It is not YAML, or a document is not a named Kubernetes object.
    """
    try:
        documents = list(yaml.load_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise ManifestError("read manifests", source, "YAML documents", f"{error}"[:300]) from error
    return list(_objects(documents, source))


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml is optional
    """Reads what Kubernetes reads: `createdAt: 2023-07-06` is a string there, not a date."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _objects(documents: list[Any], source: str) -> Iterator[Manifest]:
    for position, document in enumerate(documents, start=1):
        if document is None:
            continue
        if not isinstance(document, dict):
            raise ManifestError(
                "read manifests",
                f"{source}, document {position}",
                "a mapping",
                f"a {type(document).__name__}",
            )
        if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
            yield from _objects(document["items"], source)
            continue
        ref_of(document)
        yield document


def creation_time(manifest: Manifest) -> str:
    """When an object was made, to sort by: RFC 3339 in UTC with seconds; empty when it is not known."""
    return str(manifest["metadata"].get("creationTimestamp", ""))


def sha256_hex(content: bytes) -> str:
    """The SHA-256 of some bytes in lower-case hexadecimal."""
    return hashlib.sha256(content).hexdigest()
