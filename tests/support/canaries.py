"""Looks for a private key in everything that a run may have written, in any form that it could have."""

import base64
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

_FORMATS = (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
_SHORTEST_LINE = 24
"""Shorter lines of PEM could stand anywhere by accident."""


def forms_of(key_pem: bytes) -> Mapping[str, bytes]:
    """Everything by which an ECDSA key can be recognized, by what it is called.

    DER, hexadecimal DER and their like need no entries: each of them holds the private number in one of the
    forms here. Base64 of something bigger holds it at one of three offsets; PEM breaks it into lines.
    """
    key = load_pem_private_key(key_pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    raw = number.to_bytes(key.key_size // 8, "big")
    forms = {
        "the bytes of the number": raw,
        "hexadecimal": raw.hex().encode(),
        "hexadecimal, upper case": raw.hex().upper().encode(),
        "hexadecimal with colons": raw.hex(":").encode(),
        "decimal": str(number).encode(),
    }
    forms |= {f"base64, offset {offset}": part for offset, part in enumerate(_inside_base64(raw))}
    lines = {line for each in _FORMATS for line in _pem(key, each) if len(line) >= _SHORTEST_LINE}
    for number_of_line, line in enumerate(sorted(lines)):
        forms[f"PEM, line {number_of_line}"] = line
        for offset, part in enumerate(_inside_base64(line)):
            forms[f"base64 of PEM, line {number_of_line}, offset {offset}"] = part
    url_safe = {
        f"URL-safe {name}": form.translate(_URL_SAFE) for name, form in forms.items() if _is_text(form)
    }
    return forms | url_safe


def find_in(texts: Iterable[tuple[str, bytes]], forms: Mapping[str, bytes]) -> list[str]:
    """Where which form stands."""
    return [f"{where}: {name}" for where, text in texts for name, form in forms.items() if form in text]


def files_under(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, and every database as text too: a long value lies in pieces in its file."""
    for folder in folders:
        assert folder.is_dir()
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()
                if path.suffix == ".db":
                    yield f"{path} as SQL", "\n".join(_dump(path)).encode()


def _dump(database: Path) -> Iterator[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        yield from connection.iterdump()


def _pem(key: EllipticCurvePrivateKey, form: PrivateFormat) -> list[bytes]:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).splitlines()[1:-1]


def _inside_base64(content: bytes) -> Iterator[bytes]:
    """What of the content's base64 does not depend on what stands before and behind it."""
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + content)
        yield encoded[4 if offset else 0 : len(encoded) - 4]


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _is_text(form: bytes) -> bool:
    return form.isascii() and (b"+" in form or b"/" in form)
