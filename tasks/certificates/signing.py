"""After the decision: approved as decided, signed by our CA, stored in the request, read back (R15–R19)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from blocks.certificate_authority import CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.requests import clear_request, denial_of, expected_request, request_ref
from tasks.certificates.signers import Signer, describe_signer, signer_for
from tasks.certificates.staging import Staged, require_staged
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.certificates.cluster_request_policy import check_cluster_request
from tasks.core.certificates.cluster_requests import (
    PENDING_LIFETIME,
    RequestState,
    approval_deadline,
    approved,
    issued,
    issued_certificate,
    state_of,
)
from tasks.core.certificates.commissions import Commission
from tasks.core.certificates.issuing import check_issued
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


@step("check-authority")
def check_authority(
    cluster: KubernetesCluster,  # noqa: ARG001 - the step's name has it
    order: CertificateOrder,
    authority: CertificateAuthority,
) -> str:
    """Refuse a CA that cannot sign this now, before anybody is asked; gives the line that the approver sees.

    Raises:
        CertificateError: It must not sign this, or no certificate of it would be accepted.
        FleetError: It cannot be opened: a file, a Secret or OCI says why.
    """
    signer = signer_for(authority)
    signer.require_able(order.plan)
    return describe_signer(authority, signer)


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
    signer = signer_for(authority)
    _require_shown_authority(request, describe_signer(authority, signer))
    signer.require_able(order.plan)
    with _cleared_when_refused(client, order, request):
        judge = _Judge(order, require_staged(client, order), signer)
        manifest = _read_shown(client, order, judge.staged, request)
        judge.require_good_if_any(manifest, request)
    manifest = _decide(client, manifest, decision, request)
    with _cleared_when_refused(client, order, request):
        if state_of(manifest) is not RequestState.ISSUED:
            client.replace(issued(manifest, judge.sign(manifest, request)), subresource="status")
        return judge.accept(_read_shown(client, order, judge.staged, request), request)


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


def _require_shown_authority(request: PendingRequest, found: str) -> None:
    if request.authority not in ("", found):
        raise DecisionError(
            "sign what was shown",
            request.shown.name,
            f"the CA that was shown: {request.authority}",
            found,
            "Nothing was signed. Run the flow again: it asks for a decision about this CA.",
        )


def _decide(
    client: ClusterClient, manifest: Manifest, decision: Decision, request: PendingRequest
) -> Manifest:
    if state_of(manifest) is not RequestState.PENDING:
        return manifest
    if decision is Decision.APPROVE:
        changed = approved(manifest, _approval_of(request), datetime.now(UTC))
        return client.replace(changed, subresource="approval")
    raise DecisionError(
        "sign a request",
        f"{client.name}: {request.shown.name}",
        "an approval in the cluster",
        "no decision there yet",
        f"Use kubectl certificate approve {request.shown.name}, then run the flow again.",
    )


def _approval_of(request: PendingRequest) -> str:
    return f"Approved through osok-fleet, request sha256 {request.shown.digest}"


def _how(manifest: Manifest, request: PendingRequest) -> str:
    """Who approved, from the object itself: a run that starts again says the same."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    ours = any(one.get("message") == _approval_of(request) for one in conditions)
    return (
        "approved by the pipeline on behalf of the person at the gate" if ours else "approved in the cluster"
    )


@dataclass(frozen=True)
class _Judge:
    """Judges certificates for one request of one cluster, whoever signed them."""

    order: CertificateOrder
    staged: Staged
    signer: Signer

    def require_good(self, content: bytes, name: str) -> None:
        """Refuse a certificate that is not for our key, our names and our CA."""
        expectation = self.staged.expectation(self.order)
        refusals = check_issued(content, expectation, self.signer.trust, datetime.now(UTC))
        require_none(refusals, "accept the issued certificate", f"CertificateSigningRequest {name}")

    def require_good_if_any(self, manifest: Manifest, request: PendingRequest) -> None:
        """Judge what is there before the approval: in the status, or pasted at the gate."""
        if content := issued_certificate(manifest):
            self.require_good(content, request.shown.name)
        elif request.signed:
            self.sign(manifest, request)

    def sign(self, manifest: Manifest, request: PendingRequest) -> bytes:
        """Have it signed. The status can be written once only, so what was signed is judged first."""
        name = request.shown.name
        created = approval_deadline(manifest) - PENDING_LIFETIME
        expectation = self.staged.expectation(self.order)
        content = self.signer.sign(
            Commission(name, self.staged.request, expectation, created, request.signed)
        )
        self.require_good(content, name)
        return content

    def accept(self, manifest: Manifest, request: PendingRequest) -> IssuedCertificate:
        """What was read back from the status, judged once more."""
        content = issued_certificate(manifest)
        self.require_good(content, request.shown.name)
        leaf = read_certificates(content)[0]
        return IssuedCertificate(
            request=request.shown.name,
            certificate_pem=content,
            authority_pem=b"".join(certificate.pem for certificate in self.signer.trust),
            serial=leaf.serial,
            sha256=leaf.sha256,
            spki_sha256=leaf.spki_sha256,
            not_before=leaf.not_before,
            not_after=leaf.not_after,
            decided=_how(manifest, request),
        )
