"""The rules that a bundle's manifests have to keep, each checked apart and named with its file.

What OLM installs from a bundle: operator-registry pkg/lib/bundle/supported_resources.go.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.core.errors import ManifestError
from tasks.core.manifests import Manifest
from tasks.core.releases import parse_version

CSV_KIND = "ClusterServiceVersion"
CRD_KIND = "CustomResourceDefinition"
SUPPORTED_KINDS = frozenset(
    {
        CSV_KIND,
        CRD_KIND,
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "ConsoleCLIDownload",
        "ConsoleLink",
        "ConsolePlugin",
        "ConsoleQuickStart",
        "ConsoleYAMLSample",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "PodMonitor",
        "PriorityClass",
        "PrometheusRule",
        "Role",
        "RoleBinding",
        "Secret",
        "Service",
        "ServiceAccount",
        "ServiceMonitor",
        "VerticalPodAutoscaler",
    }
)
"""What an InstallPlan can create; other kinds in a bundle make it fail half way."""

MAX_NODES = 200_000
"""Values in one manifest. YAML aliases let a small file stand for an endless one."""


class InstallMode(StrEnum):
    """Which namespaces an operator can be told to watch (ClusterServiceVersion spec.installModes)."""

    OWN_NAMESPACE = "OwnNamespace"
    SINGLE_NAMESPACE = "SingleNamespace"
    MULTI_NAMESPACE = "MultiNamespace"
    ALL_NAMESPACES = "AllNamespaces"


@dataclass(frozen=True)
class BundleDocument:
    """One manifest and the file it stands in."""

    path: str
    manifest: Manifest


def bundle_error(source: str, path: str, expected: str, found: str = "") -> ManifestError:
    """The error for one file of a bundle."""
    return ManifestError("read the operator's bundle", f"{source}: {path}", expected, found)


def check_plain_json(manifest: Manifest, source: str, path: str) -> None:
    """Only values that JSON has, and not endlessly many of them."""
    pending: list[Any] = [manifest]
    count = 0
    while pending:
        value = pending.pop()
        count += 1
        if count > MAX_NODES:
            found = "more; what a YAML alias stands for counts each time"
            raise bundle_error(source, path, f"at most {MAX_NODES} values", found)
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif not isinstance(value, str | int | float | None):
            raise bundle_error(source, path, "values that JSON has", f"{value!r:.60}; put it in quotes")


def only_csv(documents: Iterable[BundleDocument], source: str) -> BundleDocument:
    """A bundle is one release: exactly one ClusterServiceVersion."""
    found = [document for document in documents if document.manifest["kind"] == CSV_KIND]
    if len(found) != 1:
        names = ", ".join(document.path for document in found) or "none"
        raise bundle_error(source, "manifests", f"exactly one {CSV_KIND}", names)
    return found[0]


def check_unique(documents: Iterable[BundleDocument], source: str) -> None:
    """No two manifests may be the same object."""
    first: dict[str, str] = {}
    for document in documents:
        name = f"{document.manifest['kind']} {document.manifest['metadata']['name']}"
        if name in first:
            found = f"{name} in {first[name]} as well"
            raise bundle_error(source, document.path, "objects that are unique in the bundle", found)
        first[name] = document.path


def check_csv(csv: BundleDocument, source: str) -> None:
    """The parts of a ClusterServiceVersion without which OLM fails only after half of the work."""
    spec = mapping_at(csv.manifest, "spec")
    if parse_version(str(spec.get("version", ""))) is None:
        raise bundle_error(source, csv.path, "spec.version as a semantic version", repr(spec.get("version")))
    modes = supported_modes(csv.manifest)
    if not modes or not modes <= set(InstallMode):
        expected = f"supported spec.installModes out of {', '.join(InstallMode)}"
        raise bundle_error(source, csv.path, expected, ", ".join(sorted(modes)) or "none")
    deployments = {
        str(item.get("name")) for item in items_of(mapping_at(spec, "install", "spec"), "deployments")
    }
    if not deployments:
        raise bundle_error(source, csv.path, "a deployment in spec.install.spec.deployments", "none")
    for webhook in items_of(spec, "webhookdefinitions"):
        if str(webhook.get("deploymentName")) not in deployments:
            expected = f"the deployment of webhook {webhook.get('generateName')} in this bundle"
            raise bundle_error(source, csv.path, expected, repr(webhook.get("deploymentName")))


def check_custom_resources(csv: BundleDocument, documents: Iterable[BundleDocument], source: str) -> None:
    """The CustomResourceDefinitions are those that the ClusterServiceVersion owns, in its versions."""
    definitions = {
        str(document.manifest["metadata"]["name"]): document
        for document in documents
        if document.manifest["kind"] == CRD_KIND
    }
    owned = {str(entry.get("name")): entry for entry in owned_custom_resources(csv.manifest)}
    for name, entry in owned.items():
        if name not in definitions:
            raise bundle_error(source, csv.path, f"the owned {CRD_KIND} {name} in the bundle", "none")
        _check_versions(definitions[name], entry, source)
    unowned = sorted(set(definitions) - set(owned))
    if unowned:
        path = definitions[unowned[0]].path
        raise bundle_error(source, path, f"only a {CRD_KIND} that the {CSV_KIND} owns", unowned[0])


def _check_versions(definition: BundleDocument, entry: Manifest, source: str) -> None:
    versions = [item.get("name") for item in items_of(mapping_at(definition.manifest, "spec"), "versions")]
    if entry.get("version") not in versions:
        found = ", ".join(map(str, versions)) or "none"
        raise bundle_error(source, definition.path, f"the owned version {entry.get('version')}", found)


def supported_modes(csv: Manifest) -> frozenset[str]:
    """The install modes that a ClusterServiceVersion says it supports."""
    modes = items_of(mapping_at(csv, "spec"), "installModes")
    return frozenset(str(mode.get("type")) for mode in modes if mode.get("supported") is True)


def owned_custom_resources(csv: Manifest) -> list[Manifest]:
    """The entries of spec.customresourcedefinitions.owned: name, kind and version of each."""
    return items_of(mapping_at(csv, "spec", "customresourcedefinitions"), "owned")


def mapping_at(parent: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping under a path of keys, empty where something else stands."""
    value: Any = parent
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items_of(parent: Mapping[str, Any], key: str) -> list[Manifest]:
    """The mappings in the list under a key, empty where something else stands."""
    value = parent.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
