"""The CertificateSigningRequest object of a cluster: making it, showing it, deciding on it, filling it.

Runbook R13-R19. What the API does (kubernetes pkg/apis/certificates/validation): the spec is immutable,
Approved and Denied exclude each other and stay, a certificate in the status is written once, and nothing
records who approved. Requests are collected 24 hours after creation while pending, and 1 hour after being
denied, failed or issued (pkg/controller/certificates/cleaner).
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from tasks.core.certificates.names import is_label
from tasks.core.certificates.profiles import CertificatePlan
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, creation_time, sha256_hex

DEFAULT_SIGNER = "oci.com/osok"
"""Runbook R13: the documented `oci.com` is refused by certificates.k8s.io/v1."""

PENDING_LIFETIME = timedelta(hours=24)
"""How long the controller manager keeps a request that nobody decided on."""

DIGEST_ANNOTATION = "osok-fleet.io/request-sha256"

SHORTEST_EXPIRATION = 600
"""The least spec.expirationSeconds that the API takes."""
LONGEST_EXPIRATION = 2**31 - 1
"""The greatest one: an int32, so the documented 876000h cannot be asked for."""
_NAME_LIMIT = 253


class RequestState(StrEnum):
    """Where a request stands, from its conditions and its certificate."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    """Approved, not yet signed."""
    ISSUED = "ISSUED"
    DENIED = "DENIED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class ShownRequest:
    """What was shown to the approver; a decision is bound to exactly these values.

    Attributes:
        name: metadata.name.
        uid: metadata.uid: another object of the same name has another one.
        digest: SHA-256 of the decoded spec.request.
        signer_name: spec.signerName.
        usages: spec.usages in their order.
        requester: spec.username, as the API server saw it.
        requester_uid: spec.uid of that user, empty when it has none.
        expiration_seconds: spec.expirationSeconds, 0 without one.
    """

    name: str
    uid: str
    digest: str
    signer_name: str
    usages: tuple[str, ...]
    requester: str
    requester_uid: str
    expiration_seconds: int


def request_name(base: str, namespace: str, request: bytes) -> str:
    """The object's name, bound to the request: status.certificate is write-once, so new bytes need a new one.

    Args:
        base: The documented part, `oci-service-operator-controller`.
        namespace: The operator's namespace.
        request: The PEM request.

    Raises:
        CertificateError: The name would be too long.
    """
    name = f"{base}.{namespace}.{_tail(request)}"
    if len(name) > _NAME_LIMIT:
        raise CertificateError(
            "name a certificate signing request", name, f"at most {_NAME_LIMIT} characters", str(len(name))
        )
    return name


def requests_for(found: Iterable[Manifest], base: str, namespace: str) -> tuple[Manifest, ...]:
    """Those among certificate signing requests that bear a name from `request_name`, the newest last."""
    prefix = f"{base}.{namespace}."
    return tuple(
        sorted((one for one in found if one["metadata"]["name"].startswith(prefix)), key=creation_time)
    )


def newest_issued(requests: Sequence[Manifest]) -> bytes:
    """The certificate that was issued last, PEM; empty without one.

    Args:
        requests: The newest last.
    """
    issued = [issued_certificate(one) for one in requests if state_of(one) is RequestState.ISSUED]
    return issued[-1] if issued else b""


def is_name_of(name: str, request: bytes) -> bool:
    """Whether a name from `request_name` belongs to these bytes."""
    return name.rpartition(".")[2] == _tail(request)


def check_signer_name(signer_name: str) -> str:
    """Return a signer name that the API server takes and that no built-in signer serves.

    Raises:
        CertificateError: It is no `domain/path`, or it belongs to Kubernetes.
    """
    attempted = "use a signer name"
    domain, _, path = signer_name.partition("/")
    if "." not in domain or not all(is_label(label) for label in (*domain.split("."), *path.split("."))):
        raise CertificateError(
            attempted,
            signer_name,
            "a fully qualified domain and path of the form 'example.com/signer-name'",
            "a name that certificates.k8s.io/v1 refuses",
            f"Use {DEFAULT_SIGNER}: the documented `oci.com` is refused by every supported API server.",
        )
    if domain == "kubernetes.io" or domain.endswith(".kubernetes.io"):
        raise CertificateError(
            attempted,
            signer_name,
            "a signer of your own",
            "one that kube-controller-manager may sign for with the cluster's own CA",
            f"Use {DEFAULT_SIGNER}.",
        )
    return signer_name


def build_cluster_request(
    name: str, request: bytes, plan: CertificatePlan, signer_name: str, labels: Mapping[str, str]
) -> Manifest:
    """The object to create (runbook R13).

    Args:
        name: From `request_name`.
        request: The PEM request.
        plan: Usages and lifetime.
        signer_name: Who is to sign.
        labels: Labels by which the pipeline finds its own requests again.
    """
    seconds = int(plan.validity.total_seconds())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {
            "name": name,
            "labels": dict(labels),
            "annotations": {DIGEST_ANNOTATION: sha256_hex(request)},
        },
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": check_signer_name(signer_name),
            "usages": [str(usage) for usage in plan.usages],
            "expirationSeconds": min(max(seconds, SHORTEST_EXPIRATION), LONGEST_EXPIRATION),
        },
    }


def request_bytes(manifest: Manifest) -> bytes:
    """The decoded spec.request.

    Raises:
        CertificateError: It is not base64.
    """
    try:
        return base64.b64decode(_spec(manifest).get("request") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CertificateError("read spec.request", _name(manifest), "base64", "something else") from error


def issued_certificate(manifest: Manifest) -> bytes:
    """The decoded status.certificate, empty without one.

    Raises:
        CertificateError: It is not base64.
    """
    try:
        return base64.b64decode((manifest.get("status") or {}).get("certificate") or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise CertificateError(
            "read status.certificate", _name(manifest), "base64", "something else"
        ) from error


def show_request(manifest: Manifest) -> ShownRequest:
    """What an approver is to see, read from the object as the API server returned it."""
    spec, metadata = _spec(manifest), manifest.get("metadata") or {}
    return ShownRequest(
        name=metadata.get("name") or "",
        uid=metadata.get("uid") or "",
        digest=sha256_hex(request_bytes(manifest)),
        signer_name=spec.get("signerName") or "",
        usages=tuple(spec.get("usages") or ()),
        requester=spec.get("username") or "",
        requester_uid=spec.get("uid") or "",
        expiration_seconds=spec.get("expirationSeconds") or 0,
    )


def state_of(manifest: Manifest) -> RequestState:
    """Where the request stands; a refusal outweighs an approval or a certificate."""
    conditions = {
        condition.get("type"): condition.get("status", "True")
        for condition in (manifest.get("status") or {}).get("conditions") or ()
    }
    if conditions.get("Denied") == "True":
        return RequestState.DENIED
    if conditions.get("Failed") == "True":
        return RequestState.FAILED
    if conditions.get("Approved") != "True":
        return RequestState.PENDING
    return RequestState.ISSUED if issued_certificate(manifest) else RequestState.APPROVED


def approval_deadline(manifest: Manifest) -> datetime:
    """When the cluster collects the request if nobody has decided on it.

    Raises:
        CertificateError: The object has no creation time; it was not read from a cluster.
    """
    created = (manifest.get("metadata") or {}).get("creationTimestamp")
    if not isinstance(created, str):
        raise CertificateError("read a request's age", _name(manifest), "metadata.creationTimestamp", "none")
    return datetime.fromisoformat(created).astimezone(UTC) + PENDING_LIFETIME


def approved(manifest: Manifest, message: str, now: datetime) -> Manifest:
    """The object for the `/approval` subresource with the condition Approved (R15).

    Raises:
        CertificateError: It is denied already, which cannot be taken back.
    """
    return _with_condition(manifest, "Approved", message, now)


def denied(manifest: Manifest, message: str, now: datetime) -> Manifest:
    """The object for the `/approval` subresource with the condition Denied (R15).

    Raises:
        CertificateError: It is approved already, which cannot be taken back.
    """
    return _with_condition(manifest, "Denied", message, now)


def issued(manifest: Manifest, certificate: bytes) -> Manifest:
    """The object for the `/status` subresource with the certificate (R18).

    Raises:
        CertificateError: Another certificate stands there already: it can never be replaced.
    """
    present = issued_certificate(manifest)
    if present not in (b"", certificate):
        raise CertificateError(
            "put a certificate into the status",
            _name(manifest),
            "an empty status.certificate or the same certificate",
            f"another one, sha256 {sha256_hex(present)}",
            "Delete this request and start again with a new one: the field is write-once.",
        )
    status = {**(manifest.get("status") or {}), "certificate": base64.b64encode(certificate).decode()}
    return {**manifest, "status": status}


def _with_condition(manifest: Manifest, kind: str, message: str, now: datetime) -> Manifest:
    status: dict[str, Any] = dict(manifest.get("status") or {})
    conditions = list(status.get("conditions") or ())
    decided = {one.get("type") for one in conditions} & {"Approved", "Denied"}
    if decided == {kind}:
        return manifest
    if decided:
        raise CertificateError(
            "decide on a certificate signing request",
            _name(manifest),
            "no decision yet",
            f"the condition {', '.join(sorted(decided))}",
            "Delete the request and start again with a new one: decisions cannot be taken back.",
        )
    condition = {
        "type": kind,
        "status": "True",
        "reason": "OsokFleet",
        "message": message,
        "lastUpdateTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {**manifest, "status": {**status, "conditions": [*conditions, condition]}}


def _tail(request: bytes) -> str:
    return sha256_hex(request)[:12]


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    return manifest.get("spec") or {}


def _name(manifest: Manifest) -> str:
    return f"CertificateSigningRequest {(manifest.get('metadata') or {}).get('name', '')}".strip()
