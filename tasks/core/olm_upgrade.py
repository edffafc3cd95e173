"""Taking over the objects of an OLM that somebody else installed, or that is another version (R2).

Server-side apply is not enough for it: a field that another manager owns is a conflict, and fields that the
API server filled in for the old version stay (a Deployment that changes from RollingUpdate to Recreate keeps
`rollingUpdate` and is refused). So whole parts of an object are replaced, and metadata is only added to.
"""

from collections.abc import Mapping
from typing import Any

from tasks.core.manifests import Manifest

_REPLACED_NEVER = frozenset({"apiVersion", "kind", "metadata", "status"})
_ADDED_TO = ("labels", "annotations")


def take_over_patch(desired: Manifest, live: Manifest) -> list[Manifest]:
    """The JSON patch (RFC 6902) that makes a live object what a release's manifest says.

    The live resourceVersion is its precondition: an object that changed meanwhile is a conflict.

    Args:
        desired: The release's manifest.
        live: The object as it was read.
    """
    metadata = live["metadata"]
    operations = [_put("/metadata/resourceVersion", metadata["resourceVersion"])]
    for field in _ADDED_TO:
        wanted = desired["metadata"].get(field) or {}
        found: Mapping[str, str] = metadata.get(field) or {}
        if not wanted.items() <= found.items():
            operations.append(_put(f"/metadata/{field}", {**found, **wanted}))
    operations += [_put(f"/{key}", value) for key, value in desired.items() if key not in _REPLACED_NEVER]
    return operations


def _put(path: str, value: Any) -> Manifest:  # noqa: ANN401 - JSON data
    # `add` to a member that exists replaces it (RFC 6902, section 4.1).
    return {"op": "add", "path": path, "value": value}
