"""Causes on the level of pods: not created, not scheduled, image not pulled, not configured, crashing.

Waiting reasons and their messages: kubernetes v1.36 pkg/kubelet/images/types.go and image_manager.go,
pkg/kubelet/kuberuntime/kuberuntime_manager.go, pkg/kubelet/kubelet_pods.go. Refused creations:
pkg/controller/controller_utils.go (FailedCreate) and k8s.io/pod-security-admission admission/admission.go.
"""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from tasks.core.conditions import condition_of
from tasks.core.diagnosis.causes import Cause, CauseKind
from tasks.core.diagnosis.observation import (
    CATALOG_POD_LABEL,
    UNPACK_LABEL,
    StallObservation,
    labels_of,
    namespace_of,
    status_of,
)
from tasks.core.manifests import Manifest, ObjectRef, ref_of

POD_SECURITY_TEXT = "violates PodSecurity"
"""How the PodSecurity admission begins its reason."""

_LAST_WORDS = 350
_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"})
_POD_SECURITY_STEP = (
    "Take a namespace whose pod-security.kubernetes.io/enforce label allows the pod, or lower the label "
    "of this one."
)


class PodRole(StrEnum):
    """What a pod is there for."""

    CATALOG = "CATALOG"
    OPERATOR = "OPERATOR"
    UNPACK = "UNPACK"
    OLM = "OLM"


_CRASHES: Mapping[PodRole, tuple[CauseKind, str]] = {
    PodRole.CATALOG: (
        CauseKind.CATALOG_CRASH_LOOP,
        "The catalog program does not start: check its image (an opm of another version?) and log.",
    ),
    PodRole.OPERATOR: (
        CauseKind.OPERATOR_CRASH_LOOP,
        "The operator does not start: check its credentials Secret and its log.",
    ),
    PodRole.UNPACK: (
        CauseKind.BUNDLE_UNPACK_FAILED,
        "The bundle cannot be unpacked: check the bundle image and the unpack Job's log.",
    ),
    PodRole.OLM: (
        CauseKind.OLM_UNHEALTHY,
        "OLM itself does not run: look at the pod's log and install OLM again.",
    ),
}


def pod_causes(observed: StallObservation) -> Iterator[Cause]:
    """Everything that keeps the pods of the installation, and those of OLM, from running."""
    for pod in observed.pods:
        role = role_of(observed, pod)
        if role is not None:
            yield from _scheduling(pod)
            for container in _containers(pod):
                yield from _container(pod, role, container)
    yield from _refused_pods(observed)
    yield from _mounts(observed)


def role_of(observed: StallObservation, pod: Manifest) -> PodRole | None:
    """The part that a pod plays in the installation; None for everybody else's pods."""
    labels = labels_of(pod)
    catalog = observed.installation.catalog
    if UNPACK_LABEL in labels:
        return PodRole.UNPACK
    if namespace_of(pod) == observed.olm_namespace:
        return PodRole.OLM
    ours = labels.get("app.kubernetes.io/component") == "catalog" and labels.get("app.kubernetes.io/name")
    if catalog in (labels.get(CATALOG_POD_LABEL), ours):
        return PodRole.CATALOG
    deployments = observed.operator_deployments
    return PodRole.OPERATOR if any(_is_of(pod, deployment) for deployment in deployments) else None


def image_pull_advice(message: str) -> str:
    """What to do about a pull that failed, by what the registry said."""
    text = message.lower()
    if re.search(r"401|403|unauthorized|denied|no basic auth", text):
        return "The registry wants credentials: give the pods an imagePullSecret that it accepts."
    if re.search(r"429|toomanyrequests|rate limit", text):
        return "The registry limits the rate: wait, pull with an account, or mirror the image."
    if re.search(r"404|not found|manifest unknown", text):
        return (
            "The registry has no such image: check the repository, the tag or digest, and the architecture."
        )
    if re.search(r"x509|certificate", text):
        return "The node does not trust the registry's certificate: add its CA to the container runtime."
    if re.search(r"no such host|dial tcp|timeout|deadline exceeded", text):
        return "The node does not reach the registry: check DNS, routes and the proxy, or mirror the image."
    return "Pull the image by hand on a node to see what the registry says."


def _scheduling(pod: Manifest) -> Iterator[Cause]:
    scheduled = condition_of(pod, "PodScheduled")
    if scheduled.is_false and scheduled.reason == "Unschedulable":
        next_step = "Give the cluster a node that fits: look at taints, requests and node selectors."
        yield Cause(CauseKind.UNSCHEDULABLE, ref_of(pod), scheduled.message, next_step)


def _containers(pod: Manifest) -> list[Mapping[str, Any]]:
    status = status_of(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _container(pod: Manifest, role: PodRole, container: Mapping[str, Any]) -> Iterator[Cause]:
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    evidence = f"container {container.get('name')} is waiting: {reason}: {message}".rstrip(": ")
    if reason in _PULL_REASONS:
        text = f"{evidence} (image {container.get('image')})"
        yield Cause(CauseKind.IMAGE_PULL, ref_of(pod), text, image_pull_advice(message))
    elif reason == "CreateContainerConfigError":
        next_step = "Create what it refers to; the kubelet tries again by itself."
        yield Cause(CauseKind.MISSING_CONFIGURATION, ref_of(pod), evidence, next_step)
    elif _crashes(container):
        yield _crash(pod, role, container)


def _crashes(container: Mapping[str, Any]) -> bool:
    state = container.get("state") or {}
    back_off = (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff"
    between = (state.get("terminated") or {}).get("exitCode", 0) != 0 and container.get("restartCount", 0) > 0
    return back_off or between


def _crash(pod: Manifest, role: PodRole, container: Mapping[str, Any]) -> Cause:
    state, last = container.get("state") or {}, container.get("lastState") or {}
    ended = last.get("terminated") or state.get("terminated") or {}
    words = _last_words(str(ended.get("message") or "")) or "no message: look at its log"
    evidence = (
        f"container {container.get('name')} ended {container.get('restartCount', 0)} times, last with "
        f"exit code {ended.get('exitCode')} ({ended.get('reason', 'unknown reason')}): {words}"
    )
    kind, next_step = _CRASHES[role]
    return Cause(kind, ref_of(pod), evidence, next_step)


def _last_words(message: str) -> str:
    # A program says why it ends at the very end, after whatever it logged before.
    text = message.strip()
    return text if len(text) <= _LAST_WORDS else f"…{text[-_LAST_WORDS:]}"


def _refused_pods(observed: StallObservation) -> Iterator[Cause]:
    for manifest in (*observed.deployments, *observed.replica_sets):
        failure = condition_of(manifest, "ReplicaFailure")
        if failure.is_true and _concerns(observed, ref_of(manifest)):
            yield refused_creation(ref_of(manifest), failure.explanation())
    for event in observed.events:
        subject = _subject_of(event)
        if event.get("reason") == "FailedCreate" and _is_still_short(observed, subject):
            yield refused_creation(subject, str(event.get("message", "")))


def refused_creation(subject: ObjectRef, message: str) -> Cause:
    """The cause behind a controller's failure to create a pod."""
    if POD_SECURITY_TEXT in message:
        return Cause(CauseKind.POD_SECURITY, subject, message, _POD_SECURITY_STEP)
    next_step = "Remove what refuses the pod: a quota, a missing ServiceAccount or another admission webhook."
    return Cause(CauseKind.POD_NOT_CREATED, subject, message, next_step)


def _is_still_short(observed: StallObservation, subject: ObjectRef) -> bool:
    """Events outlive their reason, so a ReplicaSet's counts only as long as it lacks pods."""
    if subject.kind != "ReplicaSet":
        return subject.kind == "Job"
    if not _concerns(observed, subject):
        return False
    found = [one for one in observed.replica_sets if ref_of(one) == subject]
    return any(status_of(one).get("replicas", 0) < one["spec"].get("replicas", 1) for one in found)


def _mounts(observed: StallObservation) -> Iterator[Cause]:
    ours = {ref_of(pod) for pod in observed.pods if role_of(observed, pod) and _is_pending(pod)}
    for event in observed.events:
        subject = _subject_of(event)
        if event.get("reason") == "FailedMount" and subject in ours:
            next_step = (
                "Create the Secret or ConfigMap that the volume names; the kubelet tries again by itself."
            )
            yield Cause(CauseKind.MISSING_CONFIGURATION, subject, str(event.get("message", "")), next_step)


def _is_pending(pod: Manifest) -> bool:
    return status_of(pod).get("phase") == "Pending"


def _subject_of(event: Manifest) -> ObjectRef:
    about = event.get("involvedObject") or {}
    return ObjectRef(
        about.get("apiVersion", ""), about.get("kind", ""), about.get("name", ""), about.get("namespace", "")
    )


def _concerns(observed: StallObservation, ref: ObjectRef) -> bool:
    """Whether a Deployment or ReplicaSet belongs to the catalog, the operator or OLM."""
    if ref.namespace == observed.olm_namespace:
        return True
    names = (observed.installation.catalog, *observed.operator_deployments)
    return any(ref.name == name or re.fullmatch(f"{re.escape(name)}-[a-z0-9]+", ref.name) for name in names)


def _is_of(pod: Manifest, deployment: str) -> bool:
    owners = pod["metadata"].get("ownerReferences") or []
    pattern = f"{re.escape(deployment)}-[a-z0-9]+"
    return any(owner.get("kind") == "ReplicaSet" and re.fullmatch(pattern, owner["name"]) for owner in owners)
