"""The words of a diagnosis: what may be wrong with a webhook's certificate, how bad, and what repairs it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tasks.core.certificates.cluster_requests import RequestState
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.olm import Prediction
from tasks.core.certificates.pem import redact_keys
from tasks.core.certificates.webhook_secrets import SecretFacts
from tasks.core.manifests import Manifest


class CertificateCase(StrEnum):
    """What is wrong, in the order in which causes come before their effects."""

    REQUEST_UNDECIDED = "REQUEST_UNDECIDED"
    REQUEST_REFUSED = "REQUEST_REFUSED"
    """Denied or failed."""
    REQUEST_NOT_SIGNED = "REQUEST_NOT_SIGNED"
    """Approved, and no certificate in its status: no controller signs for this signer."""
    SECRET_MISSING = "SECRET_MISSING"  # noqa: S105 - a case, not a password
    SECRET_OVERWRITTEN = "SECRET_OVERWRITTEN"  # noqa: S105 - same
    """OLM put its own certificate over ours."""
    CERTIFICATE_UNREADABLE = "CERTIFICATE_UNREADABLE"
    WRONG_CERTIFICATE = "WRONG_CERTIFICATE"
    """R22 (d): tls.crt is not the certificate that was issued."""
    KEY_UNREADABLE = "KEY_UNREADABLE"
    KEY_MISMATCH = "KEY_MISMATCH"
    """R22 (c): tls.key does not belong to tls.crt."""
    PRIVATE_KEY_EXPOSED = "PRIVATE_KEY_EXPOSED"
    """A private key stands in olmCAKey or a caBundle, which everybody may read."""
    WRONG_CA = "WRONG_CA"
    """R22 (b): olmCAKey does not have the CA that issued tls.crt."""
    INTERMEDIATE_MISPLACED = "INTERMEDIATE_MISPLACED"
    """An intermediate issued tls.crt, and olmCAKey has the root or stands in tls.crt alone."""
    CA_NOT_FIRST = "CA_NOT_FIRST"
    """The issuing CA is in olmCAKey, behind another one: OLM 0.29.0 and later reads the first only."""
    NAMES_MISSING = "NAMES_MISSING"
    LEAF_NOT_CURRENT = "LEAF_NOT_CURRENT"
    CHAIN_NOT_CURRENT = "CHAIN_NOT_CURRENT"
    """A CA of the chain has expired or is not yet valid."""
    PEM_FAULT = "PEM_FAULT"
    """Garbage, Windows line ends, a damaged block."""
    OLM_WILL_REPLACE = "OLM_WILL_REPLACE"
    CA_BUNDLE_STALE = "CA_BUNDLE_STALE"
    """A caBundle does not have the bytes of olmCAKey."""
    ENDPOINT_SILENT = "ENDPOINT_SILENT"
    ENDPOINT_STALE = "ENDPOINT_STALE"
    """An endpoint serves another certificate than the Secret has."""
    SERVICES_DISAGREE = "SERVICES_DISAGREE"
    CERT_MANAGER_CLAIM = "CERT_MANAGER_CLAIM"
    """An annotation tells cert-manager to write the same caBundle."""
    API_SERVER_REFUSES = "API_SERVER_REFUSES"
    """The API server would refuse the webhook for a reason that no other case explains."""


class Severity(StrEnum):
    """How bad it is."""

    BROKEN = "BROKEN"
    """The API server refuses the webhooks now."""
    WILL_BREAK = "WILL_BREAK"
    """It works, until OLM, a restart or a date comes."""
    NOTE = "NOTE"


class Repair(StrEnum):
    """What to do about it."""

    ASK_FOR_DECISION = "ASK_FOR_DECISION"
    """A person decides on the pending request."""
    SIGN_REQUEST = "SIGN_REQUEST"
    """Sign the approved request."""
    ISSUE_NEW_CERTIFICATE = "ISSUE_NEW_CERTIFICATE"
    """New key, new request, new decision; then publish."""
    REPLACE_CA = "REPLACE_CA"
    """Make or choose another CA and rotate to it with overlap."""
    PUBLISH_ISSUED = "PUBLISH_ISSUED"
    """Put the issued certificate into tls.crt: the Secret's key belongs to it."""
    WRITE_TRUST = "WRITE_TRUST"
    """Put the issuing CA's certificate first into olmCAKey, then into every caBundle."""
    WRITE_CA_BUNDLES = "WRITE_CA_BUNDLES"
    """Put the bytes of olmCAKey into every caBundle."""
    RESTORE_LABEL = "RESTORE_LABEL"
    """Put OLM's label back on the Secret."""
    NORMALISE_PEM = "NORMALISE_PEM"
    """Write the same certificates again as plain PEM."""
    RESTART_OPERATOR = "RESTART_OPERATOR"
    """Wait two minutes for the kubelet; then restart the operator's pods."""
    CHECK_OPERATOR = "CHECK_OPERATOR"
    """The operator does not answer at all: look at its pods."""
    REMOVE_ANNOTATION = "REMOVE_ANNOTATION"
    """Take the cert-manager annotation off, or leave the certificate to cert-manager."""

    @property
    def safe(self) -> bool:
        """Whether the pipeline may do it without a decision: no new key, no restart, no object of others."""
        return self in _SAFE


_SAFE = frozenset(
    {
        Repair.PUBLISH_ISSUED,
        Repair.WRITE_TRUST,
        Repair.WRITE_CA_BUNDLES,
        Repair.RESTORE_LABEL,
        Repair.NORMALISE_PEM,
    }
)


@dataclass(frozen=True)
class CertificateFinding:
    """One thing that is wrong.

    Attributes:
        case: What.
        severity: How bad.
        subject: Which object or entry, as in `Secret mesh/manager-service-cert, olmCAKey`.
        expected: What should be there.
        found: What is there: the evidence. Never key material.
        repair: What to do.
    """

    case: CertificateCase
    severity: Severity
    subject: str
    expected: str
    found: str
    repair: Repair


@dataclass(frozen=True)
class WebhookFact:
    """One webhook of a configuration.

    Attributes:
        configuration: The configuration object, as in `ValidatingWebhookConfiguration x-validator-abcde`.
        webhook: webhooks[].name.
        service: clientConfig.service.name.
        ca_bundle: The decoded caBundle; a private key that stands there by mistake is redacted.
    """

    configuration: str
    webhook: str
    service: str
    ca_bundle: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Redact private keys."""
        object.__setattr__(self, "ca_bundle", redact_keys(self.ca_bundle))


@dataclass(frozen=True)
class EndpointFact:
    """What one endpoint of a Service answered to a handshake.

    Attributes:
        service: The Service's name.
        address: The endpoint, as in `10.1.2.3:9443`.
        presented: PEM of the chain that it presented, empty without an answer.
        problem: Why there was no answer.
    """

    service: str
    address: str
    presented: bytes = field(repr=False)
    problem: str = ""


class CertManager(StrEnum):
    """Whether cert-manager runs in the cluster."""

    ABSENT = "ABSENT"
    PRESENT = "PRESENT"


_CLAIMS = ("inject-ca-from", "inject-ca-from-secret", "inject-apiserver-ca")
"""Each makes cert-manager's cainjector write the object's caBundle (its documentation, CA Injector)."""
_CERT_MANAGER = ("cert-manager.io", "certmanager.k8s.io")
"""Before 0.11 its annotations were in the second group."""


def cert_manager_claims(manifest: Manifest) -> Iterator[str]:
    """The annotations of an object by which cert-manager writes its caBundle: `name: value`."""
    for name, value in (manifest["metadata"].get("annotations") or {}).items():
        group, _, key = name.partition("/")
        if key in _CLAIMS and group in _CERT_MANAGER:
            yield f"{name}: {value}"


@dataclass(frozen=True)
class CertificateState:
    """Everything that a diagnosis looks at.

    Attributes:
        target: The Services and their namespace.
        now: The time of the diagnosis, aware.
        secret: The webhook's Secret without its key, None when there is none.
        prediction: What OLM will do with it.
        webhooks: Every webhook that calls one of the Services.
        endpoints: What the endpoints present.
        issued: The certificate that was issued for this cluster, PEM; empty when not known.
        request: Where the newest request stands; None when it was collected or never made.
        annotated: Objects with a cert-manager annotation, mapped to its value.
        cert_manager: Whether somebody acts on these annotations.
    """

    target: WebhookTarget
    now: datetime
    secret: SecretFacts | None
    prediction: Prediction
    webhooks: tuple[WebhookFact, ...] = ()
    endpoints: tuple[EndpointFact, ...] = ()
    issued: bytes = field(default=b"", repr=False)
    request: RequestState | None = None
    annotated: Mapping[str, str] = field(default_factory=dict)
    cert_manager: CertManager = CertManager.ABSENT
