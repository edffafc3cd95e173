"""The ClusterServiceVersion: deployment, permissions, install modes."""

from typing import Any

from deployments.rehearsal.bundle.crds import CRDS
from deployments.rehearsal.bundle.names import (
    CSV_NAME,
    DEPLOYMENT,
    HEALTH_PORT,
    IMAGE,
    MANAGER_CONFIG,
    OSOK_CONFIG,
    POD_LABELS,
    VERSION,
    WEBHOOK_PORT,
)
from deployments.rehearsal.bundle.webhooks import webhook_definitions
from deployments.rehearsal.operator.kinds import MESH_VERSION

_CREDENTIALS = "ocicredentials"
_CREDENTIAL_KEYS = ("user", "tenancy", "region", "fingerprint", "passphrase", "privatekey")
_READ = ["get", "list", "watch"]
_ALL = ["create", "delete", "get", "list", "patch", "update", "watch"]
_CERTIFICATE_FOLDER = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the path inside the container


def cluster_service_version() -> dict[str, Any]:
    """The CSV as it stands in the bundle."""
    owned = [
        {"name": crd.name, "kind": crd.kind, "version": MESH_VERSION, "displayName": crd.kind} for crd in CRDS
    ]
    modes = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": CSV_NAME,
            "namespace": "placeholder",
            "annotations": {"capabilities": "Basic Install"},
        },
        "spec": {
            "displayName": "oci-service-operator",
            "description": "The OCI Service Operator as the rehearsal installs it.",
            "version": VERSION,
            "maturity": "alpha",
            "keywords": ["osok"],
            "provider": {"name": "osok-fleet rehearsal"},
            "installModes": [{"type": mode, "supported": mode == "AllNamespaces"} for mode in modes],
            "customresourcedefinitions": {"owned": owned},
            "apiservicedefinitions": {},
            "install": {"strategy": "deployment", "spec": _install_spec()},
            "webhookdefinitions": webhook_definitions(),
        },
    }


def _install_spec() -> dict[str, Any]:
    account = {"serviceAccountName": "default"}
    return {
        "clusterPermissions": [{**account, "rules": _cluster_rules()}],
        "permissions": [{**account, "rules": _namespace_rules()}],
        "deployments": [{"name": DEPLOYMENT, "label": POD_LABELS, "spec": _deployment_spec()}],
    }


def _deployment_spec() -> dict[str, Any]:
    return {
        "replicas": 1,
        "selector": {"matchLabels": POD_LABELS},
        "strategy": {},
        "template": {
            "metadata": {"labels": POD_LABELS},
            "spec": {
                "containers": [_container()],
                "securityContext": {"runAsUser": 65532},
                "terminationGracePeriodSeconds": 10,
                "volumes": [
                    # OLM replaces this volume by the Secret that it makes itself.
                    {"name": "cert", "secret": {"secretName": "webhook-server-cert", "defaultMode": 420}},
                    {"name": "manager-config", "configMap": {"name": MANAGER_CONFIG}},
                    {"name": "pki", "hostPath": {"path": "/etc/pki"}},
                ],
            },
        },
    }


def _container() -> dict[str, Any]:
    config_file = "controller_manager_config.yaml"
    return {
        "name": "manager",
        "image": IMAGE,
        "imagePullPolicy": "Always",
        "command": ["/manager"],
        "args": [f"--config={config_file}"],
        "env": _environment(),
        "ports": [{"name": "webhook-server", "containerPort": WEBHOOK_PORT, "protocol": "TCP"}],
        "livenessProbe": _probe("/healthz", delay=15, period=20),
        "readinessProbe": _probe("/readyz", delay=5, period=10),
        "resources": {
            "limits": {"cpu": "500m", "memory": "300Mi"},
            "requests": {"cpu": "500m", "memory": "200Mi"},
        },
        "securityContext": {"allowPrivilegeEscalation": False},
        "volumeMounts": [
            {"name": "cert", "mountPath": _CERTIFICATE_FOLDER, "readOnly": True},
            {"name": "manager-config", "mountPath": f"/{config_file}", "subPath": config_file},
            {"name": "pki", "mountPath": "/etc/pki", "readOnly": True},
        ],
    }


def _environment() -> list[dict[str, Any]]:
    optional = [
        {
            "name": key.upper(),
            "valueFrom": {"secretKeyRef": {"name": _CREDENTIALS, "key": key, "optional": True}},
        }
        for key in _CREDENTIAL_KEYS
    ]
    required = {"name": OSOK_CONFIG, "key": "useinstanceprincipal"}
    return [
        *optional,
        {"name": "USEINSTANCEPRINCIPAL", "valueFrom": {"secretKeyRef": required}},
        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    ]


def _probe(path: str, *, delay: int, period: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": HEALTH_PORT},
        "initialDelaySeconds": delay,
        "periodSeconds": period,
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _cluster_rules() -> list[dict[str, Any]]:
    own = [
        rule
        for crd in CRDS
        for rule in (
            _rule(crd.group, [crd.plural], _ALL),
            _rule(crd.group, [f"{crd.plural}/finalizers"], ["update"]),
            _rule(crd.group, [f"{crd.plural}/status"], ["get", "patch", "update"]),
        )
    ]
    return [
        _rule("", ["namespaces", "pods"], _READ),
        _rule("", ["configmaps", "events", "secrets", "services", "pods/eviction"], _ALL),
        _rule("apps", ["deployments"], _ALL),
        _rule("autoscaling", ["horizontalpodautoscalers"], _ALL),
        *own,
    ]


def _namespace_rules() -> list[dict[str, Any]]:
    return [
        _rule("", ["configmaps"], _ALL),
        _rule("coordination.k8s.io", ["configmaps", "leases"], _ALL),
        _rule("", ["events"], ["create", "patch"]),
    ]
