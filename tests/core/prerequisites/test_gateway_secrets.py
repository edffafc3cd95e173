"""R27's alternative: the ingress gateway's certificate in a Kubernetes Secret."""

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tasks.core.manifests import Manifest
from tasks.core.prerequisites.findings import Status
from tasks.core.prerequisites.gateway_secrets import check_gateway_secret
from tests.core.prerequisites.facts import NOW

HOSTS = ["shop.example.com"]
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(names: list[str], days: int) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if names:
        extension = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def secret(leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey = KEY) -> Manifest:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    values = {"tls.crt": leaf.public_bytes(serialization.Encoding.PEM), "tls.key": pem}
    return {"data": {name: base64.b64encode(value).decode() for name, value in values.items()}}


def statuses(manifest: Manifest | None) -> list[Status]:
    return [finding.status for finding in check_gateway_secret(manifest, "shop/tls", HOSTS, NOW)]


@pytest.mark.parametrize("names", [["shop.example.com"], ["*.example.com"], []])
def test_a_certificate_with_its_key_that_covers_the_hosts_passes(names: list[str]) -> None:
    assert statuses(secret(certificate(names, 90))) == [Status.PASS] * 3


def test_other_names_and_few_days_are_named() -> None:
    assert statuses(secret(certificate(["other.example.com"], 7))) == [Status.PASS, Status.FAIL, Status.WARN]


def test_another_key_is_named() -> None:
    other = ec.generate_private_key(ec.SECP256R1())

    assert statuses(secret(certificate(HOSTS, 90), other)) == [Status.FAIL]


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        {},
        {"data": {"tls.crt": "%%%"}},
        {"data": {"tls.crt": base64.b64encode(b"no certificate").decode()}},
    ],
)
def test_what_is_no_certificate_is_named(manifest: Manifest | None) -> None:
    assert statuses(manifest) == [Status.FAIL]
