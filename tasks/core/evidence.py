"""Evidence of what was asked, shown, decided, issued, published and proven: hash-chained records, no secrets.

Each record carries the SHA-256 of the one before it, so that nothing can be changed, dropped from the middle
or put in between without `verify` seeing it. What a chain alone cannot show is a missing end, or a chain that
was written anew: keep the last digest (`head_of`) where the records are not, and give it to `verify`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tasks.core.certificates.secrecy import find_secret
from tasks.core.errors import InputError
from tasks.core.manifests import sha256_hex

START = "0" * 64
"""What the first record has instead of a digest before it."""

Facts = Mapping[str, Any]
"""JSON data: texts, whole numbers, booleans, null, lists and mappings with text keys. No floats."""


class EvidenceEvent(StrEnum):
    """What a record is about."""

    STARTED = "STARTED"
    ASKED = "ASKED"
    """A request object was created."""
    SHOWN = "SHOWN"
    """What the approver saw."""
    DECIDED = "DECIDED"
    """Claimed approver, reason, time, and how the decision came."""
    REFUSED = "REFUSED"
    """The policy refused something."""
    ISSUED = "ISSUED"
    PUBLISHED = "PUBLISHED"
    PROVEN = "PROVEN"
    ROLLED_BACK = "ROLLED_BACK"
    FINISHED = "FINISHED"


class EvidenceState(StrEnum):
    """What a verification found."""

    INTACT = "INTACT"
    EMPTY = "EMPTY"
    CHANGED = "CHANGED"
    """A record's content does not have its digest."""
    BROKEN = "BROKEN"
    """A record does not follow the one before it: dropped, moved or inserted."""
    CUT = "CUT"
    """The chain is sound, but its last digest is not the one that was kept."""
    HAS_SECRET = "HAS_SECRET"  # noqa: S105 - a finding, not a password


@dataclass(frozen=True)
class EvidenceRecord:
    """One record.

    Attributes:
        position: 0 for the first one.
        at: When, UTC, ISO 8601 with seconds.
        event: What it is about.
        subject: Which cluster and object.
        facts: What was seen or done.
        previous: The digest of the record before it, `START` for the first.
        digest: SHA-256 of the canonical JSON of all other fields.
    """

    position: int
    at: str
    event: EvidenceEvent
    subject: str
    facts: Facts
    previous: str
    digest: str


@dataclass(frozen=True)
class EvidenceVerdict:
    """The outcome of a verification.

    Attributes:
        state: Intact or not.
        position: The first record that is wrong, -1 when none is.
        message: What is wrong with it.
    """

    state: EvidenceState
    position: int = -1
    message: str = ""


def append(
    records: Sequence[EvidenceRecord], event: EvidenceEvent, subject: str, facts: Facts, now: datetime
) -> tuple[EvidenceRecord, ...]:
    """Add one record.

    Args:
        records: The chain so far.
        event: What happened.
        subject: Which cluster and object.
        facts: JSON data without key material.
        now: The time, aware.

    Raises:
        InputError: The facts have a secret, or a value that has no canonical JSON.
    """
    content = _content(len(records), event, subject, facts, now)
    content["previous"] = head_of(records)
    if place := find_secret({"subject": subject, "facts": facts}):
        raise InputError(
            "keep evidence",
            f"{event} {subject}"[:200] if not place.startswith("subject") else event,
            "facts without secrets",
            place,
            "Record fingerprints, serial numbers and names instead.",
        )
    record = EvidenceRecord(**content, digest=_digest(content))
    return (*records, record)


def head_of(records: Sequence[EvidenceRecord]) -> str:
    """The digest that the next record builds on: keep it apart from the records."""
    return records[-1].digest if records else START


def verify(records: Sequence[EvidenceRecord], head: str = "") -> EvidenceVerdict:
    """Check a chain, offline.

    Args:
        records: The records in their order.
        head: The last digest that was kept elsewhere; without it a missing end cannot be seen.
    """
    if not records:
        return EvidenceVerdict(EvidenceState.EMPTY, message="there is no record")
    previous = START
    for position, record in enumerate(records):
        if difference := _difference(record):
            return EvidenceVerdict(EvidenceState.CHANGED, position, difference)
        if record.position != position or record.previous != previous:
            text = f"it is number {record.position} and follows {record.previous}, not {previous}"
            return EvidenceVerdict(EvidenceState.BROKEN, position, text)
        if place := find_secret({"subject": record.subject, "facts": record.facts}):
            return EvidenceVerdict(EvidenceState.HAS_SECRET, position, place)
        previous = record.digest
    if head and head != previous:
        text = f"the last digest is {previous}, kept was {head}"
        return EvidenceVerdict(EvidenceState.CUT, len(records) - 1, text)
    return EvidenceVerdict(EvidenceState.INTACT)


def write_records(records: Sequence[EvidenceRecord]) -> str:
    """The chain as JSON lines, one canonical record each."""
    return "".join(f"{canonical_json(asdict(record))}\n" for record in records)


def read_records(text: str) -> tuple[EvidenceRecord, ...]:
    """Read what `write_records` wrote; whether it is true is for `verify` to say.

    Raises:
        InputError: A line is no record.
    """
    # Not splitlines(): texts may have other line separators of Unicode in them.
    lines = enumerate(text.split("\n"), start=1)
    return tuple(_read(line, number) for number, line in lines if line.strip())


def canonical_json(value: Any) -> str:  # noqa: ANN401 - any JSON data
    """One text for one value: keys sorted, no blanks, UTF-8 as it is.

    Raises:
        InputError: It has a float, a key that is no text, or something that is no JSON.
    """
    _check_json(value, "")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _content(
    position: int, event: EvidenceEvent, subject: str, facts: Facts, now: datetime
) -> dict[str, Any]:
    at = now.astimezone(UTC).isoformat(timespec="seconds")
    # Through JSON and back: the record has its own copy, lists instead of tuples, texts instead of enums.
    copied: Facts = json.loads(canonical_json(dict(facts)))
    return {"position": position, "at": at, "event": event, "subject": subject, "facts": copied}


def _digest(content: Mapping[str, Any]) -> str:
    return sha256_hex(canonical_json(dict(content)).encode())


def _difference(record: EvidenceRecord) -> str:
    """How a record's content and its digest differ, nothing when they agree."""
    content = asdict(record)
    del content["digest"]
    try:
        computed = _digest(content)
    except InputError as error:
        return f"{error.subject} has {error.found}, which no record can have"
    return "" if computed == record.digest else f"its content has the digest {computed}, not {record.digest}"


def _read(line: str, number: int) -> EvidenceRecord:
    try:
        content = json.loads(line)
        return EvidenceRecord(**{**content, "event": EvidenceEvent(content["event"])})
    except (ValueError, TypeError, KeyError) as error:
        raise InputError("read evidence", f"line {number}", "one record as JSON", f"{error}"[:200]) from error


def _check_json(value: Any, place: str) -> None:  # noqa: ANN401 - any JSON data
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise _not_canonical(place, f"a key that is a {type(key).__name__}")
            _check_json(key, f"{place} (a key)")
            _check_json(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            _check_json(inner, f"{place}[{number}]")
    elif isinstance(value, str):
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            raise _not_canonical(place, "half a character (a lone surrogate)")
    elif not (value is None or isinstance(value, bool | int)):
        raise _not_canonical(place, f"a {type(value).__name__}")


def _not_canonical(place: str, found: str) -> InputError:
    return InputError("keep evidence", place.removeprefix("."), "JSON data without floats", found)
