"""After the decision: approved as decided, signed by our CA, stored in the request, read back (R15–R19)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from blocks.certificate_authority import CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.authorities import open_authority
from tasks.certificates.requests import clear_request, denial_of, expected_request, request_ref
from tasks.certificates.staging import Staged, require_staged
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.certificates.authorities import Authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_request_policy import check_cluster_request
from tasks.core.certificates.cluster_requests import (
    RequestState,
    approved,
    issued,
    issued_certificate,
    state_of,
)
from tasks.core.certificates.issuing import check_issued, sign_request
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.request_policy import require_none
from tasks.core.errors import CertificateError, DecisionError
from tasks.core.manifests import Manifest
from tasks.steps import step


class Decision(StrEnum):
    """What the person at the gate decided."""

    APPROVE = "APPROVE"
    """Sign what was shown; the pipeline approves the request in the cluster on the person's behalf."""
    DENY = "DENY"
    """Nothing is signed or published; requests and staged keys are removed."""
    CLUSTER = "CLUSTER"
    """The decision was made with `kubectl certificate approve|deny`; the pipeline only reads it."""


@dataclass(frozen=True)
class IssuedCertificate:
    """A certificate that was signed and read back. Everything in it is public.

    Attributes:
        certificate_pem: The leaf, PEM.
        authority_pem: The issuing CA's certificate, PEM: the first block of olmCAKey.
        serial: Lower-case hexadecimal.
        sha256: Fingerprint of the leaf.
        decided: How the approval came about: by the pipeline on a person's behalf, or in the cluster.
    """

    request: str
    certificate_pem: bytes
    authority_pem: bytes
    serial: str
    sha256: str
    spki_sha256: str
    not_before: datetime
    not_after: datetime
    decided: str


@step("sign-certificate")
def sign_certificate(
    cluster: KubernetesCluster,
    order: CertificateOrder,
    request: PendingRequest,
    decision: Decision,
    authority: CertificateAuthority,
) -> IssuedCertificate:
    """Carry the decision out on one cluster.

    The object is read again by name; it has to be the very one that was shown: same uid, bytes, requester and
    signer. A certificate that somebody else put into its status is accepted only if it would have been ours.
    After a refusal or a denial our request and the staged key are gone, so a later run starts afresh.

    Raises:
        DecisionError: The request was denied in the cluster, or nobody approved it there yet.
        CertificateError: The object changed, or holds a certificate that is not for our key.
    """
    client = open_cluster(cluster)
    # Everything that can fail comes before the approval: nobody can take an approval back.
    opened = open_authority(authority)
    with _cleared_when_refused(client, order, request):
        staged = require_staged(client, order)
        manifest = _read_shown(client, order, staged, request)
        _refuse_foreign_certificate(order, staged, opened, manifest)
    manifest, how = _decide(client, manifest, decision, request)
    if state_of(manifest) is not RequestState.ISSUED:
        leaf = sign_request(staged.request, staged.expectation(order), opened, datetime.now(UTC))
        client.replace(issued(manifest, leaf.pem), subresource="status")
    with _cleared_when_refused(client, order, request):
        manifest = _read_shown(client, order, staged, request)
        return _read_back(order, staged, opened, manifest, how)


@step("discard-request")
def discard_denied_request(
    cluster: KubernetesCluster, order: CertificateOrder, request: PendingRequest
) -> None:
    """Remove request and staged key after a denial; nothing was published."""
    clear_request(open_cluster(cluster), order, request.shown)


@contextmanager
def _cleared_when_refused(
    client: ClusterClient, order: CertificateOrder, request: PendingRequest
) -> Iterator[None]:
    try:
        yield
    except (CertificateError, DecisionError):
        clear_request(client, order, request.shown)
        raise


def _read_shown(
    client: ClusterClient, order: CertificateOrder, staged: Staged, request: PendingRequest
) -> Manifest:
    manifest = client.get(request_ref(request.shown.name))
    subject = f"{client.name}: CertificateSigningRequest {request.shown.name}"
    if manifest is None:
        raise CertificateError(
            "sign what was shown",
            subject,
            "the request",
            "none: deleted, or collected 24 hours after its creation",
            "Run the flow again: it makes a new request and asks for a new decision.",
        )
    shown = request.shown
    if denial := denial_of(manifest):
        raise DecisionError(
            "sign what was shown", subject, "an approval", f"a denial in the cluster: {denial}"
        )
    expectation = expected_request(order, staged, shown.requester, shown.requester_uid)
    require_none(check_cluster_request(manifest, expectation, shown), "sign what was shown", subject)
    return manifest


def _refuse_foreign_certificate(
    order: CertificateOrder, staged: Staged, authority: Authority, manifest: Manifest
) -> None:
    if issued_certificate(manifest):
        _check_certificate(order, staged, authority, manifest)


def _decide(
    client: ClusterClient, manifest: Manifest, decision: Decision, request: PendingRequest
) -> tuple[Manifest, str]:
    if state_of(manifest) is not RequestState.PENDING:
        return manifest, "approved in the cluster"
    if decision is Decision.APPROVE:
        message = f"Approved through osok-fleet, request sha256 {request.shown.digest}"
        changed = client.replace(approved(manifest, message, datetime.now(UTC)), subresource="approval")
        return changed, "approved by the pipeline on behalf of the person at the gate"
    raise DecisionError(
        "sign a request",
        f"{client.name}: {request.shown.name}",
        "an approval in the cluster",
        "no decision there yet",
        f"Use kubectl certificate approve {request.shown.name}, then run the flow again.",
    )


def _read_back(
    order: CertificateOrder, staged: Staged, authority: Authority, manifest: Manifest, how: str
) -> IssuedCertificate:
    content = _check_certificate(order, staged, authority, manifest)
    leaf = read_certificates(content)[0]
    return IssuedCertificate(
        request=manifest["metadata"]["name"],
        certificate_pem=content,
        authority_pem=b"".join(certificate.pem for certificate in _trust(authority)),
        serial=leaf.serial,
        sha256=leaf.sha256,
        spki_sha256=leaf.spki_sha256,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        decided=how,
    )


def _check_certificate(
    order: CertificateOrder, staged: Staged, authority: Authority, manifest: Manifest
) -> bytes:
    content = issued_certificate(manifest)
    refusals = check_issued(content, staged.expectation(order), _trust(authority), datetime.now(UTC))
    name = manifest["metadata"]["name"]
    require_none(refusals, "accept the issued certificate", f"CertificateSigningRequest {name}")
    return content


def _trust(authority: Authority) -> tuple[Certificate, ...]:
    return (authority.certificate, *authority.above)
