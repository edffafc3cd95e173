"""The objects of an OLM release besides its CRDs, with the names and kinds that the real releases have.

Written for the rehearsal after OLM's helm chart (deploy/chart at v0.20.0 and v0.46.0), which the releases are
rendered from. Images stand for programs: see `deployments.rehearsal.images`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.rehearsal.images import Image
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases.olm_network import network_policies
from deployments.rehearsal.releases.olm_packageserver import packageserver_csv
from deployments.rehearsal.releases.pod_security import restricted, with_scratch_folder
from tasks.core.manifests import Manifest

NAMESPACE = "olm"
OPERATORS_NAMESPACE = "operators"
SERVICE_ACCOUNT = "olm-operator-serviceaccount"

_CONFIG_MAP_SERVER = "quay.io/operator-framework/configmap-operator-registry:latest"
_RBAC = "rbac.authorization.k8s.io"
_WRITE_VERBS = ("watch", "list", "get", "create", "update", "patch", "delete", "deletecollection")


@dataclass(frozen=True)
class _Style:
    """What changed between the releases."""

    image: Image
    restricted: bool
    """Pod security, read-only file systems and network policies came after 0.20.0."""
    strategy: str
    verbs: tuple[str, ...]
    """What OLM's account may do with every object of the cluster."""
    catalog_args: tuple[str, ...]


_STYLES: Mapping[OlmVersion, _Style] = {
    OlmVersion.V0_20_0: _Style(
        image=Image.OLM_0_20_0,
        restricted=False,
        strategy="RollingUpdate",
        verbs=("*",),
        catalog_args=(
            "-namespace",
            NAMESPACE,
            f"-configmapServerImage={_CONFIG_MAP_SERVER}",
            "-util-image",
            Image.OLM_0_20_0.value,
        ),
    ),
    OlmVersion.V0_46_0: _Style(
        image=Image.OLM_0_46_0,
        restricted=True,
        strategy="Recreate",
        verbs=(*_WRITE_VERBS, "escalate", "bind"),
        catalog_args=(
            "--namespace",
            NAMESPACE,
            f"--configmapServerImage={_CONFIG_MAP_SERVER}",
            f"--opmImage={Image.OPM.value}",
            "--util-image",
            Image.OLM_0_46_0.value,
            "--set-workload-user-id=true",
        ),
    ),
}


def olm_objects(version: OlmVersion) -> list[Manifest]:
    """Everything in a release's olm.yaml, in the release's order."""
    style = _STYLES[version]
    policies = network_policies(NAMESPACE, OPERATORS_NAMESPACE) if style.restricted else []
    return [
        _namespace(NAMESPACE, "restricted" if style.restricted else ""),
        _namespace(OPERATORS_NAMESPACE, "baseline" if style.restricted else ""),
        *policies,
        *_accounts(style),
        {"apiVersion": "operators.coreos.com/v1", "kind": "OLMConfig", "metadata": {"name": "cluster"}},
        _olm_operator(style),
        _catalog_operator(style),
        *_aggregate_roles(),
        _operator_group("global-operators", OPERATORS_NAMESPACE, {}),
        _operator_group("olm-operators", NAMESPACE, {"targetNamespaces": [NAMESPACE]}),
        packageserver_csv(version, style.image, NAMESPACE, SERVICE_ACCOUNT),
        _catalog_source(style),
    ]


def _namespace(name: str, enforced: str) -> Manifest:
    labels = {
        "pod-security.kubernetes.io/enforce": enforced,
        "pod-security.kubernetes.io/enforce-version": "latest",
    }
    metadata: Manifest = {"name": name, "labels": labels} if enforced else {"name": name}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def _accounts(style: _Style) -> list[Manifest]:
    role = "system:controller:operator-lifecycle-manager"
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": list(style.verbs)}
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": SERVICE_ACCOUNT, "namespace": NAMESPACE},
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": role},
            "rules": [everything, {"nonResourceURLs": ["*"], "verbs": ["*"]}],
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"olm-operator-binding-{NAMESPACE}"},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}],
        },
    ]


def _olm_operator(style: _Style) -> Manifest:
    container: Manifest = {
        "name": "olm-operator",
        "command": ["/bin/olm"],
        "args": ["--namespace", "$(OPERATOR_NAMESPACE)", "--writeStatusName", ""],
        "env": [
            {"name": "OPERATOR_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "OPERATOR_NAME", "value": "olm-operator"},
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "160Mi"}},
    }
    return _deployment("olm-operator", container, style)


def _catalog_operator(style: _Style) -> Manifest:
    container: Manifest = {
        "name": "catalog-operator",
        "command": ["/bin/catalog"],
        "args": list(style.catalog_args),
        "resources": {"requests": {"cpu": "10m", "memory": "80Mi"}},
    }
    return _deployment("catalog-operator", container, style)


def _deployment(name: str, container: Manifest, style: _Style) -> Manifest:
    probe = {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}}
    pod: Manifest = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "containers": [
            {
                **container,
                "image": style.image.value,
                "imagePullPolicy": "IfNotPresent",
                "ports": [{"name": "metrics", "containerPort": 8080}],
                "livenessProbe": probe,
                "readinessProbe": probe,
                "terminationMessagePolicy": "FallbackToLogsOnError",
            }
        ],
    }
    spec = restricted(with_scratch_folder(pod)) if style.restricted else pod
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": style.strategy},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _aggregate_roles() -> list[Manifest]:
    group = "operators.coreos.com"
    read = ["get", "list", "watch"]
    kinds = ["clusterserviceversions", "catalogsources", "installplans", "subscriptions"]
    edit = [
        {
            "apiGroups": [group],
            "resources": ["subscriptions"],
            "verbs": ["create", "update", "patch", "delete"],
        },
        {"apiGroups": [group], "resources": kinds, "verbs": ["delete"]},
    ]
    view = [
        {"apiGroups": [group], "resources": [*kinds, "operatorgroups"], "verbs": read},
        {
            "apiGroups": [f"packages.{group}"],
            "resources": ["packagemanifests", "packagemanifests/icon"],
            "verbs": read,
        },
    ]
    return [
        _aggregate_role("aggregate-olm-edit", ("admin", "edit"), edit),
        _aggregate_role("aggregate-olm-view", ("admin", "edit", "view"), view),
    ]


def _aggregate_role(name: str, targets: tuple[str, ...], rules: list[Manifest]) -> Manifest:
    labels = {f"{_RBAC}/aggregate-to-{target}": "true" for target in targets}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels},
        "rules": rules,
    }


def _operator_group(name: str, namespace: str, spec: Manifest) -> Manifest:
    group: Manifest = {
        "apiVersion": "operators.coreos.com/v1",
        "kind": "OperatorGroup",
        "metadata": {"name": name, "namespace": namespace},
    }
    return {**group, "spec": spec} if spec else group


def _catalog_source(style: _Style) -> Manifest:
    spec: Manifest = {
        "sourceType": "grpc",
        "image": Image.OPERATORHUB_CATALOG.value,
        "displayName": "Community Operators",
        "publisher": "OperatorHub.io",
        "updateStrategy": {"registryPoll": {"interval": "60m"}},
    }
    if style.restricted:
        spec["grpcPodConfig"] = {"securityContextConfig": "restricted"}
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "CatalogSource",
        "metadata": {"name": "operatorhubio-catalog", "namespace": NAMESPACE},
        "spec": spec,
    }
