"""The bundle as files: `manifests/` and `metadata/annotations.yaml`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployments.rehearsal.bundle.crds import CRDS, crd_manifest
from deployments.rehearsal.bundle.csv import cluster_service_version
from deployments.rehearsal.bundle.names import (
    CHANNEL,
    HEALTH_PORT,
    MANAGER_CONFIG,
    MESH_CONFIG,
    OSOK_CONFIG,
    PACKAGE,
    POD_LABELS,
    WEBHOOK_PORT,
    WEBHOOK_SERVICE,
)

_LABEL = "operators.operatorframework.io.bundle"


def write_bundle(folder: Path) -> None:
    """Write the bundle into a folder, made when it is missing; files of the same names are replaced."""
    for name, content in bundle_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def bundle_files() -> dict[str, str]:
    """The content of each file by its path inside the bundle."""
    files: dict[str, Mapping[str, Any]] = {
        "metadata/annotations.yaml": {"annotations": bundle_labels()},
        f"manifests/{PACKAGE}.clusterserviceversion.yaml": cluster_service_version(),
        **{f"manifests/{crd.group}_{crd.plural}.yaml": crd_manifest(crd) for crd in CRDS},
        **{
            f"manifests/{each['metadata']['name']}_v1_{each['kind'].lower()}.yaml": each
            for each in _core_objects()
        },
    }
    return {name: _yaml(content) for name, content in files.items()}


def bundle_labels() -> dict[str, str]:
    """The annotations of the bundle, which are also the labels of its image (registry+v1)."""
    return {
        f"{_LABEL}.mediatype.v1": "registry+v1",
        f"{_LABEL}.manifests.v1": "manifests/",
        f"{_LABEL}.metadata.v1": "metadata/",
        f"{_LABEL}.package.v1": PACKAGE,
        f"{_LABEL}.channels.v1": CHANNEL,
    }


def _core_objects() -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": MANAGER_CONFIG},
            "data": {"controller_manager_config.yaml": _manager_config()},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": MESH_CONFIG}},
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": OSOK_CONFIG},
            "type": "Opaque",
            "data": {"useinstanceprincipal": "dHJ1ZQ=="},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": WEBHOOK_SERVICE},
            "spec": {"ports": [{"port": 443, "targetPort": WEBHOOK_PORT}], "selector": POD_LABELS},
        },
    ]


def _manager_config() -> str:
    return _yaml(
        {
            "apiVersion": "controller-runtime.sigs.k8s.io/v1alpha1",
            "kind": "ControllerManagerConfig",
            "health": {"healthProbeBindAddress": f":{HEALTH_PORT}"},
            "metrics": {"bindAddress": "127.0.0.1:8080"},
            "webhook": {"port": WEBHOOK_PORT},
            "leaderElection": {"leaderElect": True, "resourceName": "40558063.oci"},
        }
    )


def _yaml(content: Mapping[str, Any]) -> str:
    # A copy through JSON has no shared parts, which YAML would write as anchors that nobody wants to read.
    return yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False, width=110)
