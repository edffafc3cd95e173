"""PEM as Go's encoding/pem reads it, and what is wrong with a file that still can be read.

The API server and OLM are Go programs: what they skip silently (a damaged block, text between blocks) decides
which certificates they see. RFC 7468 is stricter; the differences are reported as problems.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

CERTIFICATE = "CERTIFICATE"
CERTIFICATE_REQUEST = "CERTIFICATE REQUEST"

_BEGIN = b"-----BEGIN "
_END = b"\n-----END "
_DASHES = b"-----"
_KEY_BLOCK = re.compile(
    rb"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(?:(\r?\n-----END [A-Z0-9 ]*PRIVATE KEY-----)|\Z)", re.DOTALL
)
_REDACTED = rb"\1\ncmVkYWN0ZWQ=\2"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class PemProblem(StrEnum):
    """What a file has that strict readers refuse or that hides a certificate."""

    EMPTY = "EMPTY"
    """No block can be read."""
    WINDOWS_LINE_ENDS = "WINDOWS_LINE_ENDS"
    """CR LF: Go reads it, but its bytes differ from what others compute and compare."""
    BYTE_ORDER_MARK = "BYTE_ORDER_MARK"
    """A UTF-8 byte order mark hides the first block from Go."""
    TEXT_OUTSIDE_BLOCKS = "TEXT_OUTSIDE_BLOCKS"
    """Text before, between or after the blocks."""
    DAMAGED_BLOCK = "DAMAGED_BLOCK"
    """A BEGIN line whose block Go skips: bad base64, no matching END, or a line that does not start there."""
    HEADERS = "HEADERS"
    """A block with header lines: x509.CertPool skips such a certificate."""
    BASE64_TWICE = "BASE64_TWICE"
    """The whole content is base64 of a PEM file: encoded once too often for a Secret's data."""
    NO_FINAL_LINE_END = "NO_FINAL_LINE_END"
    """The last END line is not ended: appending another certificate would damage both."""


@dataclass(frozen=True)
class PemBlock:
    """One block.

    Attributes:
        label: The word or words of the BEGIN line.
        content: The decoded bytes.
        headers: Whether the block had header lines (RFC 1421).
        text: The block as the file has it.
    """

    label: str
    content: bytes = field(repr=False)
    headers: bool = False
    text: bytes = field(default=b"", repr=False)


def decode_blocks(content: bytes) -> tuple[PemBlock, ...]:
    """The blocks that Go's pem.Decode returns one after the other."""
    return tuple(block for block, _ in _blocks(content))


def encode_block(block: PemBlock) -> bytes:
    """Write a block as RFC 7468 says: 64 columns, LF, a final line end."""
    text = base64.b64encode(block.content)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    label = block.label.encode()
    return b"\n".join([_BEGIN + label + _DASHES, *lines, b"-----END " + label + _DASHES, b""])


def find_problems(content: bytes) -> tuple[PemProblem, ...]:
    """What is wrong with a PEM file, in the order of `PemProblem`."""
    found = list(_blocks(content))
    outside = _outside(content, [span for _, span in found])
    damaged = found and (_BEGIN in outside or b"-----END " in outside)
    present = {
        PemProblem.EMPTY: not found,
        PemProblem.WINDOWS_LINE_ENDS: b"\r\n" in content,
        PemProblem.BYTE_ORDER_MARK: content.startswith(_BYTE_ORDER_MARK),
        PemProblem.TEXT_OUTSIDE_BLOCKS: bool(found and outside.strip() and not damaged),
        PemProblem.DAMAGED_BLOCK: bool(damaged or (not found and _BEGIN in content)),
        PemProblem.HEADERS: any(block.headers for block, _ in found),
        PemProblem.BASE64_TWICE: not found and _is_encoded_pem(content),
        PemProblem.NO_FINAL_LINE_END: bool(found and not content.endswith(b"\n")),
    }
    return tuple(problem for problem, there in present.items() if there)


def redact_keys(content: bytes) -> bytes:
    """The same file with every private key's content replaced, so that only its presence is told on.

    People put keys where certificates belong (the page names ca-key.pem for tls.crt); what was read there
    must not travel into results and logs.
    """
    return _KEY_BLOCK.sub(_REDACTED, content)


def _outside(content: bytes, spans: list[tuple[int, int]]) -> bytes:
    pieces, position = [], 0
    for start, end in spans:
        pieces.append(content[position:start])
        position = end
    return b"".join([*pieces, content[position:]])


def _is_encoded_pem(content: bytes) -> bool:
    try:
        return bool(decode_blocks(base64.b64decode(b"".join(content.split()), validate=True)))
    except (binascii.Error, ValueError):
        return False


def _blocks(content: bytes) -> Iterator[tuple[PemBlock, tuple[int, int]]]:
    """Blocks with their place: for every END line the last BEGIN line before it that is still free."""
    position = 0
    while (end := content.find(_END, position)) >= 0:
        begin = content.rfind(_BEGIN, position, end)
        attempt, position = position, end + len(_END)
        # Go also takes a BEGIN where its reading goes on, as at the start of the file.
        if begin < 0 or (begin > attempt and content[begin - 1 : begin] != b"\n"):
            continue
        trailer, after = _line(content, end + 1)
        block = _read_block(content[begin:after], end - begin, trailer)
        if block:
            yield block, (begin, after)
            position = after


def _line(content: bytes, start: int) -> tuple[bytes, int]:
    """One line without its end and trailing blanks, and where the next one starts."""
    stop = content.find(b"\n", start)
    if stop < 0:
        return content[start:].rstrip(b" \t"), len(content)
    return content[start:stop].removesuffix(b"\r").rstrip(b" \t"), stop + 1


def _read_block(text: bytes, end: int, trailer: bytes) -> PemBlock | None:
    """Read one block, whose END line starts after `end`, or nothing when Go would skip it."""
    first, place = _line(text, 0)
    label = first.removeprefix(_BEGIN).removesuffix(_DASHES)
    if not first.endswith(_DASHES) or trailer != _END[1:] + label + _DASHES:
        return None
    headers = 0
    while place < end:
        line, after = _line(text, place)
        if b":" not in line:
            break
        headers, place = headers + 1, after
    encoded = text[place:end].translate(None, b" \t\r\n")
    # With headers, Go wants a line between them and the END line.
    if (headers and place > end) or len(encoded) % 4 or not _BASE64.fullmatch(encoded):
        return None
    return PemBlock(label.decode("latin-1"), base64.b64decode(encoded), headers > 0, text)
