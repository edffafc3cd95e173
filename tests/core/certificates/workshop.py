"""Makes certificates and requests with any flaw, so that tests can name the flaw in one line."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.names import WebhookTarget, olm_hosts
from tasks.core.certificates.reading import read_certificate

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
NAMESPACE = "oci-service-operator-system"
MANAGER_SERVICE = "oci-service-operator-controller-manager-service"
WEBHOOK_SERVICE = "oci-service-operator-webhook-service"
TARGET = WebhookTarget(NAMESPACE, (MANAGER_SERVICE, WEBHOOK_SERVICE))
HOST = f"{MANAGER_SERVICE}.{NAMESPACE}.svc"
HOSTS = olm_hosts(MANAGER_SERVICE, NAMESPACE)
DAY = timedelta(days=1)

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@cache
def ec_key(number: int) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that is the same within one test run."""
    return ec.generate_private_key(ec.SECP256R1()) if number else ec_key(1)


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key that is the same within one test run."""
    return rsa.generate_private_key(65537, bits)


@dataclass(frozen=True)
class Recipe:
    """Everything about a certificate that a test may want otherwise."""

    name: str = "leaf"
    key: SigningKey = field(default_factory=lambda: ec_key(1))
    dns: tuple[str, ...] | None = HOSTS
    authority: bool | None = False
    path_length: int | None = None
    may_sign: bool | None = None
    purposes: tuple[x509.ObjectIdentifier, ...] | None = (SERVER_AUTH,)
    not_before: datetime = NOW - 30 * DAY
    not_after: datetime = NOW + 300 * DAY
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    extra: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    key_identifiers: bool = True
    digest: hashes.SHA256 | hashes.SHA512 = field(default_factory=hashes.SHA256)
    scheme: padding.PSS | None = None


LEAF = Recipe()
ROOT = Recipe(
    name="Root A",
    key=ec_key(2),
    dns=None,
    authority=True,
    may_sign=True,
    purposes=None,
    not_after=NOW + 900 * DAY,
)
INTERMEDIATE = replace(ROOT, name="Intermediate A", key=ec_key(3), not_after=NOW + 600 * DAY)


def make(recipe: Recipe, issuer: Recipe | None = None) -> Certificate:
    """Make a certificate, signed by the issuer's key or its own."""
    signer = issuer or recipe
    usage = _key_usage(recipe)
    wished: list[tuple[x509.ExtensionType | None, bool]] = [
        (_names(recipe.dns), False),
        (
            None if recipe.authority is None else x509.BasicConstraints(recipe.authority, recipe.path_length),
            True,
        ),
        (usage, True),
        (x509.ExtendedKeyUsage(recipe.purposes) if recipe.purposes is not None else None, False),
        (_constraints(recipe), True),
        *recipe.extra,
    ]
    if recipe.key_identifiers:
        wished.append((x509.SubjectKeyIdentifier.from_public_key(recipe.key.public_key()), False))
        wished.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), False))
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(recipe.name))
        .issuer_name(_name(signer.name))
        .public_key(recipe.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(recipe.not_before)
        .not_valid_after(recipe.not_after)
    )
    for extension, critical in wished:
        if extension is not None:
            builder = builder.add_extension(extension, critical=critical)
    return read_certificate(_sign(builder, signer.key, recipe).public_bytes(Encoding.DER))


def _sign(builder: x509.CertificateBuilder, key: SigningKey, recipe: Recipe) -> x509.Certificate:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return builder.sign(key, None)
    return builder.sign(key, recipe.digest, rsa_padding=recipe.scheme)


def private_key(recipe: Recipe) -> PrivateKey:
    """The recipe's key as the project's own type."""
    assert not isinstance(recipe.key, ed25519.Ed25519PrivateKey)
    return PrivateKey(recipe.key)


def pem(*certificates: Certificate) -> bytes:
    """Certificates as one PEM file."""
    return b"".join(certificate.pem for certificate in certificates)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def _names(dns: tuple[str, ...] | None) -> x509.SubjectAlternativeName | None:
    return None if dns is None else x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])


def _constraints(recipe: Recipe) -> x509.NameConstraints | None:
    if not recipe.permitted and not recipe.excluded:
        return None
    return x509.NameConstraints(_subtrees(recipe.permitted), _subtrees(recipe.excluded))


def _subtrees(bases: tuple[str, ...]) -> list[x509.GeneralName] | None:
    return [x509.IPAddress(ip_network(base)) if "/" in base else x509.DNSName(base) for base in bases] or None


def _key_usage(recipe: Recipe) -> x509.KeyUsage | None:
    if recipe.may_sign is None:
        return None
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=recipe.may_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
