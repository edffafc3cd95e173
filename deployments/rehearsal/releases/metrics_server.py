"""The metrics server's high-availability manifest (R11), with the names and kinds of the real release."""

from deployments.rehearsal.images import Image
from deployments.rehearsal.releases.pod_security import restricted, with_scratch_folder
from tasks.core.manifests import Manifest

_NAME = "metrics-server"
_NAMESPACE = "kube-system"
_LABELS = {"k8s-app": _NAME}
_RBAC = "rbac.authorization.k8s.io"
_PORT = 10250


def metrics_server_objects() -> list[Manifest]:
    """All objects, in the release's order."""
    return [
        _object("v1", "ServiceAccount", _NAME, _NAMESPACE),
        *_roles(),
        *_bindings(),
        {
            **_object("v1", "Service", _NAME, _NAMESPACE),
            "spec": {
                "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": "https"}],
                "selector": _LABELS,
            },
        },
        _deployment(),
        {
            **_object("policy/v1", "PodDisruptionBudget", _NAME, _NAMESPACE),
            "spec": {"minAvailable": 1, "selector": {"matchLabels": _LABELS}},
        },
        _api_service(),
    ]


def _object(api_version: str, kind: str, name: str, namespace: str = "") -> Manifest:
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place, "labels": _LABELS}}


def _roles() -> list[Manifest]:
    reader = _object(f"{_RBAC}/v1", "ClusterRole", "system:aggregated-metrics-reader")
    targets = ("admin", "edit", "view")
    reader["metadata"]["labels"] = {
        **_LABELS,
        **{f"{_RBAC}/aggregate-to-{target}": "true" for target in targets},
    }
    read = ["get", "list", "watch"]
    return [
        {
            **reader,
            "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": read}],
        },
        {
            **_object(f"{_RBAC}/v1", "ClusterRole", f"system:{_NAME}"),
            "rules": [
                {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": read},
            ],
        },
    ]


def _bindings() -> list[Manifest]:
    subjects = [{"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}]
    reader = {"apiGroup": _RBAC, "kind": "Role", "name": "extension-apiserver-authentication-reader"}
    delegator = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": "system:auth-delegator"}
    own = {"apiGroup": _RBAC, "kind": "ClusterRole", "name": f"system:{_NAME}"}
    kinds = [
        (_object(f"{_RBAC}/v1", "RoleBinding", f"{_NAME}-auth-reader", _NAMESPACE), reader),
        (_object(f"{_RBAC}/v1", "ClusterRoleBinding", f"{_NAME}:system:auth-delegator"), delegator),
        (_object(f"{_RBAC}/v1", "ClusterRoleBinding", f"system:{_NAME}"), own),
    ]
    return [{**binding, "roleRef": role, "subjects": subjects} for binding, role in kinds]


def _deployment() -> Manifest:
    term = {
        "labelSelector": {"matchLabels": _LABELS},
        "namespaces": [_NAMESPACE],
        "topologyKey": "kubernetes.io/hostname",
    }
    pod = {
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
        "serviceAccountName": _NAME,
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [_container()],
    }
    return {
        **_object("apps/v1", "Deployment", _NAME, _NAMESPACE),
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": _LABELS},
            "strategy": {"rollingUpdate": {"maxUnavailable": 1}},
            "template": {"metadata": {"labels": _LABELS}, "spec": restricted(with_scratch_folder(pod))},
        },
    }


def _container() -> Manifest:
    return {
        "name": _NAME,
        "image": Image.METRICS_SERVER.value,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={_PORT}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--kubelet-use-node-status-port",
            "--metric-resolution=15s",
        ],
        "ports": [{"name": "https", "containerPort": _PORT, "protocol": "TCP"}],
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"}},
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
            "initialDelaySeconds": 20,
        },
        "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
    }


def _api_service() -> Manifest:
    return {
        **_object("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io"),
        "spec": {
            "group": "metrics.k8s.io",
            "groupPriorityMinimum": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": _NAME, "namespace": _NAMESPACE},
            "version": "v1beta1",
            "versionPriority": 100,
        },
    }
