"""The namespace an operator may live in (R4): PodSecurity, and neighbours that its Services would select."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest
from tasks.core.ownership import MANAGED_BY
from tasks.core.verification import foreign_pods

ENFORCE_LABEL = "pod-security.kubernetes.io/enforce"
"""Pod Security Admission, KEP-2579."""


def namespace_manifest(name: str, csv: Manifest) -> Manifest:
    """The namespace to create; `privileged` where the operator mounts host paths, as OSOK does (/etc/pki)."""
    level = {ENFORCE_LABEL: "privileged"} if mounts_host_path(csv) else {}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**MANAGED_BY, **level}},
    }


def refuse_unfit_namespace(namespace: Manifest, csv: Manifest) -> None:
    """Check a namespace that exists.

    Raises:
        PrerequisiteError: It is being deleted, or its PodSecurity level forbids the operator's host path.
    """
    name = namespace["metadata"]["name"]
    if namespace["metadata"].get("deletionTimestamp"):
        raise PrerequisiteError("use the namespace", name, "an active namespace", "one that is being deleted")
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE_LABEL, "")
    if level in ("baseline", "restricted") and mounts_host_path(csv):
        raise PrerequisiteError(
            "use the namespace",
            name,
            f"{ENFORCE_LABEL} privileged or unset, since the operator's pods mount a host path",
            level,
            "Choose another namespace, or change the label if you may.",
        )


def refuse_selected_neighbours(
    pods: Iterable[Manifest], selector: Mapping[str, str], deployment: str, namespace: str
) -> None:
    """Check that the operator's Services will select the operator's pods only.

    Args:
        pods: The namespace's pods.
        selector: The selector of the operator's Services; OSOK's `control-plane: controller-manager` is the
            default of a whole family of operators.
        deployment: Name of the operator's own Deployment.
        namespace: Its name, for the message.

    Raises:
        PrerequisiteError: A pod of another owner has those labels; calls would reach the wrong process.
    """
    strangers = foreign_pods(selector, deployment, pods)
    if strangers:
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        raise PrerequisiteError(
            "use the namespace",
            namespace,
            f"no pods of another operator with the labels {labels}, which the webhook Services select",
            ", ".join(f"{pod.name} ({pod.owner})" for pod in sorted(strangers, key=lambda pod: pod.name)),
            "Choose a namespace of its own for the operator.",
        )


def mounts_host_path(csv: Manifest) -> bool:
    """Whether a Deployment of the ClusterServiceVersion mounts a path of the node."""
    return any("hostPath" in volume for volume in _volumes(csv))


def _volumes(csv: Manifest) -> Iterable[Mapping[str, Any]]:
    for deployment in csv["spec"].get("install", {}).get("spec", {}).get("deployments", []):
        yield from deployment["spec"]["template"]["spec"].get("volumes") or []
