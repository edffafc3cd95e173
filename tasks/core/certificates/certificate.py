"""A certificate as verifiers see it: the facts that path building, OLM and people look at (RFC 5280)."""

import copyreg
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.serialization import Encoding

from tasks.core.certificates.der import describe_name, name_attributes
from tasks.core.certificates.keys import spki_sha256
from tasks.core.manifests import sha256_hex


def _load(der: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(der)  # its own name is not one that pickle finds


# What is expected of a cluster holds certificates, and goes to the processes that look at a large fleet.
copyreg.pickle(x509.Certificate, lambda parsed: (_load, (parsed.public_bytes(Encoding.DER),)))


@dataclass(frozen=True)
class Names:
    """General names by type (RFC 5280 section 4.2.1.6), of a subject or of a subtree.

    Attributes:
        dns: dNSName values as they stand there.
        ips: iPAddress values as networks; an address of a subject is a network of one.
        others: Every other name as text.
    """

    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Network | IPv6Network, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subtrees:
    """Name constraints (RFC 5280 section 4.2.1.10)."""

    permitted: Names
    excluded: Names


@dataclass(frozen=True)
class Certificate:
    """One certificate; build it with `reading.read_certificate`.

    Attributes:
        parsed: The certificate of the cryptography library.
        issuer_raw: DER of the issuer's name.
        subject_raw: DER of the subject's name.
        names: The subject alternative names, None without the extension.
        is_authority: cA of the basic constraints, None without the extension.
        path_length: pathLenConstraint, None without one.
        may_sign: keyCertSign of the key usage, None without the extension.
        purposes: Dotted OIDs of the extended key usage, None without the extension.
        constraints: The name constraints, None without the extension.
        subject_key_id: The subject key identifier, empty without the extension.
        authority_key_id: The authority key identifier, empty without the extension.
        unhandled: Dotted OIDs of critical extensions that verifiers do not know.
    """

    parsed: x509.Certificate = field(repr=False)
    issuer_raw: bytes = field(repr=False)
    subject_raw: bytes = field(repr=False)
    names: Names | None = None
    is_authority: bool | None = None
    path_length: int | None = None
    may_sign: bool | None = None
    purposes: tuple[str, ...] | None = None
    constraints: Subtrees | None = None
    subject_key_id: bytes = b""
    authority_key_id: bytes = b""
    unhandled: tuple[str, ...] = ()

    @cached_property
    def der(self) -> bytes:
        """The certificate's bytes."""
        return self.parsed.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        """The certificate as one PEM block with Unix line ends."""
        return self.parsed.public_bytes(Encoding.PEM)

    @property
    def sha256(self) -> str:
        """The certificate's fingerprint in lower-case hexadecimal."""
        return sha256_hex(self.der)

    @property
    def spki_sha256(self) -> str:
        """The fingerprint of its public key."""
        return spki_sha256(self.public_key)

    @property
    def public_key(self) -> CertificatePublicKeyTypes:
        """Its public key."""
        return self.parsed.public_key()

    @property
    def serial(self) -> str:
        """The serial number in lower-case hexadecimal, as openssl prints it."""
        return f"{self.parsed.serial_number:x}"

    @property
    def subject(self) -> str:
        """The subject's name for people."""
        return describe_name(self.subject_raw)

    @property
    def issuer(self) -> str:
        """The issuer's name for people."""
        return describe_name(self.issuer_raw)

    @property
    def common_name(self) -> str:
        """The last common name of the subject, empty without one."""
        return next((text for kind, text in reversed(name_attributes(self.subject_raw)) if kind == "CN"), "")

    @property
    def not_before(self) -> datetime:
        """From when it is valid."""
        return self.parsed.not_valid_before_utc

    @property
    def not_after(self) -> datetime:
        """Until when it is valid, inclusive."""
        return self.parsed.not_valid_after_utc

    @property
    def dns_names(self) -> tuple[str, ...]:
        """Its DNS names; the common name never counts as one."""
        return self.names.dns if self.names else ()


def check_signature(certificate: Certificate, issuer: Certificate) -> str:
    """Check a certificate's signature with an issuer's key.

    Returns:
        Nothing when it is good, else the reason in the words of Go's crypto/x509.
    """
    try:
        return _signature_fault(certificate.parsed, issuer.public_key)
    except UnsupportedAlgorithm:
        return "x509: cannot verify signature: algorithm unimplemented"
    except InvalidSignature:
        is_rsa = isinstance(issuer.public_key, rsa.RSAPublicKey)
        return "crypto/rsa: verification error" if is_rsa else "x509: ECDSA verification failure"


def _signature_fault(signed: x509.Certificate, key: CertificatePublicKeyTypes) -> str:
    scheme, hashed = signed.signature_algorithm_parameters, signed.signature_hash_algorithm
    if isinstance(hashed, MD5 | SHA1):
        name = hashed.name.upper()
        algorithm = f"ECDSA-{name}" if isinstance(key, ec.EllipticCurvePublicKey) else f"{name}-RSA"
        return f"x509: cannot verify signature: insecure algorithm {algorithm}"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(scheme, ec.ECDSA):
        key.verify(signed.signature, signed.tbs_certificate_bytes, scheme)
    elif isinstance(key, rsa.RSAPublicKey) and isinstance(scheme, padding.PKCS1v15 | padding.PSS) and hashed:
        key.verify(signed.signature, signed.tbs_certificate_bytes, scheme, hashed)
    elif isinstance(key, ed25519.Ed25519PublicKey) and scheme is None:
        key.verify(signed.signature, signed.tbs_certificate_bytes)
    else:
        return "x509: signature algorithm and public key do not belong together"
    return ""
