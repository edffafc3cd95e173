"""PEM as Go reads it, and the faults that are named to a person (runbook R22: garbage, Windows line ends)."""

import base64
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.pem import (
    PemBlock,
    PemProblem,
    decode_blocks,
    encode_block,
    find_problems,
    redact_keys,
)
from tasks.core.manifests import sha256_hex
from tests.core.certificates.goprogram import ask, needs_go

ONE = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
KEY = b"-----BEGIN EC PRIVATE KEY-----\nREVG\n-----END EC PRIVATE KEY-----\n"


@given(st.binary(max_size=200), st.sampled_from(["CERTIFICATE", "EC PRIVATE KEY"]))
def test_a_written_block_is_read_again(content: bytes, label: str) -> None:
    written = encode_block(PemBlock(label, content))

    blocks = decode_blocks(written)

    assert [(block.label, block.content) for block in blocks] == [(label, content)]
    assert find_problems(written) == ()


def test_a_block_does_not_print_its_content() -> None:
    assert "QUJD" not in repr(decode_blocks(KEY))
    assert "REVG" not in repr(decode_blocks(KEY))


@pytest.mark.parametrize(
    ("content", "redacted"),
    [
        (ONE, ONE),
        (KEY, KEY.replace(b"REVG", b"cmVkYWN0ZWQ=")),
        (ONE + KEY + ONE, ONE + KEY.replace(b"REVG", b"cmVkYWN0ZWQ=") + ONE),
        (KEY[:40], b"-----BEGIN EC PRIVATE KEY-----\ncmVkYWN0ZWQ="),
        (KEY.replace(b"REVG", b"Proc-Type: 4,ENCRYPTED\n\nREVG"), KEY.replace(b"REVG", b"cmVkYWN0ZWQ=")),
    ],
    ids=["certificate", "key", "key between", "cut", "with headers"],
)
def test_a_private_key_is_redacted_and_still_seen(content: bytes, redacted: bytes) -> None:
    assert redact_keys(content) == redacted


@pytest.mark.parametrize(
    ("content", "contents"),
    [
        (ONE + KEY, [b"ABC", b"DEF"]),
        (ONE.replace(b"\n", b"\r\n"), [b"ABC"]),
        (b"subject=x\n" + ONE, [b"ABC"]),
        (ONE.replace(b"QUJD", b"QU JD\t"), [b"ABC"]),
        (ONE.replace(b"QUJD", b"QUJ"), []),
        (ONE.replace(b"QUJD", b"QUJD=") + KEY, [b"DEF"]),
        (b" " + ONE, []),
        (b"\xef\xbb\xbf" + ONE, []),
        (ONE.rstrip() + ONE, []),
        (ONE.replace(b"END CERT", b"END KERT"), []),
        (b"-----BEGIN CERTIFICATE-----\n" + ONE, [b"ABC"]),
        (ONE.replace(b"E-----\n", b"E-----\nA: b\n\n", 1), [b"ABC"]),
        (b"-----BEGIN X-----\n-----END X-----\n", [b""]),
        (b"", []),
    ],
)
def test_blocks_are_those_that_go_finds(content: bytes, contents: list[bytes]) -> None:
    assert [block.content for block in decode_blocks(content)] == contents


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (ONE + KEY, ()),
        (b"", (PemProblem.EMPTY,)),
        (ONE.replace(b"\n", b"\r\n"), (PemProblem.WINDOWS_LINE_ENDS,)),
        (b"issuer=y\n" + ONE, (PemProblem.TEXT_OUTSIDE_BLOCKS,)),
        (ONE + b"\n\n" + KEY, ()),
        (ONE + ONE.replace(b"QUJD", b"****"), (PemProblem.DAMAGED_BLOCK,)),
        (ONE.replace(b"QUJD", b"****"), (PemProblem.EMPTY, PemProblem.DAMAGED_BLOCK)),
        (b"\xef\xbb\xbf" + ONE, (PemProblem.EMPTY, PemProblem.BYTE_ORDER_MARK, PemProblem.DAMAGED_BLOCK)),
        (ONE.replace(b"E-----\n", b"E-----\nA: b\n\n", 1), (PemProblem.HEADERS,)),
        (base64.b64encode(ONE), (PemProblem.EMPTY, PemProblem.BASE64_TWICE)),
        (base64.b64encode(b"no pem at all"), (PemProblem.EMPTY,)),
        (ONE.rstrip(), (PemProblem.NO_FINAL_LINE_END,)),
    ],
)
def test_each_fault_of_a_file_is_named(content: bytes, problems: tuple[PemProblem, ...]) -> None:
    assert find_problems(content) == problems


@needs_go
def test_go_finds_the_same_blocks_in_damaged_files(go_program: Path) -> None:
    source = random.Random(7)  # noqa: S311 - repeatable, no secret
    files = [_damaged(source) for _ in range(3000)]
    theirs = ask(go_program, "pem", files)

    ours = [
        [
            {"label": block.label, "sha256": sha256_hex(block.content), "headers": block.headers}
            for block in decode_blocks(file)
        ]
        for file in files
    ]

    assert len({len(blocks) for blocks in ours}) >= 4
    assert [(file, blocks) for file, blocks in zip(files, ours, strict=True)] == [
        (file, blocks) for file, blocks in zip(files, theirs, strict=True)
    ]


def _damaged(source: random.Random) -> bytes:
    """Blocks and fragments in random order, then a few cuts, changed bytes and inserted pieces."""
    pieces = [ONE, KEY, ONE.rstrip(), ONE.replace(b"\n", b"\r\n"), b"text\n", b"A: b\n", b"-----BEGIN "]
    pieces += [b"-----END CERTIFICATE-----\n", b"-----BEGIN CERTIFICATE-----\n", b"\n", b"-----", b"QUJD\n"]
    content = bytearray(b"".join(source.choices(pieces, k=source.randint(1, 6))))
    for _ in range(source.choice([0, 0, 1, 2, 4])):
        place = source.randrange(len(content) + 1)
        change = source.choice([b"\n", b"-", b" ", b"=", b":", b"\t", b"\r", b"x", b""])
        content[place : place + source.choice([0, 1])] = change
    return bytes(content)
