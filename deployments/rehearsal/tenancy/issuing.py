"""Real certificates for the rehearsal's certificate authorities."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
_HASHES: dict[str, _Hash] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}


@dataclass(frozen=True)
class Names:
    """What an issuance rule permits and excludes: DNS subtrees."""

    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def refuse(self, names: list[str]) -> str:
        """The first name that may not be issued; empty when all may be."""
        return next((name for name in names if not self._allows(name)), "")

    def _allows(self, name: str) -> bool:
        inside = not self.permitted or any(_is_below(name, subtree) for subtree in self.permitted)
        return inside and not any(_is_below(name, subtree) for subtree in self.excluded)


@dataclass(frozen=True)
class Issuer:
    """An authority's certificate, its key, its chain up to the root (PEM), and its signing algorithm."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey
    chain_pem: str
    algorithm: str
    names: Names = Names()


@dataclass(frozen=True)
class Issued:
    """A leaf certificate with its chain, as the certificate bundle gives them."""

    certificate: x509.Certificate
    chain_pem: str


@dataclass(frozen=True)
class Period:
    """From when until when a certificate is valid."""

    not_before: datetime
    not_after: datetime


def pem_of(certificate: x509.Certificate) -> str:
    """A certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class AuthorityWish:
    """What an authority is made as.

    Attributes:
        parent: The authority above it; None for a root.
        names: What it may issue certificates for.
    """

    common_name: str
    period: Period
    key_bits: int
    algorithm: str
    parent: Issuer | None = None
    names: Names = Names()


def make_authority(wish: AuthorityWish) -> Issuer:
    """A root authority, or one below another."""
    common_name, period, algorithm, parent = wish.common_name, wish.period, wish.algorithm, wish.parent
    key = rsa.generate_private_key(public_exponent=65537, key_size=wish.key_bits)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    issuer_name = parent.certificate.subject if parent else subject
    builder = (
        _builder(subject, issuer_name, period)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if wish.names != Names():
        subtrees = x509.NameConstraints(_subtrees(wish.names.permitted), _subtrees(wish.names.excluded))
        builder = builder.add_extension(subtrees, critical=True)
    if parent:
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(parent.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    signer = parent.key if parent else key
    certificate = builder.sign(signer, _hash_of(parent.algorithm if parent else algorithm))
    chain = (pem_of(parent.certificate) + parent.chain_pem) if parent else ""
    return Issuer(certificate, key, chain, algorithm, wish.names)


def issue_for_hosts(issuer: Issuer, common_name: str, hosts: list[str], period: Period) -> Issued:
    """A server certificate whose key the service makes and keeps."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    return _issue(issuer, subject, key.public_key(), names, period)


def issue_for_request(issuer: Issuer, csr: x509.CertificateSigningRequest, period: Period) -> Issued:
    """A server certificate for a key that never leaves its owner.

    Raises:
        ValueError: The request is not signed with its own key, or has no names or a key of another type.
    """
    if not csr.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    try:
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError("the request has no subject alternative names") from None
    key = csr.public_key()
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError("the request's key is neither RSA nor on an elliptic curve")  # noqa: TRY004 - said of the request
    if refused := issuer.names.refuse(names.get_values_for_type(x509.DNSName)):
        raise ValueError(f"the name {refused} is outside the authority's name constraint")
    return _issue(issuer, csr.subject, key, names, period)


def _issue(
    issuer: Issuer,
    subject: x509.Name,
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
    names: x509.SubjectAlternativeName,
    period: Period,
) -> Issued:
    authority_key = issuer.key.public_key()
    certificate = (
        _builder(subject, issuer.certificate.subject, period)
        .public_key(key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
        .sign(issuer.key, _hash_of(issuer.algorithm))
    )
    return Issued(certificate, pem_of(issuer.certificate) + issuer.chain_pem)


def _builder(subject: x509.Name, issuer: x509.Name, period: Period) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(period.not_before)
        .not_valid_after(period.not_after)
    )


def _subtrees(names: tuple[str, ...]) -> list[x509.GeneralName] | None:
    return [x509.DNSName(name) for name in names] or None


def _is_below(name: str, subtree: str) -> bool:
    return name == subtree or name.endswith(f".{subtree}")


def _hash_of(algorithm: str) -> _Hash:
    return _HASHES[algorithm.partition("_")[0]]


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=not authority,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
