"""Objects of a stalled installation as OLM, the controllers and the kubelet write them."""

from dataclasses import replace
from typing import Any

from tasks.core.diagnosis import CauseKind, StallObservation, diagnose
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest

NS = "oci-service-operator-system"
CSV = "oci-service-operator.v1.1.9"
DEPLOYMENT = "oci-service-operator-controller-manager"
CATALOG = "osok-fleet-catalog"
OPERATORS = "operators.coreos.com/v1alpha1"
INSTALLATION = Installation(NS, "oci-service-operator", "alpha", CSV, CATALOG)


def thing(
    api_version: str,
    kind: str,
    name: str,
    namespace: str = NS,
    metadata: Manifest | None = None,
    **parts: object,
) -> Manifest:
    """An object with a name and whatever else it needs."""
    own = {"name": name, "namespace": namespace, **(metadata or {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": own, **parts}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    """One element of status.conditions."""
    return {"type": kind, "status": status, "reason": reason, "message": message}


def subscription(*conditions: dict[str, str], plan: str = "", **status: object) -> Manifest:
    """The Subscription, with a status that OLM has written."""
    reference = {"installPlanRef": {"name": plan}} if plan else {}
    filled = {"conditions": list(conditions), "lastUpdated": "2025-06-01T00:00:00Z", **reference, **status}
    return thing(OPERATORS, "Subscription", "oci-service-operator", status=filled)


def catalog(name: str = CATALOG, namespace: str = NS, state: str = "READY", **status: object) -> Manifest:
    """A CatalogSource."""
    connection = {"connectionState": {"lastObservedState": state}} if state else {}
    spec = {"sourceType": "grpc", "address": f"{name}.{namespace}.svc:50051"}
    return thing(OPERATORS, "CatalogSource", name, namespace, spec=spec, status={**connection, **status})


def group(
    name: str = "osok-fleet", namespace: str = NS, annotations: dict[str, str] | None = None
) -> Manifest:
    """An OperatorGroup for all namespaces."""
    metadata = {"annotations": annotations or {}}
    return thing("operators.coreos.com/v1", "OperatorGroup", name, namespace, metadata=metadata, spec={})


def plan(name: str = "install-abcde", names: tuple[str, ...] = (CSV,), **parts: object) -> Manifest:
    """An InstallPlan that is approved unless said otherwise."""
    spec = {"approved": parts.pop("approved", True), "clusterServiceVersionNames": list(names)}
    return thing(OPERATORS, "InstallPlan", name, spec=spec, status=parts)


def csv(phase: str = "Pending", reason: str = "", message: str = "", **status: object) -> Manifest:
    """The ClusterServiceVersion with its Deployment and one of its CRDs."""
    owned = [{"name": "meshes.servicemesh.oci.oracle.com", "kind": "Mesh", "version": "v1beta1"}]
    spec = {
        "install": {"spec": {"deployments": [{"name": DEPLOYMENT}]}},
        "customresourcedefinitions": {"owned": owned},
    }
    filled = {"phase": phase, "reason": reason, "message": message, **status}
    return thing(OPERATORS, "ClusterServiceVersion", CSV, spec=spec, status=filled)


def operator_pod(*containers: Manifest, **status: object) -> Manifest:
    """A pod of the operator's Deployment."""
    labels = {"control-plane": "controller-manager", "pod-template-hash": "5d9c"}
    owner = {"kind": "ReplicaSet", "name": f"{DEPLOYMENT}-5d9c", "controller": True}
    metadata = {"labels": labels, "ownerReferences": [owner]}
    filled = {"phase": "Pending", "containerStatuses": list(containers), **status}
    return thing("v1", "Pod", f"{DEPLOYMENT}-5d9c-x7k2p", metadata=metadata, status=filled)


def catalog_pod(*containers: Manifest, made_by_olm: bool = False) -> Manifest:
    """The pod of the catalog, ours or one that OLM made for a catalog image."""
    ours = {"app.kubernetes.io/component": "catalog", "app.kubernetes.io/name": CATALOG}
    labels = {"olm.catalogSource": CATALOG} if made_by_olm else ours
    return thing(
        "v1",
        "Pod",
        f"{CATALOG}-7b",
        metadata={"labels": labels},
        status={"containerStatuses": list(containers)},
    )


def waiting(reason: str, message: str = "", **container: object) -> Manifest:
    """A container that does not run."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"name": "manager", "image": "registry.example.com/op:1", "state": state, **container}


def event(reason: str, kind: str, name: str, message: str, api_version: str = "v1") -> Manifest:
    """A Warning event about an object of the namespace."""
    about = {"apiVersion": api_version, "kind": kind, "name": name, "namespace": NS}
    return {"reason": reason, "type": "Warning", "involvedObject": about, "message": message}


def replica_set(name: str = f"{DEPLOYMENT}-5d9c", replicas: int = 0, *conditions: dict[str, str]) -> Manifest:
    """A ReplicaSet that wants one pod."""
    status = {"replicas": replicas, "conditions": list(conditions)}
    return thing("apps/v1", "ReplicaSet", name, spec={"replicas": 1}, status=status)


def observe(**found: Any) -> StallObservation:  # noqa: ANN401 - whatever fields the test names
    """An observation with a healthy catalog and one OperatorGroup unless said otherwise."""
    base = StallObservation(INSTALLATION, catalogs=(catalog(),), groups=(group(),))
    return replace(base, **found)


def kinds(observed: StallObservation) -> list[CauseKind]:
    """The kinds of causes found, in order."""
    return [cause.kind for cause in diagnose(observed)]
