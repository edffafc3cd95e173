"""R27's alternative: the ingress gateway's certificate in a Secret of the type kubernetes.io/tls."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import NameOID

from tasks.core.manifests import Manifest
from tasks.core.prerequisites.certificates import check_days_left, check_hosts
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding

_REPLACE = "Replace the Secret's tls.crt and tls.key by a certificate and its own key."


def check_gateway_secret(
    secret: Manifest | None, name: str, hosts: Sequence[str], now: datetime
) -> tuple[Finding, ...]:
    """Whether the Secret holds a certificate with its key that covers the hosts for a while.

    Args:
        secret: The Secret; None when it is absent.
        name: `namespace/name`, for messages.
        hosts: The hosts that clients use.
        now: The time of the check.
    """
    evidence = f"Secret {name}"
    check = Check(CheckGroup.CERTIFICATE, "R27", "certificate: Secret", evidence)
    if secret is None:
        return (check.failed("it is absent", "Create it with the type kubernetes.io/tls."),)
    certificate = _certificate(secret)
    if certificate is None:
        return (check.failed("its tls.crt is no certificate in PEM", _REPLACE),)
    if not _key_fits(secret, certificate):
        return (check.failed("its tls.key is not the key of its tls.crt", _REPLACE),)
    return (
        check.passed(),
        check_hosts(evidence, _names(certificate), hosts),
        check_days_left(evidence, certificate.not_valid_before_utc, certificate.not_valid_after_utc, now),
    )


def _certificate(secret: Manifest) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(_value(secret, "tls.crt"))
    except ValueError:
        return None


def _key_fits(secret: Manifest, certificate: x509.Certificate) -> bool:
    try:
        key = serialization.load_pem_private_key(_value(secret, "tls.key"), None)
    except (ValueError, TypeError):
        return False
    return key.public_key() == certificate.public_key()


def _value(secret: Manifest, key: str) -> bytes:
    try:
        return base64.b64decode((secret.get("data") or {}).get(key, ""), validate=True)
    except binascii.Error:
        return b""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in common)
    return tuple(extension.value.get_values_for_type(x509.DNSName))
