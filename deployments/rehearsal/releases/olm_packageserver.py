"""The ClusterServiceVersion by which OLM installs its packageserver, the API behind `packagemanifests`."""

from deployments.rehearsal.images import Image
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases.pod_security import restricted, with_scratch_folder
from tasks.core.manifests import Manifest

_NAME = "packageserver"
_PORT = 5443


def packageserver_csv(version: OlmVersion, image: Image, namespace: str, service_account: str) -> Manifest:
    """Complete enough for OLM to install it: Deployment, Service, APIService, certificate and permissions."""
    spec_version = f"v{version.value}"
    deployment = {"name": _NAME, "spec": _deployment_spec(version, image, namespace, service_account)}
    return {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": _NAME, "namespace": namespace, "labels": {"olm.version": spec_version}},
        "spec": {
            "displayName": "Package Server",
            "description": "Serves the packages of all catalogs as an API of the cluster.",
            "version": spec_version,
            "maturity": "alpha",
            "minKubeVersion": "1.11.0",
            "provider": {"name": "The rehearsal of osok-fleet"},
            "installModes": [{"type": mode, "supported": True} for mode in _INSTALL_MODES],
            "install": {
                "strategy": "deployment",
                "spec": {
                    "clusterPermissions": [{"serviceAccountName": service_account, "rules": _RULES}],
                    "deployments": [deployment],
                },
            },
            "apiservicedefinitions": {"owned": [_OWNED_API]},
        },
    }


_INSTALL_MODES = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
_READ = ["get", "list", "watch"]
_RULES: list[Manifest] = [
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["subjectaccessreviews"],
        "verbs": ["create", "get"],
    },
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": _READ},
    {"apiGroups": ["operators.coreos.com"], "resources": ["catalogsources"], "verbs": _READ},
    {
        "apiGroups": ["packages.operators.coreos.com"],
        "resources": ["packagemanifests"],
        "verbs": ["get", "list"],
    },
]
_OWNED_API: Manifest = {
    "group": "packages.operators.coreos.com",
    "version": "v1",
    "kind": "PackageManifest",
    "name": "packagemanifests",
    "displayName": "PackageManifest",
    "description": "A package that some catalog of the cluster offers.",
    "deploymentName": _NAME,
    "containerPort": _PORT,
}


def _deployment_spec(version: OlmVersion, image: Image, namespace: str, service_account: str) -> Manifest:
    pod = with_scratch_folder(
        {
            "serviceAccountName": service_account,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [_container(image, namespace)],
        }
    )
    labels = {"app": _NAME}
    return {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": restricted(pod) if version is OlmVersion.V0_46_0 else pod,
        },
    }


def _container(image: Image, namespace: str) -> Manifest:
    probe = {"httpGet": {"scheme": "HTTPS", "path": "/healthz", "port": _PORT}}
    return {
        "name": _NAME,
        "image": image.value,
        "imagePullPolicy": "Always",
        "command": [
            "/bin/package-server",
            "-v=4",
            "--secure-port",
            str(_PORT),
            "--global-namespace",
            namespace,
        ],
        "ports": [{"containerPort": _PORT, "protocol": "TCP"}],
        "livenessProbe": probe,
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
