"""Private keys that never show themselves, and fingerprints of public keys.

Runbook R12: the key is made in the process; it is never logged, returned or stored outside the cluster's
Secret.
"""

from enum import StrEnum
from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import SecretBytes, SecretStr
from typing_extensions import override

from tasks.core.certificates.pem import decode_blocks, encode_block
from tasks.core.errors import CertificateError
from tasks.core.manifests import sha256_hex

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
"""The key types that this product makes and accepts."""


class KeySpec(StrEnum):
    """The key types and strengths that a webhook or a CA may use."""

    ECDSA_P256 = "ECDSA_P256"
    ECDSA_P384 = "ECDSA_P384"
    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"

    @property
    def is_ecdsa(self) -> bool:
        """Whether the key signs only: such a key cannot encipher another key (RFC 8813 section 3)."""
        return self in {KeySpec.ECDSA_P256, KeySpec.ECDSA_P384}

    @property
    def signature_hash(self) -> hashes.SHA256 | hashes.SHA384:
        """The hash that goes with the key's strength when it signs."""
        return hashes.SHA384() if self is KeySpec.ECDSA_P384 else hashes.SHA256()


_CURVES: dict[str, KeySpec] = {"secp256r1": KeySpec.ECDSA_P256, "secp384r1": KeySpec.ECDSA_P384}
_RSA_SIZES: dict[int, KeySpec] = {2048: KeySpec.RSA_2048, 3072: KeySpec.RSA_3072, 4096: KeySpec.RSA_4096}
_RSA_EXPONENT = 65537


class PrivateKey:
    """A private key whose repr, str and pickle give nothing away.

    Args:
        key: The key of the cryptography library.

    Raises:
        CertificateError: Its type or strength is not one of `KeySpec`.
    """

    __slots__ = ("_key", "spec", "spki_sha256")

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self.spec = spec_of(key.public_key())
        self.spki_sha256 = spki_sha256(key.public_key())

    @override
    def __repr__(self) -> str:
        """The key's type and its public fingerprint."""
        return f"PrivateKey({self.spec}, spki_sha256={self.spki_sha256})"

    @override
    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: Prefect stores the results of tasks."""
        raise CertificateError(
            "store a private key",
            repr(self),
            next_step="Keep it in the process or in the cluster's Secret; hand on its fingerprint.",
        )

    @property
    def signing_key(self) -> SigningKey:
        """The key of the cryptography library, for builders that sign."""
        return self._key

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey:
        """The public half."""
        return self._key.public_key()

    def pkcs8_pem(self) -> SecretBytes:
        """The key as unencrypted PKCS #8 PEM (RFC 5958), wrapped so that it does not print."""
        return SecretBytes(self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def generate_key(spec: KeySpec = KeySpec.ECDSA_P256) -> PrivateKey:
    """Make a key from the operating system's random source."""
    if spec is KeySpec.ECDSA_P256:
        return PrivateKey(ec.generate_private_key(ec.SECP256R1()))
    if spec is KeySpec.ECDSA_P384:
        return PrivateKey(ec.generate_private_key(ec.SECP384R1()))
    bits = next(size for size, known in _RSA_SIZES.items() if known is spec)
    return PrivateKey(rsa.generate_private_key(_RSA_EXPONENT, bits))


def load_key(content: bytes, passphrase: SecretStr | None = None) -> PrivateKey:
    """Read a PEM private key: PKCS #8 (encrypted too), SEC 1 or PKCS #1; other blocks around it are skipped.

    Raises:
        CertificateError: There is no private key in it, the passphrase is wrong, or its type is not accepted.
    """
    blocks = [block for block in decode_blocks(content) if block.label.endswith("PRIVATE KEY")]
    if not blocks:
        raise _unreadable("a PEM block `PRIVATE KEY`", "none")
    # The first one counts, as in crypto/tls.X509KeyPair, which the operator's process uses.
    block = blocks[0]
    secret = passphrase.get_secret_value().encode() if passphrase else None
    try:
        key = load_pem_private_key(block.text if block.headers else encode_block(block), secret)
    except TypeError as error:
        found = "an encrypted key without a passphrase" if secret is None else "a passphrase for a plain key"
        raise _unreadable("a passphrase exactly for an encrypted key", found) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable("a key and its passphrase", f"a locked or damaged `{block.label}`") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise _unreadable("an ECDSA or RSA key", type(key).__name__)
    return PrivateKey(key)


def _unreadable(expected: str, found: str) -> CertificateError:
    return CertificateError("read a private key", "", expected, found)


def spec_of(key: PublicKeyTypes) -> KeySpec:
    """Name a public key's type and strength.

    Raises:
        CertificateError: It is none of `KeySpec`: too weak, too uncommon for OLM and the API server, or not a
            signing key.
    """
    spec: KeySpec | None = None
    if isinstance(key, ec.EllipticCurvePublicKey):
        spec = _CURVES.get(key.curve.name)
    elif isinstance(key, rsa.RSAPublicKey) and key.public_numbers().e == _RSA_EXPONENT:
        spec = _RSA_SIZES.get(key.key_size)
    if spec is None:
        raise CertificateError("accept a key", "", ", ".join(KeySpec), describe_key(key))
    return spec


def describe_key(key: PublicKeyTypes) -> str:
    """A public key's type and size in words, for any type."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size} bit, exponent {key.public_numbers().e}"
    return type(key).__name__.removesuffix("PublicKey")


def spki_sha256(key: PublicKeyTypes) -> str:
    """The SHA-256 of the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in lower-case hexadecimal."""
    return sha256_hex(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
