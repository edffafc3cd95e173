"""The bundle's catalog in the cluster, and OLM's connection to it (R6, R7)."""

from datetime import datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster.converge import converge_within, written
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import open_cluster
from tasks.core.bundles import Bundle
from tasks.core.catalogs import (
    CatalogPlace,
    CatalogServer,
    address_catalog_source,
    catalog_objects,
    render_catalog,
)
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.outcomes import StepOutcome
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.operator.stalls import stalled
from tasks.steps import step


@step("publish-catalog")
def publish_catalog(
    cluster: KubernetesCluster,
    bundle: Bundle,
    installation: Installation,
    server: CatalogServer | str,
    scope: WriteScope = EVERYTHING,
) -> StepOutcome:
    """Write the catalog's ConfigMap, Deployment, Service and CatalogSource, or only the latter.

    Args:
        cluster: The cluster's block.
        bundle: What the catalog offers.
        installation: Whose catalog it is.
        server: What serves it, or the `host:port` of a catalog that runs already.
        scope: Which of them.

    Raises:
        ManifestError: The bundle does not fit into one ConfigMap.
    """
    changes = converge_within(open_cluster(cluster), wanted_catalog(bundle, installation, server), scope)
    return StepOutcome(written(changes), f"catalog {installation.catalog} offers {bundle.name}")


def wanted_catalog(bundle: Bundle, installation: Installation, server: CatalogServer | str) -> list[Manifest]:
    """What the step writes; raises as it does."""
    place = CatalogPlace(installation.namespace, installation.catalog)
    if isinstance(server, str):
        return [address_catalog_source(place, server)]
    return catalog_objects(render_catalog(bundle), place, server, f"{bundle.name} by osok-fleet")


@step("wait-for-catalog")
def wait_for_catalog(cluster: KubernetesCluster, installation: Installation, until: datetime) -> StepOutcome:
    """Wait until OLM is connected to the catalog.

    Raises:
        StalledError: It was not connected in time; the message carries the cause.
    """
    client = open_cluster(cluster)
    ref = ObjectRef(
        "operators.coreos.com/v1alpha1", "CatalogSource", installation.catalog, installation.namespace
    )
    state = wait_for(
        lambda: _connection_state(client.get(ref)), lambda seen: seen == "READY", deadline_at(until)
    )
    if state != "READY":
        raise stalled(client, installation, f"connect OLM to the catalog (state {state or 'unknown'})")
    return StepOutcome(detail=f"OLM is connected to catalog {installation.catalog}")


def _connection_state(source: Manifest | None) -> str:
    status = (source or {}).get("status") or {}
    return str((status.get("connectionState") or {}).get("lastObservedState", ""))
