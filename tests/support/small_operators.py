"""Operators of a few lines that OLM really installs, so that a test may break one thing about them.

Their programs are images that the rehearsal's node does not know, which run and are ready for ever; an image
with the tag `crash` ends at once, one with `does-not-exist` in its name cannot be pulled.
"""

from pathlib import Path
from typing import Any

import yaml

from tasks.core.bundles import Bundle, read_bundle
from tasks.core.installation import Installation

VERSION = "1.2.3"
_PREFIX = "operators.operatorframework.io.bundle"


def small_csv(package: str, **spec: object) -> dict[str, Any]:
    """A ClusterServiceVersion for all namespaces with one deployment and one kind of its own.

    Args:
        package: Its package, also the name of the kind's group and the prefix of all its names.
        spec: Fields of `spec` to set or replace.
    """
    modes = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": f"{package}.v{VERSION}", "namespace": "placeholder"},
        "spec": {
            "displayName": package,
            "version": VERSION,
            "installModes": [{"type": mode, "supported": mode == "AllNamespaces"} for mode in modes],
            "customresourcedefinitions": {
                "owned": [{"name": f"pots.{package}.example.com", "kind": "Pot", "version": "v1"}]
            },
            "install": {"strategy": "deployment", "spec": {"deployments": [_deployment(package)]}},
            **spec,
        },
    }


def small_bundle_files(package: str, csv: dict[str, Any] | None = None) -> dict[str, bytes]:
    """The files of its bundle: ClusterServiceVersion, CRD and annotations."""
    documents: dict[str, Any] = {
        f"manifests/{package}.clusterserviceversion.yaml": csv or small_csv(package),
        f"manifests/{package}.example.com_pots.yaml": _crd(package),
        "metadata/annotations.yaml": {
            "annotations": {
                f"{_PREFIX}.mediatype.v1": "registry+v1",
                f"{_PREFIX}.manifests.v1": "manifests/",
                f"{_PREFIX}.metadata.v1": "metadata/",
                f"{_PREFIX}.package.v1": package,
                f"{_PREFIX}.channels.v1": "stable",
            }
        },
    }
    return {path: yaml.safe_dump(document).encode() for path, document in documents.items()}


def small_bundle(package: str, csv: dict[str, Any] | None = None) -> Bundle:
    """Its bundle."""
    return read_bundle(small_bundle_files(package, csv), f"the files of {package}")


def write_small_bundle(folder: Path, package: str) -> Path:
    """Write its bundle into a folder, as a person brings one by hand; returns the folder."""
    for name, content in small_bundle_files(package).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def small_profile(package: str) -> str:
    """Its operator profile as a file's text: no webhooks, no Services, one CRD."""
    profile = {
        "name": package,
        "title": f"The {package} operator",
        "package": package,
        "channel": "stable",
        "csv_name": f"{package}.v{{version}}",
        "release": {
            "github_repository": f"example/{package}",
            "bundle_repository": f"registry.example.com/{package}/bundle",
            "default_version": VERSION,
            "supported": ">=1,<2",
            "unsupported_reason": "The profile was written for the 1.x line.",
        },
        "namespace": f"{package}-system",
        "deployment": f"{package}-manager",
        "pod_labels": {"app": package},
        "install_modes": ["AllNamespaces"],
        "services": [],
        "crds": [{"name": f"pots.{package}.example.com", "kind": "Pot", "version": "v1"}],
        "webhooks": [],
    }
    return yaml.safe_dump(profile)


def small_installation(package: str, namespace: str) -> Installation:
    """Its installation in a namespace, from the CatalogSource `<package>-catalog`."""
    return Installation(namespace, package, "stable", f"{package}.v{VERSION}", f"{package}-catalog")


def _deployment(package: str) -> dict[str, Any]:
    labels = {"app": package}
    container = {"name": "manager", "image": f"registry.example.com/{package}/manager:{VERSION}"}
    return {
        "name": f"{package}-manager",
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _crd(package: str) -> dict[str, Any]:
    group = f"{package}.example.com"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"pots.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": "Pot", "listKind": "PotList", "plural": "pots", "singular": "pot"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }
