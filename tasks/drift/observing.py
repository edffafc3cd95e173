"""Reads one cluster: objects by the plan, endpoints by handshake, webhooks by live calls (R3–R22)."""

from collections.abc import Iterable
from datetime import UTC, datetime

from tasks.certificates.observing import find_cert_manager, why_endpoints_are_unseen
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.core.certificates.findings import CertManager, EndpointFact, cert_manager_claims
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tasks.core.drift.choice import LiveChecks
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.observation import ClusterObservation
from tasks.core.drift.unchanged import ComparedVersions
from tasks.core.errors import ClusterUnavailableError
from tasks.core.identity import KUBE_SYSTEM, identity_of
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.verification import Finding
from tasks.drift.reading import PlanReader
from tasks.verification import call_webhooks

_SERVED = ("tls.crt", "olmCAKey")


def observe_cluster(
    client: ClusterClient,
    expected: Expectation,
    live_checks: LiveChecks = LiveChecks.ALL,
    compared: ComparedVersions | None = None,
) -> ClusterObservation:
    """Read everything that a verification looks at. Nothing is changed: the live calls are dry runs.

    Args:
        client: The cluster.
        expected: What it should hold.
        live_checks: What is looked at beside objects.
        compared: What an earlier verification of the cluster compared, which need not be read again.

    Raises:
        ClusterUnavailableError: No usable answer came.
        ClusterForbiddenError: The account lacks a permission.
    """
    version = client.read_path("/version")
    if version is None:
        raise ClusterUnavailableError(
            "read the version", client.name, "an answer to GET /version", "HTTP 404"
        )
    if compared is not None and not compared.usable(expected.large_digest, datetime.now(UTC)):
        compared = None
    read = PlanReader(client, expected, compared).read()
    objects = read.objects
    secret_ref = ObjectRef("v1", "Secret", expected.profile.certificate_secret, expected.namespace)
    secret = read_webhook_secret(objects[secret_ref]) if secret_ref in objects else None
    endpoints, calls, unseen = _look_closer(client, expected, live_checks)
    return ClusterObservation(
        cluster=client.name,
        now=datetime.now(UTC),
        version=str(version.get("gitVersion", "")),
        uid=identity_of(client.name, objects.get(KUBE_SYSTEM)),
        objects={ref: _without_secrets(ref, live, secret_ref) for ref, live in objects.items()},
        secret=secret,
        endpoints=endpoints,
        calls=calls,
        cert_manager=_find_cert_manager(client, objects.values()),
        reads=read.reads + 1,
        unseen=unseen,
        unchanged=read.unchanged,
        compared_at=read.compared_at,
    )


def _without_secrets(ref: ObjectRef, live: Manifest, certificate: ObjectRef) -> Manifest:
    """Of Secrets only the keys stay, and of the webhook's the certificates: no value goes further."""
    if ref.kind != "Secret":
        return live
    kept = _SERVED if ref == certificate else ()
    data = {key: value if key in kept else "" for key, value in (live.get("data") or {}).items()}
    metadata = {**live["metadata"], "annotations": {}}
    return {**live, "data": data, "metadata": metadata}


def _look_closer(
    client: ClusterClient, expected: Expectation, live_checks: LiveChecks
) -> tuple[tuple[EndpointFact, ...], tuple[Finding, ...], tuple[str, ...]]:
    if live_checks is LiveChecks.NONE:
        return (), (), ()
    calls = call_webhooks(client, expected.profile, expected.namespace)
    if reason := why_endpoints_are_unseen(client, expected.namespace):
        return (), calls, (reason,)
    target = WebhookTarget(expected.namespace, expected.profile.service_names)
    return read_endpoint_facts(client, target), calls, ()


def _find_cert_manager(client: ClusterClient, found: Iterable[Manifest]) -> CertManager:
    """Nobody is looked for unless there is an annotation to act on."""
    configurations = (each for each in found if each["kind"].endswith("WebhookConfiguration"))
    claimed = any(claim for each in configurations for claim in cert_manager_claims(each))
    return find_cert_manager(client) if claimed else CertManager.ABSENT
