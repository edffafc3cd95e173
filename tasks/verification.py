"""The installed operator held against its profile, and its webhooks called by the API server (R8–R10)."""

from datetime import UTC, datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.clients.cluster.gathering import read_all
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import open_cluster
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import ExpectedWebhook, OperatorProfile
from tasks.core.verification import (
    CallResult,
    Finding,
    FindingState,
    InjectionAttempt,
    OperatorObservation,
    ProofCall,
    Verdict,
    WebhookCounters,
    evaluate_calls,
    evaluate_injection,
    in_namespace,
    proof_calls,
    published_ca,
    read_counters,
    verify_objects,
    worst_state,
)
from tasks.steps import step

_ADMISSION = "admissionregistration.k8s.io/v1"


@step("verify-operator")
def verify_operator(
    cluster: KubernetesCluster, profile: OperatorProfile, namespace: str, until: datetime
) -> tuple[Finding, ...]:
    """Read everything that the runbook checks and call each webhook by server-side dry run.

    A finding that fails is looked at again until the deadline: right after the CSV succeeded, endpoints and
    the API server's view of the webhook configurations may lag by some seconds. Nothing is raised for a
    failed finding; the caller decides.
    """
    client = open_cluster(cluster)
    return wait_for(
        lambda: verify_once(client, profile, namespace),
        lambda findings: worst_state(findings) in (FindingState.PASS, FindingState.WARN),
        deadline_at(until),
    )


def verify_once(client: ClusterClient, profile: OperatorProfile, namespace: str) -> tuple[Finding, ...]:
    """All findings as they are right now."""
    observed = observe_operator(client, profile, namespace)
    return (
        *verify_objects(profile, observed, datetime.now(UTC)),
        *call_webhooks(client, profile, namespace),
    )


def call_webhooks(client: ClusterClient, profile: OperatorProfile, namespace: str) -> tuple[Finding, ...]:
    """What the API server answers when it has to ask the webhooks, by server-side dry runs."""
    calls = [_call(client, call) for call in proof_calls(profile, namespace)]
    injections = [
        evaluate_injection(webhook, _try_injection(client, webhook, namespace))
        for webhook in profile.required_webhooks
        if webhook.injector is not None
    ]
    return (*evaluate_calls(calls), *injections)


def observe_operator(client: ClusterClient, profile: OperatorProfile, namespace: str) -> OperatorObservation:
    """Read what belongs to the operator."""
    secret = ObjectRef("v1", "Secret", profile.certificate_secret, namespace)
    deployment = ObjectRef("apps/v1", "Deployment", profile.deployment, namespace)
    crds = [
        ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", crd.name) for crd in profile.crds
    ]
    objects = [ObjectRef("v1", wanted.kind, wanted.name, namespace) for wanted in profile.objects]
    found = read_all(client, [secret, deployment, *crds, *objects])
    return OperatorObservation(
        namespace=namespace,
        crds={ref.name: live for ref in crds if (live := found[ref]) is not None},
        configurations=tuple(
            configuration
            for kind in ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
            for configuration in client.list_objects(_ADMISSION, kind)
        ),
        ca=published_ca(found[secret]),
        deployment=found[deployment],
        services=_by_name(client.list_objects("v1", "Service", namespace)),
        slices=tuple(client.list_objects("discovery.k8s.io/v1", "EndpointSlice", namespace)),
        pods=tuple(client.list_objects("v1", "Pod", namespace)),
        objects={
            (ref.kind, ref.name): frozenset(live.get("data") or {})
            for ref in objects
            if (live := found[ref]) is not None
        },
    )


def _call(client: ClusterClient, call: ProofCall) -> CallResult:
    try:
        client.create(call.manifest, ApplyMode.SERVER_DRY_RUN)
    except ClusterError as error:
        # A webhook that cannot be reached is a 500 of the API server: evidence, not an outage of the API.
        return CallResult(call, Verdict.DENIED, error.found)
    return CallResult(call, Verdict.ALLOWED)


def _try_injection(client: ClusterClient, webhook: ExpectedWebhook, namespace: str) -> InjectionAttempt:
    injector = webhook.injector
    if injector is None:  # the caller asks for injectors only
        return InjectionAttempt(None)
    before = _counters(client, webhook)
    try:
        pod = client.create(in_namespace(injector.pod, namespace), ApplyMode.SERVER_DRY_RUN)
    except ClusterError as error:
        return InjectionAttempt(None, error.found, before=before, after=_counters(client, webhook))
    return InjectionAttempt(pod, before=before, after=_counters(client, webhook))


def _counters(client: ClusterClient, webhook: ExpectedWebhook) -> WebhookCounters | None:
    try:
        return read_counters(client.read_text("/metrics"), webhook.generate_name)
    except ClusterError:
        return None


def _by_name(manifests: list[Manifest]) -> dict[str, Manifest]:
    return {manifest["metadata"]["name"]: manifest for manifest in manifests}
