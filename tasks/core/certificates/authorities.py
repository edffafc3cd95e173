"""Certificate authorities: making one (runbook R16), loading one, and what makes one unfit to sign.

RFC 5280: cA and keyCertSign critical, pathLenConstraint 0 (it signs servers only), a subject key identifier.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import MD5, SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import SecretStr

from tasks.core.certificates.certificate import Certificate, check_signature
from tasks.core.certificates.keys import KeySpec, PrivateKey, describe_key, load_key, spec_of
from tasks.core.certificates.names import check_common_name
from tasks.core.certificates.reading import read_certificate, read_certificates
from tasks.core.certificates.requests import common_name
from tasks.core.certificates.verification import explain_not_current
from tasks.core.errors import CertificateError

BACKDATE = timedelta(minutes=5)
"""How far before now a certificate starts, for clocks that are late."""

DOCUMENTED_AUTHORITY_NAME = "My Example Signer"
_SERIAL_BITS = range(64, 160)

SerialSource = Callable[[], int]
"""Returns a positive number with at least 64 random bits and at most 20 octets (RFC 5280 section 4.1.2.2)."""


@dataclass(frozen=True)
class AuthorityPlan:
    """What a new CA is to be.

    Attributes:
        common_name: Its subject's common name.
        key_spec: Its key.
        validity: Its lifetime.
        permitted_names: DNS subtrees that it is limited to (`WebhookTarget.permitted_subtrees`), if any.
    """

    common_name: str = DOCUMENTED_AUTHORITY_NAME
    key_spec: KeySpec = KeySpec.RSA_2048
    validity: timedelta = timedelta(days=5 * 365)
    permitted_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Authority:
    """A CA that can sign here and now.

    Attributes:
        certificate: The issuing CA's certificate: the first block of olmCAKey.
        key: Its private key.
        above: Certificates between it and its root, when it is not a root itself.
    """

    certificate: Certificate
    key: PrivateKey = field(repr=False)
    above: tuple[Certificate, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a key of another certificate.

        Raises:
            CertificateError: The certificate's public key is not this key's.
        """
        if self.certificate.spki_sha256 != self.key.spki_sha256:
            raise CertificateError(
                "use a certificate authority",
                self.certificate.subject,
                f"the private key of its public key {self.certificate.spki_sha256}",
                f"the private key of {self.key.spki_sha256}",
                "Give the key that belongs to the CA certificate.",
            )


def create_authority(
    plan: AuthorityPlan, key: PrivateKey, now: datetime, serials: SerialSource = x509.random_serial_number
) -> Authority:
    """Make a self-signed CA.

    Args:
        plan: What it is to be.
        key: Its key, of the planned type.
        now: The time, aware.
        serials: Where the serial number comes from.

    Raises:
        CertificateError: The plan and the key do not fit, or a value is impossible.
    """
    if key.spec is not plan.key_spec or plan.validity <= timedelta(0):
        found = f"a key {key.spec} and a lifetime of {plan.validity}"
        raise CertificateError("make a CA", plan.common_name, f"a key {plan.key_spec} and a lifetime", found)
    subject = common_name(check_common_name(plan.common_name))
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key)
        .serial_number(take_serial(serials))
        .not_valid_before(now - BACKDATE)
        .not_valid_after(now + plan.validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key), critical=False)
    )
    if plan.permitted_names:
        subtrees = [x509.DNSName(name) for name in plan.permitted_names]
        builder = builder.add_extension(x509.NameConstraints(subtrees, None), critical=True)
    signed = builder.sign(key.signing_key, key.spec.signature_hash)
    return Authority(read_certificate(signed.public_bytes(Encoding.DER)), key)


def load_authority(certificates: bytes, key: bytes, passphrase: SecretStr | None = None) -> Authority:
    """Read a CA from PEM: its certificate first, then those above it; the key may be encrypted.

    Raises:
        CertificateError: Nothing readable, or key and certificate do not belong together.
    """
    chain = read_certificates(certificates)
    if not chain:
        raise CertificateError("read a CA", "", "a PEM block `CERTIFICATE`", "none")
    return Authority(chain[0], load_key(key, passphrase), chain[1:])


def explain_unfit(authority: Certificate, now: datetime) -> tuple[str, ...]:
    """Why a CA must not sign a server's certificate now; nothing when it may."""
    return tuple(_faults(authority, now))


def take_serial(serials: SerialSource) -> int:
    """Draw a serial number.

    Raises:
        CertificateError: The source gave one that is not positive, too short to be random, or over 20 octets.
    """
    serial = serials()
    if serial <= 0 or serial.bit_length() not in _SERIAL_BITS:
        raise CertificateError(
            "draw a serial number", "", "a positive number of 64 to 159 bits", f"{serial.bit_length()} bits"
        )
    return serial


def _faults(authority: Certificate, now: datetime) -> Iterator[str]:
    if expired := explain_not_current(authority, now):
        yield expired.removeprefix("x509: ")
    if not authority.is_authority:
        yield "it is not a CA (basic constraints without CA:TRUE)"
    if authority.may_sign is False:
        yield "its key usage lacks keyCertSign"
    if authority.unhandled:
        yield f"critical extensions that verifiers do not know: {', '.join(authority.unhandled)}"
    if isinstance(authority.parsed.signature_hash_algorithm, MD5 | SHA1):
        yield f"it is signed with {authority.parsed.signature_hash_algorithm.name}"
    try:
        spec_of(authority.public_key)
    except CertificateError:
        yield f"its key is {describe_key(authority.public_key)}"
    self_issued = authority.subject_raw == authority.issuer_raw
    same_key = authority.authority_key_id in {b"", authority.subject_key_id}
    if self_issued and same_key and (broken := check_signature(authority, authority)):
        yield f"its own signature does not verify: {broken}"
