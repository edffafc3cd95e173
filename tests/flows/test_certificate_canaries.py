"""The search for private keys that other tests rely on finds a key in every form, wherever it lies (R12)."""

import base64
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tasks.core.certificates.keys import KeySpec, generate_key
from tests.support.canaries import files_under, find_in, forms_of

Form = Callable[[bytes], bytes]


def der(pem: bytes, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return load_pem_private_key(pem, None).private_bytes(Encoding.DER, form, NoEncryption())


def number(pem: bytes) -> int:
    key = load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key.private_numbers().private_value


FORMS: dict[str, Form] = {
    "PEM": lambda pem: pem,
    "PEM of another kind": lambda pem: load_pem_private_key(pem, None).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    ),
    "PEM in JSON": lambda pem: pem.replace(b"\n", b"\\n"),
    "DER": der,
    "DER of another kind": lambda pem: der(pem, PrivateFormat.TraditionalOpenSSL),
    "base64 of PEM": base64.b64encode,
    "base64 of PEM behind a byte": lambda pem: base64.b64encode(b"x" + pem),
    "URL-safe base64 of DER": lambda pem: base64.urlsafe_b64encode(der(pem)),
    "hexadecimal DER": lambda pem: der(pem).hex().encode(),
    "decimal": lambda pem: str(number(pem)).encode(),
    "hexadecimal with colons": lambda pem: der(pem).hex(":").encode(),
    "base64 of a pickle": lambda pem: base64.b64encode(pickle.dumps({"result": pem.decode()})),
}


@pytest.fixture(scope="module")
def key() -> bytes:
    return generate_key(KeySpec.ECDSA_P256).pkcs8_pem().get_secret_value()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_key_in_a_file_is_found(key: bytes, form: Form, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(b"before " + form(key) + b" behind")

    assert find_in(files_under(tmp_path), forms_of(key)) != []


@pytest.mark.parametrize("name", ["PEM", "PEM in JSON", "base64 of PEM", "decimal"])
def test_a_key_in_a_database_is_found(key: bytes, name: str, tmp_path: Path) -> None:
    """It lies at the end of a long value, which the file holds in pieces."""
    value = "x" * 20_000 + FORMS[name](key).decode()
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as connection, connection:
        connection.execute("CREATE TABLE log (message TEXT)")
        connection.execute("INSERT INTO log VALUES (?)", [value])

    assert find_in(files_under(tmp_path), forms_of(key)) != []


def test_another_key_is_not_found(key: bytes, tmp_path: Path) -> None:
    (tmp_path / "result").write_bytes(key)

    assert find_in(files_under(tmp_path), forms_of(generate_key().pkcs8_pem().get_secret_value())) == []
