"""Does the operator stand behind its webhooks: Deployment, Services, endpoints, no other's pods (R4)?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import HealthState, object_health
from tasks.core.profiles import ExpectedService, ObjectOrigin, OperatorProfile, RequiredObject
from tasks.core.verification.findings import Check, Finding, FindingState

_FINISHED_PHASES = frozenset({"Succeeded", "Failed"})
_SERVICE_LABEL = "kubernetes.io/service-name"
_HASH_LABEL = "pod-template-hash"


@dataclass(frozen=True)
class ForeignPod:
    """A pod that would get the operator's webhook calls although it belongs to something else.

    Attributes:
        owner: Kind and name of its controller, or `no controller`.
    """

    name: str
    owner: str


def check_deployment(profile: OperatorProfile, namespace: str, live: Manifest | None) -> Finding:
    """Whether the operator's Deployment is rolled out and available."""
    ref = ObjectRef("apps/v1", "Deployment", profile.deployment, namespace)
    health = object_health(ref, live)
    found = health.detail or health.state.value
    if health.state is HealthState.HEALTHY:
        return Finding(Check.DEPLOYMENT, "R7", ref, FindingState.PASS, "available", found)
    next_step = "Look at the waiting reasons and the last log lines of its pods."
    return Finding(Check.DEPLOYMENT, "R7", ref, FindingState.FAIL, "available", found, next_step)


def check_services(
    profile: OperatorProfile, namespace: str, services: Mapping[str, Manifest], slices: Iterable[Manifest]
) -> tuple[Finding, ...]:
    """Two findings for each Service of the profile: is it as expected, and is an endpoint ready?

    Args:
        profile: The operator.
        namespace: The namespace that it runs in.
        services: That namespace's Services by name.
        slices: That namespace's EndpointSlices.
    """
    listed = list(slices)
    return tuple(
        finding
        for expected in profile.services
        for finding in (
            _check_service(profile, namespace, expected, services.get(expected.name)),
            _check_endpoints(namespace, expected, listed),
        )
    )


def foreign_pods(
    selector: Mapping[str, str], deployment: str, pods: Iterable[Manifest]
) -> tuple[ForeignPod, ...]:
    """The pods that a Service selector matches although they are not the Deployment's (R4)."""
    return tuple(
        ForeignPod(pod["metadata"]["name"], _owner_text(pod))
        for pod in pods
        if _selects(selector, pod) and _gets_traffic(pod) and not _is_of_deployment(pod, deployment)
    )


def check_service_selectors(
    profile: OperatorProfile, namespace: str, services: Mapping[str, Manifest], pods: Iterable[Manifest]
) -> tuple[Finding, ...]:
    """Whether another operator's pods would get the webhook calls; usable before the operator is there (R4).

    Args:
        profile: The operator.
        namespace: The namespace that it runs in, or will run in.
        services: That namespace's Services by name; one that is not there yet is judged by the profile's
        labels.
        pods: That namespace's pods.
    """
    listed = list(pods)
    return tuple(
        _check_selector(profile, namespace, expected, services.get(expected.name), listed)
        for expected in profile.services
    )


def check_required_objects(
    profile: OperatorProfile, namespace: str, present: Mapping[tuple[str, str], frozenset[str]]
) -> tuple[Finding, ...]:
    """Whether the Secrets and ConfigMaps that the operator's pods refer to are there, with their keys.

    Args:
        profile: The operator.
        namespace: The namespace that it runs in.
        present: The keys of each Secret and ConfigMap that exists, by kind and name; never their values.
    """
    return tuple(
        _check_required_object(namespace, wanted, present.get((wanted.kind, wanted.name)))
        for wanted in profile.objects
    )


def _check_service(
    profile: OperatorProfile, namespace: str, expected: ExpectedService, live: Manifest | None
) -> Finding:
    ref = ObjectRef("v1", "Service", expected.name, namespace)
    wanted = f"port {expected.port} to {expected.target_port}, selects {_labels_text(profile.pod_labels)}"
    if live is None:
        maker = "OLM makes it" if expected.origin is ObjectOrigin.OLM else "The bundle brings it"
        next_step = f"{maker}: look at the ClusterServiceVersion and the InstallPlan."
        return Finding(Check.SERVICE, "R12", ref, FindingState.FAIL, wanted, "no such Service", next_step)
    spec = live.get("spec") or {}
    ports = ", ".join(f"port {p.get('port')} to {p.get('targetPort')}" for p in spec.get("ports") or [])
    found = f"{ports or 'no port'}, selects {_labels_text(spec.get('selector') or {})}"
    if _serves(spec, expected, profile.pod_labels):
        return Finding(Check.SERVICE, "R12", ref, FindingState.PASS, wanted, found)
    next_step = "Find out who changed it; OLM writes it anew when it installs the operator again."
    return Finding(Check.SERVICE, "R12", ref, FindingState.FAIL, wanted, found, next_step)


def _serves(spec: Mapping[str, Any], expected: ExpectedService, pod_labels: Mapping[str, str]) -> bool:
    ports = [(port.get("port"), port.get("targetPort")) for port in spec.get("ports") or []]
    selector: Mapping[str, str] = spec.get("selector") or {}
    selected = bool(selector) and selector.items() <= pod_labels.items()
    return selected and (expected.port, expected.target_port) in ports


def _check_endpoints(namespace: str, expected: ExpectedService, slices: list[Manifest]) -> Finding:
    ref = ObjectRef("v1", "Service", expected.name, namespace)
    endpoints = [
        endpoint
        for piece in slices
        if (piece["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == expected.name
        for endpoint in piece.get("endpoints") or []
    ]
    # An absent `ready` means ready (discovery.k8s.io/v1, EndpointConditions).
    ready = sum((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in endpoints)
    found = f"{ready} of {len(endpoints)} endpoints ready"
    if ready:
        return Finding(Check.ENDPOINTS, "", ref, FindingState.PASS, "a ready endpoint", found)
    next_step = "Wait until a pod of the operator is ready, or look at its waiting reason."
    return Finding(Check.ENDPOINTS, "", ref, FindingState.FAIL, "a ready endpoint", found, next_step)


def _check_selector(
    profile: OperatorProfile,
    namespace: str,
    expected: ExpectedService,
    live: Manifest | None,
    pods: list[Manifest],
) -> Finding:
    ref = ObjectRef("v1", "Service", expected.name, namespace)
    selector = ((live or {}).get("spec") or {}).get("selector") or profile.pod_labels
    wanted = f"selects pods of Deployment {profile.deployment} only"
    foreign = foreign_pods(selector, profile.deployment, pods)
    if not foreign:
        return Finding(Check.SERVICE_SELECTOR, "R4", ref, FindingState.PASS, wanted, wanted)
    found = ", ".join(f"{pod.name} ({pod.owner})" for pod in foreign)
    next_step = (
        f"{_labels_text(selector)} is a label that many operators share: run this operator in a namespace "
        "of its own, or webhook calls go to the wrong pod and fail."
    )
    return Finding(Check.SERVICE_SELECTOR, "R4", ref, FindingState.FAIL, wanted, found, next_step)


def _check_required_object(namespace: str, wanted: RequiredObject, keys: frozenset[str] | None) -> Finding:
    ref = ObjectRef("v1", wanted.kind, wanted.name, namespace)
    expected = f"keys {', '.join(wanted.data_keys)}" if wanted.data_keys else "present"
    if keys is None and wanted.optional:
        return Finding(Check.REQUIRED_OBJECT, "", ref, FindingState.PASS, f"{expected} (optional)", "absent")
    missing = [key for key in wanted.data_keys if key not in (keys or frozenset())]
    if keys is not None and not missing:
        return Finding(Check.REQUIRED_OBJECT, "", ref, FindingState.PASS, expected, "present")
    found = "no such object" if keys is None else f"without {', '.join(missing)}"
    makers = {
        ObjectOrigin.OLM: "OLM makes it: look at the ClusterServiceVersion.",
        ObjectOrigin.BUNDLE: "The bundle brings it: look at the steps of the InstallPlan.",
        ObjectOrigin.USER: "Create it, then restart the operator's Deployment: it reads it at start only.",
    }
    state = FindingState.WARN if wanted.optional else FindingState.FAIL
    return Finding(Check.REQUIRED_OBJECT, "", ref, state, expected, found, makers[wanted.origin])


def _selects(selector: Mapping[str, str], pod: Manifest) -> bool:
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return bool(selector) and selector.items() <= labels.items()


def _gets_traffic(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") not in _FINISHED_PHASES


def _controller(pod: Manifest) -> Mapping[str, Any]:
    owners = pod["metadata"].get("ownerReferences") or []
    return next((owner for owner in owners if owner.get("controller")), {})


def _is_of_deployment(pod: Manifest, deployment: str) -> bool:
    # A Deployment's ReplicaSet is named after it and the hash that its pods carry as a label.
    owner = _controller(pod)
    template_hash = (pod["metadata"].get("labels") or {}).get(_HASH_LABEL, "")
    return owner.get("kind") == "ReplicaSet" and owner.get("name") == f"{deployment}-{template_hash}"


def _owner_text(pod: Manifest) -> str:
    owner = _controller(pod)
    return f"{owner.get('kind')} {owner.get('name')}" if owner else "no controller"


def _labels_text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items())) or "nothing"
