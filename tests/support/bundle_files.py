"""A small operator bundle as files, for tests that change one thing about it, and where the real one is."""

from pathlib import Path
from typing import Any

import pytest
import yaml

REAL_BUNDLE = Path(__file__).parents[3] / "shared" / "osok-1.1.9-bundle"
"""The operator's published bundle, where it lies beside the checkout."""
NEEDS_REAL_BUNDLE = pytest.mark.skipif(
    not REAL_BUNDLE.is_dir(), reason="the OSOK 1.1.9 bundle is not in ../shared"
)

ANNOTATIONS = {
    "operators.operatorframework.io.bundle.mediatype.v1": "registry+v1",
    "operators.operatorframework.io.bundle.manifests.v1": "manifests/",
    "operators.operatorframework.io.bundle.metadata.v1": "metadata/",
    "operators.operatorframework.io.bundle.package.v1": "tea",
    "operators.operatorframework.io.bundle.channels.v1": "alpha",
}


def csv_manifest() -> dict[str, Any]:
    """A ClusterServiceVersion with one owned kind, one deployment and one webhook."""
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": "tea.v1.2.3"},
        "spec": {
            "version": "1.2.3",
            "installModes": [
                {"type": "AllNamespaces", "supported": True},
                {"type": "OwnNamespace", "supported": False},
            ],
            "customresourcedefinitions": {
                "owned": [{"name": "pots.tea.example.com", "kind": "Pot", "version": "v1"}]
            },
            "install": {
                "strategy": "deployment",
                "spec": {"deployments": [{"name": "tea-manager", "spec": {}}]},
            },
            "webhookdefinitions": [{"generateName": "pot.tea.example.com", "deploymentName": "tea-manager"}],
        },
    }


def crd_manifest() -> dict[str, Any]:
    """The CustomResourceDefinition that `csv_manifest` owns."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "pots.tea.example.com"},
        "spec": {
            "group": "tea.example.com",
            "names": {"kind": "Pot", "plural": "pots"},
            "versions": [{"name": "v1"}],
        },
    }


def bundle_files(
    csv: dict[str, Any] | None = None,
    crd: dict[str, Any] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, bytes]:
    """The files of the bundle, with parts of it replaced."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tea-config"}}
    documents: dict[str, Any] = {
        "manifests/tea.clusterserviceversion.yaml": csv or csv_manifest(),
        "manifests/tea.example.com_pots.yaml": crd or crd_manifest(),
        "manifests/tea-config_v1_secret.yaml": secret,
        "metadata/annotations.yaml": {"annotations": ANNOTATIONS if annotations is None else annotations},
    }
    return {path: yaml.safe_dump(document).encode() for path, document in documents.items()}
