"""Find secrets in JSON data: private keys in any common form, tokens, kubeconfig credentials.

A net under everything that is written where people read it. It cannot know a bare 32-byte number for a key,
so callers still hand on fingerprints only.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_private_key

_MARK = re.compile(r"PRIVATE KEY(?: BLOCK)?-----")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_STANDARD = str.maketrans("-_", "+/")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}[: ]?){48,}")
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}")
_CREDENTIAL_KEYS = frozenset({"client-key-data", "tls.key", "private_key", "privatekey", "password", "token"})
_LONGEST_NUMBER_BITS = 160
_LAYERS = 3


def find_secret(value: Any) -> str:  # noqa: ANN401 - any JSON data
    """Find the first secret.

    Returns:
        Where it is and what it looks like, never the secret itself; nothing when there is none.
    """
    return next(_secrets(value, ""), "")


def _secrets(value: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - any JSON data
    if isinstance(value, Mapping):
        if "kty" in value and "d" in value:
            yield f"{place}: a private JSON web key".removeprefix(".")
        for key, inner in value.items():
            here = f"{place}.{key}"
            if str(key).lower() in _CREDENTIAL_KEYS and inner:
                yield f"{here}: an entry of this name".removeprefix(".")
            yield from _secrets(str(key), f"{place} (a key)")
            yield from _secrets(inner, here)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _secrets(inner, f"{place}[{number}]")
    elif isinstance(value, str):
        if what := _in_text(value, _LAYERS):
            yield f"{place}: {what}".removeprefix(".")
    elif isinstance(value, int) and value.bit_length() > _LONGEST_NUMBER_BITS:
        yield f"{place}: a number of {value.bit_length()} bits, which may be a key".removeprefix(".")


def _in_text(text: str, layers: int) -> str:
    if _MARK.search(text):
        return "a private key in PEM"
    if _TOKEN.search(text):
        return "a bearer token"
    for content in _decoded(text):
        if what := _in_bytes(content, layers - 1):
            return what
    return ""


def _in_bytes(content: bytes, layers: int) -> str:
    if _is_private_key(content):
        return "a private key in DER"
    return _in_text(content.decode("latin-1"), layers) if layers > 0 else ""


def _decoded(text: str) -> Iterator[bytes]:
    """Every run of base64 or hexadecimal in a text, also when it is broken into lines."""
    for candidate in {text, "".join(text.split())}:
        for run in _BASE64.findall(candidate):
            body = run.rstrip("=").translate(_STANDARD)
            # One character over a multiple of four cannot be base64: it belongs to the text around.
            body = body[: len(body) - (len(body) % 4 == 1)]
            yield base64.b64decode(body + "=" * (-len(body) % 4))
        for match in _HEX.finditer(candidate):
            yield bytes.fromhex(match.group().replace(":", "").replace(" ", ""))


def _is_private_key(content: bytes) -> bool:
    try:
        load_der_private_key(content, None)
    except TypeError:
        # It is one, and it is encrypted.
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return True
