"""Objects compared with their manifests, field by field, where the manifest says something."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.core.comparison import Difference, differences, pointer_segment
from tasks.core.drift.expectation import CRD_KIND
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.owners import owner_of, segments
from tasks.core.manifests import Manifest, ObjectRef, ref_of

_SHOWN = 160
_LABELS = ("/metadata/labels", "/metadata/annotations")


def compare(manifest: Manifest, live: Manifest | None) -> Iterator[DriftItem]:
    """What an object lacks of its manifest, and what a CRD has beyond it.

    Fields that the manifest does not name belong to others and are not looked at. The values of a Secret are
    never compared: a person may fill it in.
    """
    ref = ref_of(manifest)
    if live is None:
        yield DriftItem(
            kind=DriftKind.MISSING,
            ref=ref,
            expected="the object",
            found="no such object",
            severity=DriftSeverity.CRITICAL,
        )
        return
    wanted = _without_values(manifest) if ref.kind == "Secret" else manifest
    for difference in differences(wanted, live):
        yield field_item(ref, live, difference)
    if ref.kind == CRD_KIND:
        yield from _beyond(ref, manifest, live)


def field_item(
    ref: ObjectRef, live: Manifest, difference: Difference, severity: DriftSeverity | None = None
) -> DriftItem:
    """A difference as drift, with the owner of the field."""
    pointer = exact_pointer(live, difference.pointer)
    absent = difference.found is None
    return DriftItem(
        kind=DriftKind.MISSING if absent else DriftKind.CHANGED,
        ref=ref,
        field=pointer,
        expected=shown(difference.expected),
        found=shown(difference.found),
        owner=None if absent else owner_of(live, pointer),
        severity=severity or _severity(pointer),
    )


def unexpected_field(
    ref: ObjectRef, live: Manifest, pointer: str, found: object, severity: DriftSeverity
) -> DriftItem:
    """Something inside an object that should not be there."""
    return DriftItem(
        kind=DriftKind.UNEXPECTED,
        ref=ref,
        field=pointer,
        expected="nothing",
        found=shown(found),
        owner=owner_of(live, pointer),
        severity=severity,
    )


def unexpected_object(
    live: Manifest, expected: str, found: str, severity: DriftSeverity = DriftSeverity.WARNING
) -> DriftItem:
    """An object that should not be there; its owner is who wrote it first."""
    entries = sorted(live["metadata"].get("managedFields") or [], key=lambda entry: str(entry.get("time")))
    creator = {**live, "metadata": {**live["metadata"], "managedFields": entries[:1]}}
    return DriftItem(
        kind=DriftKind.UNEXPECTED,
        ref=ref_of(live),
        expected=expected,
        found=found,
        owner=owner_of(creator, ""),
        severity=severity,
    )


def exact_pointer(live: Manifest, pointer: str) -> str:
    """A pointer whose segments in lists are positions; elements that are not there keep their name."""
    value: Any = live
    parts = []
    for segment in segments(pointer):
        step: int | str = segment
        if isinstance(value, list):
            names = [each.get("name") if isinstance(each, Mapping) else None for each in value]
            step = names.index(segment) if segment in names else segment
        parts.append(pointer_segment(step))
        value = _inside(value, step)
    return "".join(f"/{part}" for part in parts)


def shown(value: object) -> str:
    """A value as a report shows it."""
    text = "nothing" if value is None else value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _inside(value: Any, step: int | str) -> Any:  # noqa: ANN401 - JSON data
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and str(step).isdigit():
        return value[int(step)] if int(step) < len(value) else None
    return None


def _without_values(secret: Manifest) -> Manifest:
    return {key: value for key, value in secret.items() if key not in ("data", "stringData")}


def _severity(pointer: str) -> DriftSeverity:
    return DriftSeverity.NOTE if pointer.startswith(_LABELS) else DriftSeverity.WARNING


def _beyond(ref: ObjectRef, manifest: Manifest, live: Manifest) -> Iterator[DriftItem]:
    """Versions and schema of a CRD belong to whoever brings it, so nothing may be added to them either."""
    wanted = {version["name"]: version for version in manifest["spec"]["versions"]}
    for position, version in enumerate(live["spec"]["versions"]):
        place = f"/spec/versions/{position}"
        if version["name"] not in wanted:
            yield unexpected_field(ref, live, place, version["name"], DriftSeverity.WARNING)
            continue
        schema = wanted[version["name"]].get("schema") or {}
        for pointer, found in _added(schema, version.get("schema") or {}, f"{place}/schema"):
            yield unexpected_field(ref, live, pointer, found, DriftSeverity.WARNING)


def _added(wanted: Any, live: Any, pointer: str) -> Iterable[tuple[str, Any]]:  # noqa: ANN401 - JSON data
    if not isinstance(wanted, Mapping) or not isinstance(live, Mapping):
        return
    for key, value in live.items():
        place = f"{pointer}/{pointer_segment(key)}"
        if key in wanted:
            yield from _added(wanted[key], value, place)
        elif value not in ({}, [], None):
            yield place, value
