"""A small installation to compare with: one object of each class that a repair tells apart."""

from tasks.core.bundles import Bundle
from tasks.core.drift.expectation import Expectation
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest
from tasks.core.olm_release import OlmManifests
from tasks.core.profiles import built_in_profile

NAMESPACE = "oci-service-operator-system"
CSV_NAME = "oci-service-operator.v1.1.9"
OLM_VERSION = "0.46.0"


def manifest(api_version: str, kind: str, name: str, namespace: str = "") -> Manifest:
    """An object without content."""
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, **place}}


def expectation() -> Expectation:
    """OLM with a CRD, a role and its packageserver; the operator with a CRD, a ConfigMap and a Deployment."""
    return Expectation(
        profile=built_in_profile("osok-1.1.9"),
        bundle=_bundle(),
        installation=Installation(
            NAMESPACE, "oci-service-operator", "alpha", CSV_NAME, "oci-service-operator-catalog"
        ),
        catalog="catalog.example.com:50051",
        olm=OlmManifests(
            OLM_VERSION,
            (
                manifest(
                    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "operators.operators.coreos.com"
                ),
            ),
            (
                manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view"),
                {**manifest(_OLM, _CSV, "packageserver", "olm"), "spec": _spec("packageserver")},
            ),
        ),
        metrics_server=[manifest("apps/v1", "Deployment", "metrics-server", "kube-system")],
    )


_OLM, _CSV = "operators.coreos.com/v1alpha1", "ClusterServiceVersion"


def _bundle() -> Bundle:
    deployment = "oci-service-operator-controller-manager"
    return Bundle(
        package="oci-service-operator",
        channels=("alpha",),
        default_channel="alpha",
        csv={**manifest(_OLM, _CSV, CSV_NAME), "spec": _spec(deployment)},
        objects=(
            manifest("apiextensions.k8s.io/v1", "CustomResourceDefinition", "streams.oci.oracle.com"),
            manifest("v1", "ConfigMap", "oci-service-operator-manager-config"),
        ),
        annotations={},
        dependencies=(),
        source="a test",
    )


def _spec(deployment: str) -> Manifest:
    pod = {"containers": [{"name": "manager", "image": "registry.example.com/manager:1"}]}
    listed = [{"name": deployment, "spec": {"template": {"spec": pod}}}]
    return {"install": {"strategy": "deployment", "spec": {"deployments": listed}}}
