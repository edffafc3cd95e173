"""Reads what a diagnosis of a webhook's certificate looks at, from one cluster (R14, R19, R21, R22).

Only public facts leave this module: of the Secret's key nothing is returned but its fingerprint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.orders import order_for
from tasks.certificates.signers import signer_for
from tasks.certificates.webhooks import read_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.gathering import read_all
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.clients.files import read_file
from tasks.connections import load_block, open_cluster
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_requests import RequestState, newest_issued, requests_for, state_of
from tasks.core.certificates.findings import (
    CertificateState,
    CertManager,
    EndpointFact,
    WebhookFact,
    cert_manager_claims,
)
from tasks.core.certificates.olm import expected_target, predict_olm, secret_entry
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tasks.core.errors import PrerequisiteError
from tasks.core.installation import NOT_COPIED
from tasks.core.manifests import Manifest, ObjectRef, creation_time
from tasks.core.olm_health import installed_olm_version
from tasks.core.ownership import MANAGED_BY
from tasks.core.permissions import PermissionRequest, is_allowed
from tasks.core.profiles import OperatorProfile
from tasks.core.settings import CertificateChoice
from tasks.olm import OLM_NAMESPACE
from tasks.steps import step

_CSV = ("operators.coreos.com/v1alpha1", "ClusterServiceVersion")
_LARGEST_PEM = 1024 * 1024


@dataclass(frozen=True)
class ObservedCertificate:
    """What was read from one cluster.

    Attributes:
        state: What the diagnosis looks at.
        olm_version: The running OLM.
        csv_status: Of the ClusterServiceVersion's status, what OLM's rule asks for: `certsRotateAt`.
        unseen: What could not be looked at, and why.
    """

    state: CertificateState
    olm_version: str
    csv_status: Mapping[str, str]
    unseen: tuple[str, ...] = ()


@step("observe-certificate")
def observe_certificate(
    cluster: KubernetesCluster, profile: OperatorProfile, namespace: str
) -> ObservedCertificate:
    """Read Secret, caBundles, endpoints, request and annotations as they are right now. Changes nothing.

    Raises:
        PrerequisiteError: OLM or the operator is not installed.
        ClusterError: Something cannot be read.
    """
    return read_certificate_state(open_cluster(cluster), profile, namespace)


def read_certificate_state(
    client: ClusterClient, profile: OperatorProfile, namespace: str
) -> ObservedCertificate:
    """The same without Prefect."""
    order = order_for(profile, namespace, CertificateChoice())
    olm_version, csv_status = _read_olm(client, profile, namespace)
    secret = client.get(ObjectRef("v1", "Secret", order.secret, namespace))
    webhooks = tuple(bundle.fact() for bundle in read_bundles(client, namespace, order.services))
    request, issued = _read_requests(client, order)
    annotated = _read_annotations(client, profile, webhooks)
    endpoints, unseen = _read_endpoints(client, order)
    facts = read_webhook_secret(secret) if secret else None
    target = expected_target(order.plan.target, facts.leaf if facts else None, issued)
    now = datetime.now(UTC)
    state = CertificateState(
        target=target,
        now=now,
        secret=facts,
        prediction=predict_olm(secret, csv_status, target.olm_hosts, olm_version, now),
        webhooks=webhooks,
        endpoints=endpoints,
        issued=issued,
        request=request,
        annotated=annotated,
        # Nobody is looked for unless there is something to act on.
        cert_manager=find_cert_manager(client) if annotated else CertManager.ABSENT,
    )
    return ObservedCertificate(state, olm_version, csv_status, unseen)


@task(
    name="read-authority", task_run_name="read-authority/{name}", cache_policy=NO_CACHE, persist_result=False
)
def read_authority(name: str) -> tuple[Certificate, ...]:
    """The certificates of a CA's block, the issuing one first; never its key. None of a CA not made yet.

    Raises:
        InputError: There is no such block, or its file cannot be read.
        TenancyError: OCI refuses or does not answer.
    """
    block = load_block(CertificateAuthority, name)
    match block.kind:
        case AuthorityKind.FILE if block.certificate_file is not None:
            path = block.certificate_file.expanduser()
            return read_certificates(read_file(path, _LARGEST_PEM, "read the certificate of the CA"))
        case AuthorityKind.SECRET | AuthorityKind.MADE_ONCE:
            client = open_cluster(load_block(KubernetesCluster, block.cluster))
            secret = client.get(ObjectRef("v1", "Secret", block.secret, block.namespace))
            return read_certificates(secret_entry(secret or {}, "tls.crt") or b"")
        case _:
            # OCI and EXTERNAL: the process never holds their key.
            return signer_for(block).trust


def _read_olm(client: ClusterClient, profile: OperatorProfile, namespace: str) -> tuple[str, dict[str, str]]:
    version = installed_olm_version(client.list_objects(*_CSV, OLM_NAMESPACE))
    found = client.list_objects(*_CSV, namespace, NOT_COPIED)
    csvs = [csv for csv in found if profile.version_of_csv(csv["metadata"]["name"])]
    if not version or not csvs:
        raise PrerequisiteError(
            "diagnose the webhook's certificate",
            f"{client.name}: namespace {namespace}",
            f"OLM and a ClusterServiceVersion of {profile.title}",
            f"no ClusterServiceVersion of {profile.title}" if version else "no OLM",
            "Run install-fleet first.",
        )
    rotates_at = (max(csvs, key=creation_time).get("status") or {}).get("certsRotateAt")
    return version, {"certsRotateAt": rotates_at} if rotates_at else {}


def _read_requests(client: ClusterClient, order: CertificateOrder) -> tuple[RequestState | None, bytes]:
    """Where our newest request stands, and the newest certificate that was issued to one of ours."""
    selector = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())
    found = client.list_objects(
        "certificates.k8s.io/v1", "CertificateSigningRequest", label_selector=selector
    )
    ours = requests_for(found, order.request_base, order.namespace)
    return (state_of(ours[-1]) if ours else None), newest_issued(ours)


def _read_annotations(
    client: ClusterClient, profile: OperatorProfile, webhooks: tuple[WebhookFact, ...]
) -> dict[str, str]:
    ours = {webhook.configuration for webhook in webhooks}
    configurations = [
        (str(ObjectRef("", kind, each["metadata"]["name"])), each)
        for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
        for each in client.list_objects("admissionregistration.k8s.io/v1", kind)
    ]
    crds = read_all(
        client,
        [ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd.name) for crd in profile.crds],
    )
    candidates = [
        *((subject, each) for subject, each in configurations if subject in ours),
        # On a CRD without conversion webhook there is no caBundle, and cainjector leaves it alone.
        *((str(ref), crd) for ref, crd in crds.items() if crd is not None and _converts_by_webhook(crd)),
    ]
    return {subject: claim for subject, each in candidates for claim in cert_manager_claims(each)}


def _converts_by_webhook(crd: Manifest) -> bool:
    return bool((crd["spec"].get("conversion") or {}).get("strategy") == "Webhook")


def find_cert_manager(client: ClusterClient) -> CertManager:
    """Whether cert-manager's cainjector is deployed; its chart sets the label under any release name."""
    selector = "app.kubernetes.io/component=cainjector"
    found: list[Any] = client.list_objects("apps/v1", "Deployment", label_selector=selector)
    runs = any(each["spec"].get("replicas", 1) for each in found)
    return CertManager.PRESENT if runs else CertManager.ABSENT


def _read_endpoints(
    client: ClusterClient, order: CertificateOrder
) -> tuple[tuple[EndpointFact, ...], tuple[str, ...]]:
    """What the endpoints present; without the permission they are unseen, which is not the same as silent."""
    if reason := why_endpoints_are_unseen(client, order.namespace):
        return (), (reason,)
    ready = _ready_addresses(client, order.namespace)
    facts = read_endpoint_facts(client, order.plan.target)
    working = {fact.service for fact in facts if _host(fact) in ready}
    # A pod that starts or ends gets no calls, unless there is no other.
    return tuple(fact for fact in facts if _host(fact) in ready or fact.service not in working), ()


def why_endpoints_are_unseen(client: ClusterClient, namespace: str) -> str:
    """Which permissions are missing to ask the operator's endpoints; empty when they may be asked."""
    missing = [verb for verb in ("get", "create") if not _may_forward(client, verb, namespace)]
    if not missing:
        return ""
    return (
        f"what the endpoints serve: no permission to {' and '.join(missing)} pods/portforward in {namespace}"
    )


def _host(fact: EndpointFact) -> str:
    return fact.address.rpartition(":")[0].strip("[]")


def _ready_addresses(client: ClusterClient, namespace: str) -> set[str]:
    slices = client.list_objects("discovery.k8s.io/v1", "EndpointSlice", namespace)
    return {
        address
        for each in slices
        for endpoint in each.get("endpoints") or []
        # discovery/v1: without the condition it counts as ready.
        if (endpoint.get("conditions") or {}).get("ready") in (True, None)
        for address in endpoint["addresses"]
    }


def _may_forward(client: ClusterClient, verb: str, namespace: str) -> bool:
    request = PermissionRequest("", "pods", verb, namespace, subresource="portforward")
    return is_allowed(client.create(request.review()))
