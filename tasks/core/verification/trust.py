"""Does every webhook trust the same CA, and is it the one in the certificate Secret (R9, R10, R21)?

OLM copies the bytes of the Secret's `olmCAKey` into every caBundle, so all of them are equal byte for byte
(operator-lifecycle-manager v0.20.0 and v0.46.0, pkg/controller/install/webhook.go and certresources.go).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tasks.core.manifests import Manifest
from tasks.core.profiles import OperatorProfile, WebhookRole
from tasks.core.verification.findings import Check, Finding, FindingState
from tasks.core.verification.webhooks import RegisteredWebhook, registrations_of

CA_KEY = "olmCAKey"
"""The Secret's key with the CA certificate in PEM."""

_SHOWN_DIGITS = 16
_REPAIR = (
    "A patch of the Secret alone never reaches the caBundles: bring both together, or let OLM install "
    "the webhooks anew (patch the CSV's status to phase Pending)."
)


@dataclass(frozen=True)
class TrustedCa:
    """A CA bundle that the API server or the Secret holds.

    Attributes:
        pem: The bytes.
        certificates: The certificates in it; empty when it cannot be read.
    """

    pem: bytes
    certificates: tuple[x509.Certificate, ...]

    @classmethod
    def read(cls, pem: bytes) -> "TrustedCa":
        """Take the bytes as they are, and the certificates out of them if it is PEM."""
        try:
            return cls(pem, tuple(x509.load_pem_x509_certificates(pem)))
        except ValueError:
            return cls(pem, ())

    def description(self) -> str:
        """Subject, SHA-256 and end of each certificate, as a person compares them."""
        return "; ".join(_description(certificate) for certificate in self.certificates) or "no certificate"


def published_ca(secret: Manifest | None) -> bytes | None:
    """The CA in the certificate Secret; None when the Secret, the key or the base64 is not there."""
    return _decoded(((secret or {}).get("data") or {}).get(CA_KEY))


def ca_bundle_of(entry: Mapping[str, Any]) -> bytes | None:
    """The CA that the API server trusts for one webhook; None when there is none."""
    return _decoded((entry.get("clientConfig") or {}).get("caBundle"))


def check_ca_bundles(
    profile: OperatorProfile, configurations: Iterable[Manifest], ca: bytes | None, now: datetime
) -> tuple[Finding, ...]:
    """One finding for each registered webhook of the profile, the inert ones included.

    Args:
        profile: The operator.
        configurations: All Validating- and MutatingWebhookConfigurations of the cluster.
        ca: What `published_ca` read from the certificate Secret.
        now: The time at which the CA has to be valid, with a time zone.
    """
    listed = list(configurations)
    return tuple(
        _check_ca_bundle(one, "" if webhook.role is WebhookRole.INERT else webhook.runbook, ca, now)
        for webhook in profile.webhooks
        for one in registrations_of(webhook, listed)
    )


def _check_ca_bundle(found: RegisteredWebhook, runbook: str, ca: bytes | None, now: datetime) -> Finding:
    published = "no readable CA" if ca is None else TrustedCa.read(ca).description()
    expected = f"the bytes of {CA_KEY} in the Secret: {published}"
    problem = _problem(ca_bundle_of(found.entry), ca, now)
    if not problem:
        return Finding(Check.CA_BUNDLE, runbook, found.ref, FindingState.PASS, expected, "the same bytes")
    return Finding(Check.CA_BUNDLE, runbook, found.ref, FindingState.FAIL, expected, problem, _REPAIR)


def _problem(bundle: bytes | None, ca: bytes | None, now: datetime) -> str:
    if bundle is None:
        return "no caBundle: the API server would use the roots of its own system"
    trusted = TrustedCa.read(bundle)
    if not trusted.certificates:
        return "a caBundle that is not PEM"
    ended = [one for one in trusted.certificates if not _is_valid(one, now)]
    if len(ended) == len(trusted.certificates):
        return f"a CA that is not valid now: {trusted.description()}"
    return "" if bundle == ca else f"another CA: {trusted.description()}"


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _description(certificate: x509.Certificate) -> str:
    fingerprint = certificate.fingerprint(SHA256()).hex()[:_SHOWN_DIGITS]
    subject = certificate.subject.rfc4514_string() or "(no subject)"
    return f"{subject}, SHA-256 {fingerprint}…, until {certificate.not_valid_after_utc:%Y-%m-%d}"


def _decoded(text: object) -> bytes | None:
    if not isinstance(text, str) or not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
