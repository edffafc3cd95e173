"""Pods that satisfy the restricted Pod Security Standard, as the newer releases of OLM ship them."""

from tasks.core.manifests import Manifest


def restricted(pod: Manifest) -> Manifest:
    """A pod spec with one container, made to satisfy the restricted Pod Security Standard."""
    container = {
        **pod["containers"][0],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        **pod,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }


def with_scratch_folder(pod: Manifest) -> Manifest:
    """A pod spec with one container that gets a writable /tmp."""
    mounts = [{"name": "tmpfs", "mountPath": "/tmp"}]  # noqa: S108 - the container's own emptyDir
    container = {**pod["containers"][0], "volumeMounts": mounts}
    return {**pod, "containers": [container], "volumes": [{"name": "tmpfs", "emptyDir": {}}]}
