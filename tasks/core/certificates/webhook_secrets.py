"""The Secret that OLM mounts into the operator, and the staging Secret that holds a key until publishing.

Runbook R20, R21. Manifests built here carry a private key: they go to the API server and nowhere else. What
is read from a Secret for comparing and showing (`SecretFacts`) has the key's public fingerprint only.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.core.certificates.bundles import read_bundle
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.keys import PrivateKey, load_key
from tasks.core.certificates.olm import (
    CA_HASH_ANNOTATION,
    CA_KEY,
    MANAGED_LABEL,
    TLS_TYPE,
    secret_entry,
)
from tasks.core.certificates.pem import redact_keys
from tasks.core.certificates.reading import read_certificates
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, sha256_hex

CERTIFICATE_ENTRY = "tls.crt"
KEY_ENTRY = "tls.key"
REQUEST_ENTRY = "request.pem"
STAGING_SECRET = "osok-fleet-staging"  # noqa: S105 - the name of a Secret, not a password
"""Where a key waits for its certificate, in the operator's namespace."""
PREVIOUS_SECRET = "osok-fleet-previous"  # noqa: S105 - as above
"""Where a certificate and its key are kept until the next one is proven, in the same place."""
# Made by `kubectl apply`: it repeats the data, and so the key.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True)
class ServingMaterial:
    """What one webhook serves with.

    Attributes:
        certificate: tls.crt: the leaf, and nothing else, since OLM reads only the first block.
        key: Its private key.
        trust: olmCAKey: the issuing CA first.
    """

    certificate: bytes
    key: PrivateKey = field(repr=False)
    trust: bytes

    def __post_init__(self) -> None:
        """Refuse material with which a server could not start or OLM would not live.

        Raises:
            CertificateError: Key and certificate do not belong together, or the trust bundle has a fault.
        """
        leaf = next(iter(read_certificates(self.certificate)), None)
        if leaf is None or leaf.spki_sha256 != self.key.spki_sha256:
            found = f"a certificate for {leaf.spki_sha256}" if leaf else "no certificate"
            expected = f"a certificate for our key {self.key.spki_sha256}"
            raise CertificateError("fill the webhook's Secret", CERTIFICATE_ENTRY, expected, found)
        problems = read_bundle(self.trust).problems
        if problems:
            raise CertificateError(
                "fill the webhook's Secret",
                CA_KEY,
                "CA certificates in PEM and nothing else",
                ", ".join(problems),
            )


@dataclass(frozen=True)
class SecretFacts:
    """A webhook's Secret without its key.

    Attributes:
        name: metadata.name.
        namespace: metadata.namespace.
        kind: The Secret's type; it can never be changed.
        resource_version: For the precondition of a patch.
        labels: metadata.labels.
        annotations: metadata.annotations, without kubectl's copy of the whole object.
        certificate: tls.crt, empty without it; a private key that stands there by mistake is redacted.
        trust: olmCAKey, likewise.
        key_spki_sha256: The public fingerprint of tls.key, empty when it cannot be read.
        key_problem: Why tls.key cannot be read, empty when it can.
    """

    name: str
    namespace: str
    kind: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    certificate: bytes = field(repr=False)
    trust: bytes = field(repr=False)
    key_spki_sha256: str
    key_problem: str = ""

    @property
    def leaf(self) -> Certificate | None:
        """The first certificate of tls.crt."""
        return next(iter(read_certificates(self.certificate)), None)


@dataclass(frozen=True)
class StagedKey:
    """What the staging Secret held.

    Attributes:
        key: The private key.
        request: The PEM request that was made with it.
    """

    key: PrivateKey = field(repr=False)
    request: bytes


def build_webhook_secret(name: str, namespace: str, material: ServingMaterial) -> Manifest:
    """The Secret of a fresh install, made before the operator: OLM then uses it as it is."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": TLS_TYPE,
        "metadata": {"name": name, "namespace": namespace, **_metadata(material.trust)},
        "data": _data(material),
    }


def switch_patch(facts: SecretFacts, material: ServingMaterial) -> Manifest:
    """The merge patch that puts new certificate, key and trust into place at once (R20).

    Raises:
        CertificateError: The Secret has a type that OLM could never update.
    """
    return _patch(facts, material.trust, _data(material))


def trust_patch(facts: SecretFacts, trust: bytes) -> Manifest:
    """The merge patch that changes olmCAKey alone: widening before, narrowing after the switch.

    Raises:
        CertificateError: The Secret has a type that OLM could never update.
    """
    return _patch(facts, trust, {CA_KEY: _encode(trust)})


def read_webhook_secret(secret: Manifest) -> SecretFacts:
    """Read a Secret and leave its key behind."""
    metadata = secret.get("metadata") or {}
    fingerprint, problem = _key_facts(secret)
    return SecretFacts(
        name=metadata.get("name") or "",
        namespace=metadata.get("namespace") or "",
        kind=secret.get("type") or "",
        resource_version=metadata.get("resourceVersion") or "",
        labels=dict(metadata.get("labels") or {}),
        annotations={
            name: value
            for name, value in (metadata.get("annotations") or {}).items()
            if name != _LAST_APPLIED
        },
        certificate=redact_keys(secret_entry(secret, CERTIFICATE_ENTRY) or b""),
        trust=redact_keys(secret_entry(secret, CA_KEY) or b""),
        key_spki_sha256=fingerprint,
        key_problem=problem,
    )


def build_staging_secret(name: str, namespace: str, staged: StagedKey, labels: Mapping[str, str]) -> Manifest:
    """The Secret with key and request while a person decides; without OLM's label, so OLM ignores it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": {"osok-fleet.io/request-sha256": sha256_hex(staged.request)},
        },
        "data": {
            KEY_ENTRY: _encode(staged.key.pkcs8_pem().get_secret_value()),
            REQUEST_ENTRY: _encode(staged.request),
        },
    }


def read_staging_secret(secret: Manifest) -> StagedKey:
    """Take key and request from a staging Secret.

    Raises:
        CertificateError: One is missing or unreadable.
    """
    name = (secret.get("metadata") or {}).get("name") or ""
    key, request = secret_entry(secret, KEY_ENTRY), secret_entry(secret, REQUEST_ENTRY)
    if not key or not request:
        missing = " and ".join(
            label for label, value in ((KEY_ENTRY, key), (REQUEST_ENTRY, request)) if not value
        )
        raise CertificateError(
            "take up the staged key",
            f"Secret {name}",
            f"the entries {KEY_ENTRY} and {REQUEST_ENTRY}",
            f"no {missing}",
            "Delete the Secret; the next run makes a new key and asks again.",
        )
    return StagedKey(load_key(key), request)


def _patch(facts: SecretFacts, trust: bytes, data: Mapping[str, str]) -> Manifest:
    if facts.kind != TLS_TYPE:
        raise CertificateError(
            "patch the webhook's Secret",
            f"Secret {facts.namespace}/{facts.name}",
            f"the type {TLS_TYPE}",
            f"the type {facts.kind or 'none'}, which nobody can change, so that OLM's next update would fail",
            "Delete the Secret and let the pipeline create it again.",
        )
    metadata = {"resourceVersion": facts.resource_version, **_metadata(trust)}
    return {"metadata": metadata, "data": dict(data)}


def _metadata(trust: bytes) -> dict[str, Any]:
    return {
        "labels": {MANAGED_LABEL: "true"},
        "annotations": {CA_HASH_ANNOTATION: sha256_hex(trust)},
    }


def _data(material: ServingMaterial) -> dict[str, str]:
    return {
        CERTIFICATE_ENTRY: _encode(material.certificate),
        KEY_ENTRY: _encode(material.key.pkcs8_pem().get_secret_value()),
        CA_KEY: _encode(material.trust),
    }


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _key_facts(secret: Manifest) -> tuple[str, str]:
    try:
        content = secret_entry(secret, KEY_ENTRY)
        return (load_key(content).spki_sha256, "") if content else ("", "there is no tls.key")
    except CertificateError as error:
        return "", f"{error.found} instead of {error.expected}"
