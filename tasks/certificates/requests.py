"""The request on a cluster: made once, checked, and shown to the person who decides (R12–R14)."""

from datetime import datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.orders import describe_present
from tasks.certificates.staging import Staged, discard_staged, read_staged, stage
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder, PendingRequest, Shown
from tasks.core.certificates.cluster_request_policy import ClusterExpectation, check_cluster_request
from tasks.core.certificates.cluster_requests import (
    RequestState,
    ShownRequest,
    approval_deadline,
    build_cluster_request,
    request_bytes,
    request_name,
    show_request,
    state_of,
)
from tasks.core.certificates.keys import describe_key
from tasks.core.certificates.request_policy import RefusalReason, require_none
from tasks.core.errors import ClusterConflictError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.steps import step
from tasks.target import Target

_CSR = ("certificates.k8s.io/v1", "CertificateSigningRequest")


@step("request-certificate")
def request_certificate(
    cluster: KubernetesCluster,
    order: CertificateOrder,
    target: Target,
    shown: Shown,
    decide_by: datetime,
) -> PendingRequest:
    """Make key and CertificateSigningRequest, or find those of an earlier try, and describe them.

    A request of an earlier run that was denied, has failed, or would be collected by the cluster before
    `decide_by` is cleared away first. Once it was shown only a failed one is.

    Raises:
        CertificateError: The object in the cluster is not the one that we made. It stays as evidence; the
            staged key is gone, so a later run asks with another one.
    """
    client = open_cluster(cluster)
    staged, manifest = _staged_and_requested(client, order, target)
    if _is_over(manifest, shown, decide_by):
        clear_request(client, order, show_request(manifest))
        staged, manifest = _staged_and_requested(client, order, target)
    return PendingRequest(
        cluster=client.name,
        cluster_uid=target.uid,
        shown=show_request(manifest),
        subject=f"CN={order.common_name}",
        dns_names=order.plan.dns_names,
        key=describe_key(staged.key.public_key),
        spki_sha256=staged.key.spki_sha256,
        validity=order.validity,
        replaces=describe_present(client, order),
        denial=denial_of(manifest),
        pem=request_bytes(manifest).decode(),
    )


def expected_request(
    order: CertificateOrder, staged: Staged, requester: str, requester_uid: str
) -> ClusterExpectation:
    """What the object in the cluster has to be: ours, for our key, by our account."""
    return ClusterExpectation(staged.expectation(order), order.signer_name, requester, requester_uid)


def clear_request(client: ClusterClient, order: CertificateOrder, shown: ShownRequest) -> None:
    """Delete a request that is over, and the staged key; an object that took its place stays as evidence."""
    manifest = client.get(request_ref(shown.name))
    if manifest is not None and manifest["metadata"]["uid"] == shown.uid:
        client.delete(request_ref(shown.name), shown.uid)
    discard_staged(client, order)


def denial_of(manifest: Manifest) -> str:
    """How a request was denied in the cluster; empty when it was not."""
    conditions = (manifest.get("status") or {}).get("conditions") or ()
    texts = [
        f"{one.get('reason', '')}: {one.get('message', '')}"
        for one in conditions
        if one.get("type") == "Denied" and one.get("status", "True") == "True"
    ]
    return "; ".join(texts)[:300].rstrip(".")


def request_ref(name: str) -> ObjectRef:
    """The reference of a CertificateSigningRequest."""
    return ObjectRef(*_CSR, name)


def _staged_and_requested(
    client: ClusterClient, order: CertificateOrder, target: Target
) -> tuple[Staged, Manifest]:
    staged = read_staged(client, order) or stage(client, order)
    manifest = _find_or_create(client, order, staged, target.user)
    expectation = expected_request(order, staged, target.user, target.user_uid)
    # What was decided about it is for the caller; whether it is ours comes first.
    refusals = tuple(
        refusal
        for refusal in check_cluster_request(manifest, expectation)
        if refusal.reason not in (RefusalReason.DENIED, RefusalReason.FAILED)
    )
    if refusals:
        discard_staged(client, order)
    subject = f"{client.name}: CertificateSigningRequest {manifest['metadata']['name']}"
    require_none(refusals, "show a request for approval", subject)
    return staged, manifest


def _is_over(manifest: Manifest, shown: Shown, decide_by: datetime) -> bool:
    state = state_of(manifest)
    if shown is Shown.ALREADY:
        return state is RequestState.FAILED
    if state is RequestState.PENDING:
        return approval_deadline(manifest) < decide_by
    return state in (RequestState.DENIED, RequestState.FAILED)


def _delete_orphans(client: ClusterClient, order: CertificateOrder, user: str) -> None:
    """Delete our pending requests whose key is gone, before somebody approves one for nothing."""
    ours = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    for manifest in client.list_objects(*_CSR, label_selector=ours):
        name, user_name = manifest["metadata"]["name"], manifest["spec"].get("username")
        same_place = name.rpartition(".")[0] == f"{order.request_base}.{order.namespace}"
        if same_place and user_name == user and state_of(manifest) is RequestState.PENDING:
            client.delete(request_ref(name), manifest["metadata"]["uid"])


def _find_or_create(client: ClusterClient, order: CertificateOrder, staged: Staged, user: str) -> Manifest:
    name = request_name(order.request_base, order.namespace, staged.request)
    live = client.get(request_ref(name))
    if live is not None:
        return live
    manifest = build_cluster_request(name, staged.request, order.plan, order.signer_name, MANAGED_BY)
    _delete_orphans(client, order, user)
    try:
        return client.create(manifest)
    except ClusterConflictError:
        found = client.get(request_ref(name))
        if found is None:
            raise
        return found
