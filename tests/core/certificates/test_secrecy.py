"""Private keys are found in whatever form somebody writes them down."""

import base64
import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.secrecy import find_secret
from tests.core.certificates.signing import leaf_of
from tests.core.certificates.workshop import ec_key, rsa_key

PKCS8, SEC1 = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
LOCK = BestAvailableEncryption(b"open sesame")
KEYS = {
    "P-256 PKCS8": ec_key(1).private_bytes(Encoding.DER, PKCS8, NoEncryption()),
    "P-256 SEC1": ec_key(1).private_bytes(Encoding.DER, SEC1, NoEncryption()),
    "RSA PKCS1": rsa_key().private_bytes(Encoding.DER, SEC1, NoEncryption()),
    "RSA PKCS8": rsa_key().private_bytes(Encoding.DER, PKCS8, NoEncryption()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PKCS8, NoEncryption()),
    "encrypted": ec_key(1).private_bytes(Encoding.DER, PKCS8, LOCK),
}
PEM = ec_key(1).private_bytes(Encoding.PEM, PKCS8, NoEncryption()).decode()
FORMS: dict[str, Callable[[bytes], str]] = {
    "base64": lambda der: base64.b64encode(der).decode(),
    "base64 for URLs": lambda der: base64.urlsafe_b64encode(der).decode().rstrip("="),
    "base64 in lines": lambda der: base64.encodebytes(der).decode(),
    "base64 twice": lambda der: base64.b64encode(base64.b64encode(der)).decode(),
    "base64 in a sentence": lambda der: f"key: {base64.b64encode(der).decode()} (see above)",
    "hexadecimal": bytes.hex,
    "hexadecimal with colons": lambda der: der.hex(":"),
    "as JSON text": lambda der: json.dumps({"data": base64.b64encode(der).decode()}),
}


@pytest.mark.parametrize("der", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_is_found_in_every_form(der: bytes, form: Callable[[bytes], str]) -> None:
    assert find_secret({"facts": ["x", form(der)]}).startswith("facts[1]: a private key")


@pytest.mark.parametrize(
    "text",
    [
        PEM,
        PEM.replace("\n", "\\n"),
        base64.b64encode(PEM.encode()).decode(),
        f"a\n{PEM}",
        PEM.replace("\n", " "),
    ],
    ids=["PEM", "escaped", "a Secret's data", "inside", "on one line"],
)
def test_pem_is_found(text: str) -> None:
    assert find_secret(text) == ": a private key in PEM"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"kty": "EC", "d": "x"}, ": a private JSON web key"),
        (
            {"users": [{"user": {"client-key-data": "x"}}]},
            "users[0].user.client-key-data: an entry of this name",
        ),
        ({"tls.key": "x"}, "tls.key: an entry of this name"),
        (
            {"number": ec_key(1).private_numbers().private_value | 1 << 255},
            "number: a number of 256 bits, which may be a key",
        ),
        ({"header": "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJl"}, "header: a bearer token"),
        ({PEM: 1}, " (a key): a private key in PEM"),
    ],
    ids=["JSON web key", "kubeconfig", "Secret", "number", "token", "as a mapping's key"],
)
def test_other_secrets_are_found(value: object, found: str) -> None:
    assert find_secret(value) == found


@pytest.mark.parametrize(
    "value",
    [
        leaf_of().pem.decode(),
        base64.b64encode(leaf_of().der).decode(),
        leaf_of().der.hex(),
        leaf_of().sha256,
        leaf_of().serial,
        "The tls.key stays in the Secret; no private key is shown.",
        {"client-key-data": "", "serial": 2**159, "approved": True, "count": 3, "nothing": None},
    ],
    ids=["certificate", "certificate in base64", "in hex", "fingerprint", "serial", "words", "numbers"],
)
def test_what_may_be_shown_is_not_taken_for_a_secret(value: object) -> None:
    assert find_secret(value) == ""


# Without hyphens: Hypothesis finds the first line of a PEM key in our sources.
ORDINARY = st.text(alphabet=st.characters(exclude_characters="-"), max_size=30)


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(2**64), 2**64) | ORDINARY, st.lists, max_leaves=10)
)
def test_ordinary_data_has_no_secret(value: object) -> None:
    assert find_secret(value) == ""


def test_the_answer_never_repeats_the_secret() -> None:
    answer = find_secret({"facts": PEM})

    assert PEM.splitlines()[1] not in answer
