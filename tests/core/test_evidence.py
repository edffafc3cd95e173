"""The chain of evidence: what was changed, dropped, moved or cut is seen (issue 4, evidence)."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.secrecy import find_secret
from tasks.core.errors import InputError
from tasks.core.evidence import (
    START,
    EvidenceEvent,
    EvidenceRecord,
    EvidenceState,
    append,
    canonical_json,
    head_of,
    read_records,
    verify,
    write_records,
)
from tasks.core.manifests import sha256_hex

NOW = datetime(2026, 11, 20, 12, 0, 0, 999, tzinfo=UTC)
FACTS = {"approver": "Ada", "reason": "planned", "usages": ("server auth",), "count": 2, "cut": None}


def _chain(length: int = 4) -> tuple[EvidenceRecord, ...]:
    records: tuple[EvidenceRecord, ...] = ()
    for number, event in enumerate(list(EvidenceEvent)[:length]):
        records = append(
            records, event, "fra-1", {**FACTS, "number": number}, NOW + timedelta(seconds=number)
        )
    return records


CHAIN = _chain()


def test_a_chain_is_intact() -> None:
    assert verify(CHAIN).state is EvidenceState.INTACT
    assert verify(CHAIN, head_of(CHAIN)).state is EvidenceState.INTACT


def test_a_record_follows_the_one_before_it() -> None:
    assert CHAIN[0].previous == START
    assert [record.previous for record in CHAIN[1:]] == [record.digest for record in CHAIN[:-1]]


def test_the_digest_can_be_computed_by_anybody() -> None:
    """SHA-256 of the canonical JSON of the other fields."""
    record = append((), EvidenceEvent.DECIDED, "fra-1", {"b": 1, "a": "ä"}, NOW)[0]

    text = (
        '{"at":"2026-11-20T12:00:00+00:00","event":"DECIDED","facts":{"a":"ä","b":1},"position":0,'
        f'"previous":"{START}","subject":"fra-1"}}'
    )
    assert record.digest == sha256_hex(text.encode())


def test_times_are_told_in_utc() -> None:
    berlin = datetime(2026, 11, 20, 13, tzinfo=timezone(timedelta(hours=1)))

    assert append((), EvidenceEvent.ASKED, "x", {}, berlin)[0].at == "2026-11-20T12:00:00+00:00"


def test_no_record_is_no_evidence() -> None:
    assert verify(()).state is EvidenceState.EMPTY
    assert head_of(()) == START


TAMPERED: dict[str, tuple[Sequence[EvidenceRecord], EvidenceState, int]] = {
    "a fact changed": (
        (*CHAIN[:2], replace(CHAIN[2], facts={**FACTS, "approver": "Eve"}), CHAIN[3]),
        EvidenceState.CHANGED,
        2,
    ),
    "a time changed": (
        (replace(CHAIN[0], at="2026-11-21T12:00:00+00:00"), *CHAIN[1:]),
        EvidenceState.CHANGED,
        0,
    ),
    "one dropped": ((CHAIN[0], *CHAIN[2:]), EvidenceState.BROKEN, 1),
    "the first dropped": (CHAIN[1:], EvidenceState.BROKEN, 0),
    "two exchanged": ((CHAIN[0], CHAIN[2], CHAIN[1], CHAIN[3]), EvidenceState.BROKEN, 1),
    "one twice": ((*CHAIN[:2], CHAIN[1], *CHAIN[2:]), EvidenceState.BROKEN, 2),
    "one of another chain": (
        (*CHAIN[:3], append((), EvidenceEvent.PROVEN, "x", {}, NOW)[0]),
        EvidenceState.BROKEN,
        3,
    ),
    "the end cut off": (CHAIN[:3], EvidenceState.CUT, 2),
    "written anew": (_chain(3), EvidenceState.CUT, 2),
}


@pytest.mark.parametrize(("records", "state", "position"), TAMPERED.values(), ids=TAMPERED)
def test_tampering_is_seen_where_it_is(
    records: Sequence[EvidenceRecord], state: EvidenceState, position: int
) -> None:
    verdict = verify(records, head_of(CHAIN))

    assert (verdict.state, verdict.position) == (state, position)
    assert verdict.message


def test_a_value_that_no_record_can_have_is_a_change() -> None:
    verdict = verify(read_records(write_records(CHAIN).replace('"count":2', '"count":2.5')))

    assert (verdict.state, verdict.position) == (EvidenceState.CHANGED, 0)
    assert verdict.message == "facts.count has a float, which no record can have"


def test_a_secret_that_came_in_another_way_is_seen() -> None:
    """Somebody wrote a consistent chain by other means."""
    facts = {"key": "-----BEGIN PRIVATE KEY-----"}
    content = {"position": 0, "at": "x", "event": "ASKED", "subject": "x", "facts": facts, "previous": START}
    record = EvidenceRecord(
        0, "x", EvidenceEvent.ASKED, "x", facts, START, sha256_hex(canonical_json(content).encode())
    )

    assert verify([record]).state is EvidenceState.HAS_SECRET


def test_a_chain_survives_its_file() -> None:
    text = write_records(CHAIN)

    assert read_records(text) == CHAIN
    assert text.count("\n") == len(CHAIN)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
# Hypothesis finds words that only secrets have in our sources.
FACT = st.dictionaries(st.text(alphabet="abcdefgh", min_size=1, max_size=8), JSON, max_size=4).filter(
    lambda facts: not find_secret(facts)
)


@given(st.lists(FACT, min_size=1, max_size=4), st.data())
def test_any_chain_is_intact_and_any_change_is_seen(
    facts: list[dict[str, object]], data: st.DataObject
) -> None:
    records: tuple[EvidenceRecord, ...] = ()
    for fact in facts:
        records = append(records, EvidenceEvent.SHOWN, "fra-1", fact, NOW)
    number = data.draw(st.integers(0, len(records) - 1))
    changed = replace(records[number], facts={**records[number].facts, "added": "x" * 9})

    assert verify(read_records(write_records(records)), head_of(records)).state is EvidenceState.INTACT
    assert verify((*records[:number], changed, *records[number + 1 :])).state is EvidenceState.CHANGED


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"a": 1.5}, "a float"),
        ({"a": [b"x"]}, "a bytes"),
        ({"a": {1: "x"}}, "a key that is a int"),
        ({"a": "\ud800"}, "half a character (a lone surrogate)"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "a datetime"),
    ],
)
def test_what_has_no_canonical_json_is_refused(facts: dict[str, object], found: str) -> None:
    with pytest.raises(InputError) as refused:
        append((), EvidenceEvent.SHOWN, "x", facts, NOW)

    assert refused.value.found == found


PEM = "-----BEGIN EC PRIVATE KEY-----\nQUJD\n-----END EC PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("subject", "facts", "found"),
    [
        ("fra-1", {"shown": {"key": PEM}}, "facts.shown.key: a private key in PEM"),
        (PEM, {}, "subject: a private key in PEM"),
    ],
)
def test_key_material_is_refused_and_not_repeated(subject: str, facts: dict[str, object], found: str) -> None:
    with pytest.raises(InputError) as refused:
        append((), EvidenceEvent.SHOWN, subject, facts, NOW)

    assert refused.value.found == found
    assert "QUJD" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["x", "{}", '{"event":"NEVER"}', '{"event":"ASKED"}', "[]", '{"event":"ASKED","more":1}']
)
def test_a_line_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="line 1"):
        read_records(text)
