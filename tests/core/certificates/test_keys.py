"""Keys: made here, shown nowhere (runbook R12)."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import SecretStr

from tasks.core.certificates.keys import KeySpec, PrivateKey, generate_key, load_key, spec_of, spki_sha256
from tasks.core.errors import CertificateError
from tasks.core.manifests import sha256_hex
from tests.core.certificates.goprogram import ask, needs_go
from tests.core.certificates.workshop import LEAF, ROOT, ec_key, make, rsa_key

OPENED_SESAME = SecretStr("open sesame")


@pytest.mark.parametrize("spec", list(KeySpec))
def test_a_key_of_every_kind_survives_its_pem(spec: KeySpec) -> None:
    key = generate_key(spec)

    again = load_key(key.pkcs8_pem().get_secret_value())

    assert (again.spec, again.spki_sha256) == (spec, key.spki_sha256)


def test_p256_is_the_default() -> None:
    assert generate_key().spec is KeySpec.ECDSA_P256


def test_two_keys_differ() -> None:
    assert generate_key().spki_sha256 != generate_key().spki_sha256


@pytest.mark.parametrize("show", [repr, str, "{}".format, "{0!r}".format])
def test_a_key_shows_its_public_fingerprint_only(show: Callable[[PrivateKey], str]) -> None:
    key = PrivateKey(ec_key(1))

    assert show(key) == f"PrivateKey(ECDSA_P256, spki_sha256={key.spki_sha256})"


def test_the_pem_does_not_print_either() -> None:
    assert repr(generate_key().pkcs8_pem()) == "SecretBytes(b'**********')"


@pytest.mark.parametrize("store", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_key_refuses_to_be_stored(store: Callable[[PrivateKey], object]) -> None:
    with pytest.raises(CertificateError, match="store a private key"):
        store(PrivateKey(ec_key(1)))


def test_the_fingerprint_is_that_of_the_public_key_info() -> None:
    public = ec_key(1).public_key()

    expected = sha256_hex(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    assert spki_sha256(public) == expected


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_opens_with_its_passphrase(form: PrivateFormat) -> None:
    locked = ec_key(1).private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"open sesame"))

    key = load_key(locked, OPENED_SESAME)

    assert key.spki_sha256 == PrivateKey(ec_key(1)).spki_sha256


def test_olms_own_key_format_is_read() -> None:
    """OLM writes SEC 1 (`EC PRIVATE KEY`), openssl puts `EC PARAMETERS` before it."""
    sec1 = ec_key(1).private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"

    assert load_key(parameters + sec1).spec is KeySpec.ECDSA_P256


PLAIN = PrivateKey(ec_key(1)).pkcs8_pem().get_secret_value()
LOCKED = ec_key(1).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
EDWARDS = ed25519.Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
DAMAGED = b"-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("content", "passphrase", "found"),
    [
        (b"", None, "none"),
        (make(LEAF, ROOT).pem, None, "none"),
        (DAMAGED, None, "a locked or damaged `PRIVATE KEY`"),
        (LOCKED, None, "an encrypted key without a passphrase"),
        (LOCKED, SecretStr("guess"), "a locked or damaged `ENCRYPTED PRIVATE KEY`"),
        (PLAIN, OPENED_SESAME, "a passphrase for a plain key"),
        (EDWARDS, None, "Ed25519PrivateKey"),
    ],
    ids=["empty", "certificate", "damaged", "locked", "wrong passphrase", "not locked", "Ed25519"],
)
def test_what_is_no_usable_key_is_refused(content: bytes, passphrase: SecretStr | None, found: str) -> None:
    with pytest.raises(CertificateError) as refused:
        load_key(content, passphrase)

    assert refused.value.found == found


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (ec.generate_private_key(ec.SECP521R1()).public_key(), "ECDSA secp521r1"),
        (ec.generate_private_key(ec.SECP256K1()).public_key(), "ECDSA secp256k1"),
        (rsa_key(1024).public_key(), "RSA 1024 bit, exponent 65537"),
        (rsa.generate_private_key(3, 2048).public_key(), "RSA 2048 bit, exponent 3"),
        (ed25519.Ed25519PrivateKey.generate().public_key(), "Ed25519"),
    ],
    ids=["P-521", "secp256k1", "RSA 1024", "exponent 3", "Ed25519"],
)
def test_other_key_types_and_strengths_are_refused(key: PublicKeyTypes, found: str) -> None:
    with pytest.raises(CertificateError) as refused:
        spec_of(key)

    assert refused.value.found == found


@needs_go
def test_a_go_server_loads_our_key_and_not_another(go_program: Path) -> None:
    leaf, ours, other = make(LEAF, ROOT), PrivateKey(ec_key(1)), PrivateKey(ec_key(2))
    pairs = [{"certificate": leaf.pem, "key": key.pkcs8_pem().get_secret_value()} for key in (ours, other)]

    assert ask(go_program, "pair", pairs) == [True, False]
