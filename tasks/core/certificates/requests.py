"""Certificate signing requests (RFC 2986): making ours, and reading what any request asks for."""

from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tasks.core.certificates.der import name_attributes, read_request_subject
from tasks.core.certificates.keys import PrivateKey, spki_sha256
from tasks.core.certificates.pem import CERTIFICATE_REQUEST, decode_blocks
from tasks.core.certificates.profiles import CertificatePlan, Usage
from tasks.core.certificates.reading import UNREADABLE
from tasks.core.errors import CertificateError
from tasks.core.manifests import sha256_hex


@dataclass(frozen=True)
class RequestFacts:
    """What a certificate signing request asks for, read without trusting it.

    Attributes:
        digest: SHA-256 of the request's bytes as given: what a decision is bound to.
        public_key: The key that the certificate would carry.
        spki_sha256: Its fingerprint.
        signature_valid: Whether the requester has the private key (RFC 2986 section 4.2).
        signature_hash: The hash of that signature, such as `sha256`; empty when unknown.
        subject: Pairs of attribute (short name or OID) and value.
        dns_names: The dNSName alternative names in their order.
        other_names: Every other alternative name as text.
        wants_authority: Whether CA:TRUE is asked for.
        usages: Key usages and purposes asked for, Kubernetes' words where it has them, else OIDs.
        other_extensions: Dotted OIDs of extensions beyond SAN, key usage, purposes and basic constraints.
        other_attributes: Dotted OIDs of attributes beyond the extension request.
    """

    digest: str
    public_key: CertificatePublicKeyTypes
    spki_sha256: str
    signature_valid: bool
    signature_hash: str
    subject: tuple[tuple[str, str], ...]
    dns_names: tuple[str, ...]
    other_names: tuple[str, ...]
    wants_authority: bool
    usages: tuple[str, ...]
    other_extensions: tuple[str, ...]
    other_attributes: tuple[str, ...]


def build_request(key: PrivateKey, plan: CertificatePlan) -> bytes:
    """Make the PEM request for a plan, signed with its key.

    The request carries names, key usage and purposes, so that an approver sees all of them in one place.

    Raises:
        CertificateError: The key is not of the planned type.
    """
    if key.spec is not plan.key_spec:
        raise CertificateError("make a signing request", repr(key), f"a key {plan.key_spec}", key.spec)
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(common_name(plan.common_name))
        .add_extension(alternative_names(plan.dns_names), critical=False)
        .add_extension(key_usage(plan.usages), critical=True)
        .add_extension(purposes(plan.usages), critical=False)
    )
    return builder.sign(key.signing_key, key.spec.signature_hash).public_bytes(Encoding.PEM)


def read_request(pem: bytes) -> RequestFacts:
    """Read one PEM request.

    Raises:
        CertificateError: It is not exactly one readable `CERTIFICATE REQUEST` block.
    """
    blocks = decode_blocks(pem)
    labels = ", ".join(block.label for block in blocks)
    if labels not in {CERTIFICATE_REQUEST, "NEW CERTIFICATE REQUEST"}:
        raise _unreadable(f"the PEM blocks: {labels[:120]}" if labels else "no PEM block")
    try:
        request = x509.load_der_x509_csr(blocks[0].content)
        return _facts(request, sha256_hex(pem))
    except UNREADABLE as error:
        raise _unreadable(f"{error}"[:200]) from error


def load_request(pem: bytes) -> x509.CertificateSigningRequest:
    """The request of the cryptography library, after `read_request` accepted its form."""
    read_request(pem)
    return x509.load_der_x509_csr(decode_blocks(pem)[0].content)


def common_name(name: str) -> x509.Name:
    """A subject with a common name only."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def alternative_names(dns_names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    """The subject alternative name extension (RFC 5280 section 4.2.1.6)."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names])


def key_usage(usages: tuple[Usage, ...]) -> x509.KeyUsage:
    """The key usage extension (RFC 5280 section 4.2.1.3) for a server certificate."""
    return x509.KeyUsage(
        digital_signature=Usage.DIGITAL_SIGNATURE in usages,
        content_commitment=False,
        key_encipherment=Usage.KEY_ENCIPHERMENT in usages,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def purposes(usages: tuple[Usage, ...]) -> x509.ExtendedKeyUsage:
    """The extended key usage extension (RFC 5280 section 4.2.1.12).

    Raises:
        CertificateError: The usages do not include server auth: this product makes nothing else.
    """
    if Usage.SERVER_AUTH not in usages:
        raise CertificateError(
            "plan a server certificate", "", f"the usage `{Usage.SERVER_AUTH}`", ", ".join(usages)
        )
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def _facts(request: x509.CertificateSigningRequest, digest: str) -> RequestFacts:
    names: list[x509.GeneralName] = []
    usages: list[str] = []
    others: list[str] = []
    wants_authority = False
    for extension in request.extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as value:
                names.extend(value)
            case x509.KeyUsage() as value:
                usages.extend(_usage_names(value))
            case x509.ExtendedKeyUsage() as value:
                usages.extend(_PURPOSES.get(purpose, purpose.dotted_string) for purpose in value)
            case x509.BasicConstraints() as value:
                wants_authority = value.ca or value.path_length is not None
            case _:
                others.append(extension.oid.dotted_string)
    return RequestFacts(
        digest=digest,
        public_key=request.public_key(),
        spki_sha256=spki_sha256(request.public_key()),
        signature_valid=request.is_signature_valid,
        signature_hash=request.signature_hash_algorithm.name if request.signature_hash_algorithm else "",
        subject=name_attributes(read_request_subject(request.public_bytes(Encoding.DER))),
        dns_names=tuple(name.value for name in names if isinstance(name, x509.DNSName)),
        other_names=tuple(
            f"{type(one).__name__}:{one.value}" for one in names if not isinstance(one, x509.DNSName)
        ),
        wants_authority=wants_authority,
        usages=tuple(usages),
        other_extensions=tuple(others),
        other_attributes=_other_attributes(request),
    )


_EXTENSION_REQUEST = x509.ObjectIdentifier("1.2.840.113549.1.9.14")
_PURPOSES: dict[x509.ObjectIdentifier, str] = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server auth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client auth",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "email protection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timestamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "ocsp signing",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
}


def _usage_names(value: x509.KeyUsage) -> list[str]:
    """Kubernetes' words for the bits of a key usage (k8s.io/api/certificates/v1 KeyUsage)."""
    words = {
        "digital signature": value.digital_signature,
        "content commitment": value.content_commitment,
        "key encipherment": value.key_encipherment,
        "data encipherment": value.data_encipherment,
        "key agreement": value.key_agreement,
        "cert sign": value.key_cert_sign,
        "crl sign": value.crl_sign,
        # The library refuses to answer for these two bits unless key agreement is set (RFC 5280).
        "encipher only": value.key_agreement and value.encipher_only,
        "decipher only": value.key_agreement and value.decipher_only,
    }
    return [word for word, asked in words.items() if asked]


def _other_attributes(request: x509.CertificateSigningRequest) -> tuple[str, ...]:
    """Attributes that nobody asked for; a second extension request counts, since readers take only one."""
    identifiers = [attribute.oid for attribute in request.attributes]
    if _EXTENSION_REQUEST in identifiers:
        identifiers.remove(_EXTENSION_REQUEST)
    return tuple(identifier.dotted_string for identifier in identifiers)


def _unreadable(found: str) -> CertificateError:
    return CertificateError(
        "read a signing request", "", "exactly one PEM block `CERTIFICATE REQUEST` (RFC 2986)", found
    )
