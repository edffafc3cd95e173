"""Reading certificates from DER and PEM into the facts that verifiers look at."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from tasks.core.certificates.certificate import Certificate, Names, Subtrees
from tasks.core.certificates.der import read_names
from tasks.core.certificates.pem import CERTIFICATE, decode_blocks
from tasks.core.errors import CertificateError

# What Go's crypto/x509 knows; any other critical extension makes it refuse the certificate.
_HANDLED = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)


UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the cryptography library raises for damaged or exotic certificates and requests."""

_KNOWN_NAMES = (x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier)


@lru_cache(maxsize=1024)  # every caBundle, endpoint and chain of a cluster holds the same few
def read_certificate(der: bytes) -> Certificate:
    """Read one certificate from DER.

    Raises:
        CertificateError: It is not a certificate, or an extension cannot be read.
    """
    try:
        parsed = x509.load_der_x509_certificate(der)
        parsed.public_key()
        return _facts(parsed, parsed.extensions)
    except UNREADABLE as error:
        raise CertificateError("read a certificate", "", "an X.509 certificate", f"{error}"[:200]) from error


def read_certificates(pem: bytes) -> tuple[Certificate, ...]:
    """The certificates that a Go program takes from a PEM bundle (x509.CertPool.AppendCertsFromPEM).

    Blocks of another type, with headers or that cannot be read are skipped as there; `find_problems` and
    `bundles.read_bundle` name them.
    """
    return tuple(
        certificate
        for block in decode_blocks(pem)
        if block.label == CERTIFICATE and not block.headers
        for certificate in _readable(block.content)
    )


def _readable(der: bytes) -> Iterable[Certificate]:
    try:
        return (read_certificate(der),)
    except CertificateError:
        return ()


def _facts(parsed: x509.Certificate, extensions: x509.Extensions) -> Certificate:
    raw = read_names(parsed.public_bytes(Encoding.DER))
    names = _value(extensions, x509.SubjectAlternativeName)
    basic = _value(extensions, x509.BasicConstraints)
    usage = _value(extensions, x509.KeyUsage)
    purposes = _value(extensions, x509.ExtendedKeyUsage)
    constraints = _value(extensions, x509.NameConstraints)
    subject_key_id = _value(extensions, x509.SubjectKeyIdentifier)
    authority_key_id = _value(extensions, x509.AuthorityKeyIdentifier)
    return Certificate(
        parsed=parsed,
        issuer_raw=raw.issuer,
        subject_raw=raw.subject,
        names=_names(names) if names else None,
        is_authority=basic.ca if basic else None,
        path_length=basic.path_length if basic else None,
        may_sign=usage.key_cert_sign if usage else None,
        purposes=tuple(purpose.dotted_string for purpose in purposes) if purposes else None,
        constraints=_subtrees(constraints) if constraints else None,
        subject_key_id=subject_key_id.digest if subject_key_id else b"",
        authority_key_id=(authority_key_id.key_identifier or b"") if authority_key_id else b"",
        unhandled=tuple(
            extension.oid.dotted_string
            for extension in extensions
            if extension.critical and not _is_handled(extension)
        ),
    )


def _is_handled(extension: x509.Extension[x509.ExtensionType]) -> bool:
    """Whether Go knows an extension and the forms of name in it."""
    value = extension.value
    if isinstance(value, x509.SubjectAlternativeName):
        return any(isinstance(name, _KNOWN_NAMES) for name in value)
    if isinstance(value, x509.NameConstraints):
        bases = [*(value.permitted_subtrees or ()), *(value.excluded_subtrees or ())]
        return all(isinstance(name, _KNOWN_NAMES) for name in bases)
    return extension.oid in _HANDLED


_ValueT = TypeVar("_ValueT", bound=x509.ExtensionType)


def _value(extensions: x509.Extensions, kind: type[_ValueT]) -> _ValueT | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _subtrees(constraints: x509.NameConstraints) -> Subtrees:
    return Subtrees(_names(constraints.permitted_subtrees or ()), _names(constraints.excluded_subtrees or ()))


def _names(names: Iterable[x509.GeneralName]) -> Names:
    listed = list(names)
    return Names(
        dns=tuple(name.value for name in listed if isinstance(name, x509.DNSName)),
        ips=tuple(_network(name) for name in listed if isinstance(name, x509.IPAddress)),
        others=tuple(
            f"{type(name).__name__}:{name.value}"
            for name in listed
            if not isinstance(name, x509.DNSName | x509.IPAddress)
        ),
    )


def _network(name: x509.IPAddress) -> IPv4Network | IPv6Network:
    value = name.value
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    return IPv4Network(value) if value.version == 4 else IPv6Network(value)  # noqa: PLR2004 - IP version 4
