"""Whether a live object already says what a manifest asks for, looking only at what the manifest names.

Fields that a manifest leaves out belong to somebody else (defaults, controllers, other field managers) and
are never compared. Elements of lists that carry a `name` are matched by it, as server-side apply does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NEVER_COMPARED = frozenset({"status", "creationTimestamp", "resourceVersion", "uid", "managedFields"})


@dataclass(frozen=True)
class Difference:
    """One field that is not as it should be.

    Attributes:
        pointer: JSON pointer (RFC 6901) of the field.
        expected: What the manifest says.
        found: What the live object says; None when the field is absent.
    """

    pointer: str
    expected: Any
    found: Any

    def summary(self, limit: int = 120) -> str:
        """One line for reports, long values shortened."""
        return f"{self.pointer}: expected {_short(self.expected, limit)}, found {_short(self.found, limit)}"


def differences(desired: Mapping[str, Any], live: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Every field that `desired` names and `live` does not have with that value."""
    wanted = {key: value for key, value in desired.items() if key not in _NEVER_COMPARED}
    return tuple(_compare(wanted, live, ""))


def _compare(desired: Any, live: Any, pointer: str) -> Iterator[Difference]:  # noqa: ANN401 - JSON data
    # Most of what is compared is equal, and Python finds that out many times faster than this function.
    if desired == live:
        return
    # null asks for nothing: generators write it where a field has no value (`creationTimestamp: null`).
    if desired is None or (_is_absent(desired) and _is_absent(live)):
        return
    if isinstance(desired, Mapping) and isinstance(live, Mapping):
        for key, value in desired.items():
            if key not in _NEVER_COMPARED or pointer:
                yield from _compare(value, live.get(key), f"{pointer}/{pointer_segment(key)}")
    elif isinstance(desired, list) and isinstance(live, list):
        yield from _compare_lists(desired, live, pointer)
    else:
        yield Difference(pointer, desired, live)


def _compare_lists(desired: list[Any], live: list[Any], pointer: str) -> Iterator[Difference]:
    if all(isinstance(item, Mapping) and "name" in item for item in [*desired, *live]):
        by_name = {item["name"]: item for item in live}
        for item in desired:
            yield from _compare(item, by_name.get(item["name"]), f"{pointer}/{pointer_segment(item['name'])}")
    elif len(desired) != len(live):
        yield Difference(pointer, desired, live)
    else:
        for position, (wanted, found) in enumerate(zip(desired, live, strict=True)):
            yield from _compare(wanted, found, f"{pointer}/{position}")


def _is_absent(value: Any) -> bool:  # noqa: ANN401 - JSON data
    # The API server drops empty maps, lists and nulls from many fields, so both spellings mean "not set".
    return value is None or value in ({}, [])


def pointer_segment(key: object) -> str:
    """A key as one segment of a JSON pointer (RFC 6901 section 3)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _short(value: object, limit: int) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
