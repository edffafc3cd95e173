"""The request on a cluster: made once, checked, and shown to the person who decides (R12–R14)."""

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.orders import describe_present
from tasks.certificates.staging import Staged, discard_staged, read_staged, stage
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.certificates.cluster_request_policy import ClusterExpectation, check_cluster_request
from tasks.core.certificates.cluster_requests import (
    RequestState,
    build_cluster_request,
    request_name,
    show_request,
    state_of,
)
from tasks.core.certificates.keys import describe_key
from tasks.core.certificates.request_policy import require_none
from tasks.core.errors import ClusterConflictError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.steps import step
from tasks.target import Target

_CSR = ("certificates.k8s.io/v1", "CertificateSigningRequest")


@step("request-certificate")
def request_certificate(
    cluster: KubernetesCluster, order: CertificateOrder, target: Target
) -> PendingRequest:
    """Make key and CertificateSigningRequest, or find those of an earlier try, and describe them.

    A request that was denied or failed before is cleared away first: it can never be signed.

    Raises:
        CertificateError: The object in the cluster is not the one that we made.
    """
    client = open_cluster(cluster)
    staged = read_staged(client, order) or stage(client, order)
    manifest = _find_or_create(client, order, staged)
    if state_of(manifest) in (RequestState.DENIED, RequestState.FAILED):
        discard_request(client, order, manifest)
        staged = stage(client, order)
        manifest = _find_or_create(client, order, staged)
    expectation = expected_request(order, staged, target.user, target.user_uid)
    subject = f"{client.name}: CertificateSigningRequest {manifest['metadata']['name']}"
    require_none(check_cluster_request(manifest, expectation), "show a request for approval", subject)
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
    )


def expected_request(
    order: CertificateOrder, staged: Staged, requester: str, requester_uid: str
) -> ClusterExpectation:
    """What the object in the cluster has to be: ours, for our key, by our account."""
    return ClusterExpectation(staged.expectation(order), order.signer_name, requester, requester_uid)


def discard_request(client: ClusterClient, order: CertificateOrder, manifest: Manifest) -> None:
    """Delete a request that is over, and the key that waited for it."""
    client.delete(request_ref(manifest["metadata"]["name"]), manifest["metadata"]["uid"])
    discard_staged(client, order)


def request_ref(name: str) -> ObjectRef:
    """The reference of a CertificateSigningRequest."""
    return ObjectRef(*_CSR, name)


def _find_or_create(client: ClusterClient, order: CertificateOrder, staged: Staged) -> Manifest:
    name = request_name(order.request_base, order.namespace, staged.request)
    live = client.get(request_ref(name))
    if live is not None:
        return live
    manifest = build_cluster_request(name, staged.request, order.plan, order.signer_name, MANAGED_BY)
    try:
        return client.create(manifest)
    except ClusterConflictError:
        found = client.get(request_ref(name))
        if found is None:
            raise
        return found
