"""What the operator needs from its cluster: a namespace that admits its pod, and metrics for autoscaling."""

from tasks.core.manifests import Manifest
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding

_ENFORCE = "pod-security.kubernetes.io/enforce"
_REFUSING = frozenset({"baseline", "restricted"})
"""Pod Security Standards: both refuse hostPath volumes; the operator mounts /etc/pki of its node."""


def check_pod_security(namespace: Manifest | None, name: str) -> Finding:
    """Whether Pod Security admission lets the operator's hostPath volume through."""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    level = labels.get(_ENFORCE, "")
    shown = "absent, will be created" if namespace is None else f"{_ENFORCE}={level or 'not set'}"
    check = Check(CheckGroup.CLUSTER, "R4", "namespace: Pod Security", f"Namespace {name}: {shown}")
    if level in _REFUSING:
        return check.failed(
            f"the level {level} refuses the operator's hostPath volume /etc/pki",
            f"Label the namespace {_ENFORCE}=privileged, or use another namespace.",
        )
    return check.passed()


def check_metrics_server(api_service: Manifest | None) -> Finding:
    """Whether the metrics API is there, without which ingress gateways are not scaled."""
    name = "v1beta1.metrics.k8s.io"
    status = "absent" if api_service is None else _condition(api_service, "Available")
    check = Check(CheckGroup.CLUSTER, "R11", "metrics server", f"APIService {name}: Available={status}")
    if status == "True":
        return check.passed()
    return check.warned("ingress gateways are not scaled on CPU", "Install the metrics server (runbook R11).")


def _condition(manifest: Manifest, kind: str) -> str:
    conditions = (manifest.get("status") or {}).get("conditions") or []
    return next((str(item["status"]) for item in conditions if item.get("type") == kind), "Unknown")
