"""Clusters without OLM and operator, made to look just as installed as publishing needs it."""

from datetime import timedelta

from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.manifests import ObjectRef

_API, _KIND = "operators.coreos.com/v1alpha1", "ClusterServiceVersion"
_PATIENCE = timedelta(minutes=3)


def tell_olm_version(client: ClusterClient) -> None:
    """Make the object in which OLM tells its version: publishing asks which of OLM's rules hold."""
    group, version = _API.split("/")
    ref = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", f"clusterserviceversions.{group}")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    spec = {
        "group": group,
        "scope": "Namespaced",
        "names": {"kind": _KIND, "plural": "clusterserviceversions", "singular": "clusterserviceversion"},
        "versions": [{"name": version, "served": True, "storage": True, "schema": schema}],
    }
    client.create(
        {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}, "spec": spec}
    )
    wait_for(
        lambda: client.read_path(f"/apis/{_API}/clusterserviceversions"),
        lambda served: served is not None,
        deadline_after(_PATIENCE),
    )
    make_namespace(client, "olm")
    metadata = {"name": "packageserver", "namespace": "olm", "labels": {"olm.version": "v0.46.0"}}
    client.create({"apiVersion": _API, "kind": _KIND, "metadata": metadata, "spec": {}})


def make_namespace(client: ClusterClient, name: str) -> None:
    """Make a namespace of that name."""
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
