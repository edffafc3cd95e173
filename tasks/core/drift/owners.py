"""Who owns a field of a live object, read off metadata.managedFields.

Format: Kubernetes API, FieldsV1 (structured-merge-diff v6, fieldpath/serialize-pe.go): `f:<name>` is a field,
`k:{…}` the element of a list by its keys, `v:…` an element of a set, `i:<n>` a position.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from tasks.core.drift.items import FieldOwner
from tasks.core.manifests import Manifest


def owner_of(live: Manifest, pointer: str) -> FieldOwner | None:
    """The manager that owns a field, or the deepest thing around it that anybody owns as a whole.

    Args:
        live: The object as the API server returned it.
        pointer: JSON pointer; a segment in a list is a position, or the `name` of an element.

    Returns:
        The owner that wrote last when there are several; None when nobody owns it, as after its removal.
    """
    path = segments(pointer)
    entries = live.get("metadata", {}).get("managedFields") or []
    owners = [_owner(entry) for entry in entries if _owns(entry.get("fieldsV1") or {}, live, path)]
    return max(owners, key=lambda owner: owner.at.isoformat() if owner.at else "", default=None)


def segments(pointer: str) -> tuple[str, ...]:
    """The unescaped segments of a JSON pointer (RFC 6901 section 4)."""
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])


def _owner(entry: Mapping[str, Any]) -> FieldOwner:
    time = entry.get("time")
    return FieldOwner(
        manager=str(entry.get("manager", "")),
        operation=str(entry.get("operation", "")),
        at=datetime.fromisoformat(time) if isinstance(time, str) else None,
    )


def _owns(fields: Mapping[str, Any], live: Any, path: tuple[str, ...]) -> bool:  # noqa: ANN401 - JSON data
    if not path:
        return True
    head, *rest = path
    for key, value in _steps_to(fields, live, head):
        # Nothing below it: the field is owned as a whole (an atomic list or map).
        if not fields[key] or _owns(fields[key], value, tuple(rest)):
            return True
    return False


def _steps_to(fields: Mapping[str, Any], live: Any, head: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON data
    if isinstance(live, Mapping):
        if f"f:{head}" in fields:
            yield f"f:{head}", live.get(head)
    elif isinstance(live, list):
        for position, element in enumerate(live):
            named = isinstance(element, Mapping) and element.get("name") == head
            if named or str(position) == head:
                yield from ((key, element) for key in fields if _means(key, element, position))
    elif f"f:{head}" in fields:
        yield f"f:{head}", None


def _means(key: str, element: Any, position: int) -> bool:  # noqa: ANN401 - JSON data
    kind, _, text = key.partition(":")
    match kind:
        case "k":
            wanted: Mapping[str, Any] = json.loads(text)
            return isinstance(element, Mapping) and wanted.items() <= element.items()
        case "v":
            return bool(json.loads(text) == element)
        case "i":
            return text == str(position)
        case _:
            return False
