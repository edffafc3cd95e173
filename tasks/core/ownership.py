"""How this product marks what it makes in a cluster."""

from collections.abc import Mapping

from tasks.core.manifests import Manifest

MANAGED_BY: Mapping[str, str] = {"app.kubernetes.io/managed-by": "osok-fleet"}
"""The label on every object that this product creates and owns."""


def is_ours(manifest: Manifest) -> bool:
    """Whether an object carries our label."""
    labels = manifest["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in MANAGED_BY.items())


def marked_as_ours(manifest: Manifest) -> Manifest:
    """A copy of a manifest with our label."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **MANAGED_BY}}}
