"""Operators of a few lines that OLM really installs, so that a test may break one thing about them.

Their programs are images that the rehearsal's node does not know, which run and are ready for ever; an image
with the tag `crash` ends at once, one with `does-not-exist` in its name cannot be pulled.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks.core.bundles import Bundle, read_bundle
from tasks.core.installation import Installation

VERSION = "1.2.3"
_PREFIX = "operators.operatorframework.io.bundle"
_MODES = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")


@dataclass(frozen=True)
class SmallOperator:
    """An operator for all namespaces with one deployment, one kind of its own and no webhook.

    Attributes:
        package: Its package, also the prefix of all its names.
        group: The API group of its kind Pot; empty: one of its own.
        image_tag: The tag of its program's image.
        required_kind: Name of a CRD that another operator has to provide.
        min_kubernetes: The oldest Kubernetes that it says it runs on.
    """

    package: str
    group: str = ""
    image_tag: str = VERSION
    required_kind: str = ""
    min_kubernetes: str = ""

    @property
    def csv_name(self) -> str:
        """The name of its ClusterServiceVersion."""
        return f"{self.package}.v{VERSION}"

    @property
    def crd_name(self) -> str:
        """The name of its CustomResourceDefinition."""
        return f"pots.{self.group or self.package}.example.com"

    def bundle(self) -> Bundle:
        """Its bundle."""
        return read_bundle(self.files(), f"the files of {self.package}")

    def installation(self, namespace: str) -> Installation:
        """Its installation in a namespace, from the CatalogSource `<package>-catalog`."""
        return Installation(namespace, self.package, "stable", self.csv_name, f"{self.package}-catalog")

    def write(self, folder: Path) -> Path:
        """Write its bundle into a folder, as a person brings one by hand; returns the folder."""
        for name, content in self.files().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        return folder

    def files(self) -> dict[str, bytes]:
        """The files of its bundle by path."""
        annotations = {
            f"{_PREFIX}.mediatype.v1": "registry+v1",
            f"{_PREFIX}.manifests.v1": "manifests/",
            f"{_PREFIX}.metadata.v1": "metadata/",
            f"{_PREFIX}.package.v1": self.package,
            f"{_PREFIX}.channels.v1": "stable",
        }
        documents = {
            f"manifests/{self.package}.clusterserviceversion.yaml": self._csv(),
            f"manifests/{self.crd_name}.yaml": self._crd(),
            "metadata/annotations.yaml": {"annotations": annotations},
        }
        return {path: yaml.safe_dump(document).encode() for path, document in documents.items()}

    def profile(self) -> str:
        """The text of a profile file that describes it."""
        release = {
            "github_repository": f"example/{self.package}",
            "bundle_repository": f"registry.example.com/{self.package}/bundle",
            "default_version": VERSION,
            "supported": ">=1,<2",
            "unsupported_reason": "The profile was written for the 1.x line.",
        }
        profile = {
            "name": self.package,
            "title": f"The {self.package} operator",
            "package": self.package,
            "channel": "stable",
            "csv_name": f"{self.package}.v{{version}}",
            "release": release,
            "namespace": f"{self.package}-system",
            "deployment": f"{self.package}-manager",
            "pod_labels": {"app": self.package},
            "install_modes": ["AllNamespaces"],
            "services": [],
            "crds": [{"name": self.crd_name, "kind": "Pot", "version": "v1"}],
            "webhooks": [],
        }
        return yaml.safe_dump(profile)

    def _csv(self) -> dict[str, Any]:
        kinds = {"owned": [{"name": self.crd_name, "kind": "Pot", "version": "v1"}]}
        if self.required_kind:
            kinds["required"] = [{"name": self.required_kind, "kind": "Leaf", "version": "v1"}]
        spec = {
            "displayName": self.package,
            "version": VERSION,
            "installModes": [{"type": mode, "supported": mode == "AllNamespaces"} for mode in _MODES],
            "customresourcedefinitions": kinds,
            "install": {"strategy": "deployment", "spec": {"deployments": [self._deployment()]}},
        }
        if self.min_kubernetes:
            spec["minKubeVersion"] = self.min_kubernetes
        return {
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "ClusterServiceVersion",
            "metadata": {"name": self.csv_name, "namespace": "placeholder"},
            "spec": spec,
        }

    def _deployment(self) -> dict[str, Any]:
        labels = {"app": self.package}
        image = f"registry.example.com/{self.package}/manager:{self.image_tag}"
        # Without it a program that crashes is ready for moments, and OLM would call that a success.
        probe = {"httpGet": {"path": "/readyz", "port": 8081}}
        pod = {"containers": [{"name": "manager", "image": image, "readinessProbe": probe}]}
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
        return {"name": f"{self.package}-manager", "spec": spec}

    def _crd(self) -> dict[str, Any]:
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": self.crd_name},
            "spec": {
                "group": self.crd_name.partition(".")[2],
                "scope": "Namespaced",
                "names": {"kind": "Pot", "listKind": "PotList", "plural": "pots", "singular": "pot"},
                "versions": [version],
            },
        }
