"""Causes that the ClusterServiceVersion and its Deployments report.

Reasons: github.com/operator-framework/api v0.45.0 pkg/operators/v1alpha1/clusterserviceversion_types.go;
texts: operator-lifecycle-manager v0.46.0 pkg/controller/operators/olm/operator.go and requirements.go;
v0.20.0 alike.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.core.conditions import condition_of
from tasks.core.diagnosis.causes import Cause, CauseKind
from tasks.core.diagnosis.observation import StallObservation, namespace_of, status_of
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.olm_health import HealthState, object_health
from tasks.core.verification import foreign_pods

_PROVIDED_APIS = "olm.providedAPIs"
_OWNER_REASONS = frozenset(
    {"OwnerConflict", "InterOperatorGroupOwnerConflict", "CannotModifyStaticOperatorGroupProvidedAPIs"}
)
_TOLD_ELSEWHERE = frozenset(
    {
        "NoOperatorGroup",
        "TooManyOperatorGroups",
        "UnsupportedOperatorGroup",
        "NoTargetNamespaces",
        "InvalidInstallModes",
        "RequirementsNotMet",
        *_OWNER_REASONS,
    }
)
_ALONGSIDE = "installed alongside other CSV"
_DEADLINE = "progress deadline"


def version_causes(observed: StallObservation) -> Iterator[Cause]:
    """What the ClusterServiceVersion waits for, or why it failed."""
    csv = observed.csv
    if csv is None or status_of(csv).get("phase") == "Succeeded":
        return
    reason = status_of(csv).get("reason", "")
    if reason in _OWNER_REASONS:
        yield _owner_conflict(observed, csv)
    yield from _requirements(csv)
    yield from _failure(csv, reason)


def waiting_causes(observed: StallObservation) -> Iterator[Cause]:
    """What a ClusterServiceVersion waits for that nothing else explains."""
    csv = observed.csv
    if csv is not None and status_of(csv).get("phase") != "Succeeded":
        status = status_of(csv)
        told = [str(status[field]) for field in ("phase", "reason", "message") if status.get(field)]
        evidence = ": ".join(told) or "OLM has written no status for it"
        next_step = "It may only need more time: raise the deadline, or watch its pods."
        yield Cause(CauseKind.STILL_WAITING, ref_of(csv), evidence, next_step)


def deployment_causes(observed: StallObservation) -> Iterator[Cause]:
    """Deployments that are past their deadline, and OLM's own when they do not run."""
    for deployment in observed.deployments:
        ref = ref_of(deployment)
        if ref.namespace == observed.olm_namespace:
            yield from _olm_deployment(deployment)
        elif ref.name in (*observed.operator_deployments, observed.installation.catalog):
            progressing = condition_of(deployment, "Progressing")
            if progressing.reason == "ProgressDeadlineExceeded":
                yield _deadline(ref, progressing.explanation())


def selector_causes(observed: StallObservation) -> Iterator[Cause]:
    """Services of the operator that also select the pods of something else (R4)."""
    deployments = {name: f"{name}-service" for name in observed.operator_deployments}
    for service in observed.services:
        selector = (service.get("spec") or {}).get("selector") or {}
        for deployment, name in deployments.items():
            if ref_of(service).name == name:
                yield from _shared_selector(observed, service, selector, deployment)


def _shared_selector(
    observed: StallObservation, service: Manifest, selector: Mapping[str, str], deployment: str
) -> Iterator[Cause]:
    pods = [pod for pod in observed.pods if namespace_of(pod) == observed.namespace]
    foreign = foreign_pods(selector, deployment, pods)
    if foreign:
        evidence = "it also selects " + ", ".join(f"{pod.name} ({pod.owner})" for pod in foreign)
        next_step = "Webhook calls go to the wrong pod: run the operators in namespaces of their own."
        yield Cause(CauseKind.SHARED_SERVICE_SELECTOR, ref_of(service), evidence, next_step)


def _owner_conflict(observed: StallObservation, csv: Manifest) -> Cause:
    owned = ((csv.get("spec") or {}).get("customresourcedefinitions") or {}).get("owned") or []
    kinds = {f"{one['kind']}.{one['version']}.{one['name'].partition('.')[2]}" for one in owned}
    others = sorted(
        str(ref_of(group))
        for group in observed.groups or ()
        if namespace_of(group) != observed.namespace and kinds & _provided(group)
    )
    status = status_of(csv)
    evidence = f"{status.get('reason')}: {status.get('message')}"
    if others:
        evidence += f"; the same APIs are provided under {', '.join(others)}"
    next_step = "Another operator provides these CRDs: uninstall it there, or use that installation."
    return Cause(CauseKind.CRD_OWNER_CONFLICT, ref_of(csv), evidence, next_step)


def _provided(group: Manifest) -> set[str]:
    text = (group["metadata"].get("annotations") or {}).get(_PROVIDED_APIS, "")
    return {api.strip() for api in text.split(",") if api.strip()}


def _requirements(csv: Manifest) -> Iterator[Cause]:
    status = status_of(csv)
    if status.get("reason") != "RequirementsNotMet":
        return
    for requirement in status.get("requirementStatus") or []:
        if requirement.get("status") not in ("Present", "DeploymentFound"):
            yield _requirement(ref_of(csv), requirement)


def _requirement(csv: ObjectRef, requirement: Mapping[str, Any]) -> Cause:
    missing = ObjectRef(
        "/".join(filter(None, (requirement.get("group"), requirement.get("version", "")))),
        requirement.get("kind", ""),
        requirement.get("name", ""),
        csv.namespace if requirement.get("kind") == "ServiceAccount" else "",
    )
    message = requirement.get("message") or "no message"
    evidence = f"{csv} needs it: {requirement.get('status')}: {message}{_unsatisfied(requirement)}"
    if _ALONGSIDE in message:
        next_step = "Remove the other ClusterServiceVersion, or keep it and do not install this one."
        return Cause(CauseKind.CRD_OWNER_CONFLICT, missing, evidence, next_step)
    next_step = "Provide it; OLM goes on by itself."
    return Cause(CauseKind.REQUIREMENT_NOT_MET, missing, evidence, next_step)


def _unsatisfied(requirement: Mapping[str, Any]) -> str:
    dependents = requirement.get("dependents") or []
    rules = [str(one.get("message")) for one in dependents if one.get("status") == "NotSatisfied"]
    return f" ({'; '.join(rules)})" if rules else ""


def _failure(csv: Manifest, reason: str) -> Iterator[Cause]:
    status = status_of(csv)
    message = str(status.get("message") or "")
    if reason in _TOLD_ELSEWHERE:
        return
    if _DEADLINE in message:
        deployment = re.search(r'deployment "?([a-z0-9.-]+)"? exceeded', message)
        name = deployment.group(1) if deployment else ""
        subject = ObjectRef("apps/v1", "Deployment", name, namespace_of(csv)) if name else ref_of(csv)
        yield _deadline(subject, f"{ref_of(csv)}: {reason}: {message}")
    elif status.get("phase") == "Failed" or " failed: " in message:
        next_step = (
            "Read the message; OLM tries some failures again by itself, so look at the phase again too."
        )
        evidence = f"{status.get('phase')}: {reason}: {message}"
        yield Cause(CauseKind.CSV_FAILED, ref_of(csv), evidence, next_step)


def _deadline(subject: ObjectRef, evidence: str) -> Cause:
    next_step = "Look at the pods behind it: readiness probe, log, and events."
    return Cause(CauseKind.PROGRESS_DEADLINE, subject, evidence, next_step)


def _olm_deployment(deployment: Manifest) -> Iterator[Cause]:
    ref = ref_of(deployment)
    health = object_health(ref, deployment)
    dead = health.state is not HealthState.HEALTHY and not status_of(deployment).get("availableReplicas")
    if ref.name in ("olm-operator", "catalog-operator") and dead:
        next_step = "Nothing moves without it: repair OLM first (its pods' waiting reasons and logs)."
        yield Cause(CauseKind.OLM_UNHEALTHY, ref, health.detail, next_step)
