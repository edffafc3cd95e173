"""What has to be read from a cluster before a stalled installation can be explained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, ref_of

CATALOG_POD_LABEL = "olm.catalogSource"
"""OLM's label on the catalog pods that it makes (pkg/controller/registry/reconciler/reconciler.go)."""

UNPACK_LABEL = "operatorframework.io/bundle-unpack-ref"
"""OLM's label on the Jobs that unpack bundles (v0.46.0, pkg/controller/bundle/bundle_unpacker.go)."""


@dataclass(frozen=True)
class StallObservation:
    """One installation and all that was read about it; what could not be read is left empty.

    Attributes:
        installation: What was to be installed.
        subscription: Its Subscription.
        catalogs: CatalogSources of the namespace and of OLM's.
        groups: OperatorGroups of all namespaces (other ones name the owner of a CRD); None when not read, as
            none at all is a cause.
        plans: InstallPlans of the namespace.
        csvs: ClusterServiceVersions of the namespace.
        deployments: Deployments of the namespace and of OLM's.
        replica_sets: ReplicaSets of the namespace and of OLM's.
        pods: Pods of the namespace and of OLM's.
        events: Events (v1) of the namespace and of OLM's.
        services: Services of the namespace.
        olm_namespace: Where OLM itself runs.
    """

    installation: Installation
    subscription: Manifest | None = None
    catalogs: tuple[Manifest, ...] = ()
    groups: tuple[Manifest, ...] | None = None
    plans: tuple[Manifest, ...] = ()
    csvs: tuple[Manifest, ...] = ()
    deployments: tuple[Manifest, ...] = ()
    replica_sets: tuple[Manifest, ...] = ()
    pods: tuple[Manifest, ...] = ()
    events: tuple[Manifest, ...] = ()
    services: tuple[Manifest, ...] = ()
    olm_namespace: str = "olm"

    @property
    def namespace(self) -> str:
        """The namespace that the operator is installed into."""
        return self.installation.namespace

    @property
    def own_groups(self) -> tuple[Manifest, ...]:
        """The OperatorGroups of the operator's namespace."""
        return tuple(group for group in self.groups or () if namespace_of(group) == self.namespace)

    @property
    def csv(self) -> Manifest | None:
        """The ClusterServiceVersion that was to succeed."""
        return _named(self.csvs, self.installation.csv)

    @property
    def own_catalog(self) -> Manifest | None:
        """The CatalogSource that the Subscription names."""
        own = [catalog for catalog in self.catalogs if namespace_of(catalog) == self.namespace]
        return _named(own, self.installation.catalog)

    @property
    def named_plan(self) -> Manifest | None:
        """The InstallPlan that the Subscription names."""
        status = status_of(self.subscription)
        return _named(self.plans, (status.get("installPlanRef") or {}).get("name", ""))

    @property
    def operator_deployments(self) -> tuple[str, ...]:
        """The names of the Deployments that the ClusterServiceVersion installs."""
        spec = ((self.csv or {}).get("spec") or {}).get("install", {}).get("spec") or {}
        return tuple(str(deployment["name"]) for deployment in spec.get("deployments") or [])


def _named(objects: tuple[Manifest, ...] | list[Manifest], name: str) -> Manifest | None:
    return next((one for one in objects if one["metadata"]["name"] == name), None)


def namespace_of(manifest: Manifest) -> str:
    """metadata.namespace, empty for cluster-scoped objects."""
    return ref_of(manifest).namespace


def status_of(manifest: Manifest | None) -> Mapping[str, Any]:
    """The status, empty when the object or its status is not there."""
    status: Mapping[str, Any] = (manifest or {}).get("status") or {}
    return status


def labels_of(manifest: Manifest) -> Mapping[str, str]:
    """metadata.labels."""
    labels: Mapping[str, str] = manifest["metadata"].get("labels") or {}
    return labels
