"""Finds the OKE clusters of tenancies, and keeps them as a fleet when asked to."""

from typing import Annotated, Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from blocks.cluster_fleet import DiscoveredEndpoint
from blocks.kubernetes_cluster import OkeEndpoint
from blocks.oci_tenancy import OciTenancy
from tasks.connections import load_block
from tasks.connections.fleets import known_names, save_fleet
from tasks.core.errors import TenancyError
from tasks.core.fleet_choices import DiscoveryMode, DiscoveryScope
from tasks.core.fleets import Discovery, choose_members, render_discovery
from tasks.core.markdown import counted
from tasks.prerequisites.discovery import find_clusters

FleetName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9-]+$", description="Name of the OSOK Cluster Fleet block; it need not exist yet."
    ),
]
TenancyNames = Annotated[
    list[str], Field(min_length=1, description="Names of the OSOK OCI Tenancy blocks to search.")
]
_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=24)
"""Reads wait for the network most of the time; each tenancy limits its own requests."""


@flow(
    name="discover-fleet",
    flow_run_name="discover-fleet/{fleet}",
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def discover_fleet(
    fleet: FleetName,
    tenancies: TenancyNames,
    scope: DiscoveryScope = DiscoveryScope(),
    endpoint: DiscoveredEndpoint = OkeEndpoint.AUTO,
    mode: DiscoveryMode = DiscoveryMode.REPORT,
) -> Discovery:
    """List the clusters of a compartment tree, name and label them, and show them; save them only if asked.

    Clusters that are not active are reported and left out. What cannot be read is named, and then nothing is
    taken out of the fleet.

    Args:
        fleet: Name of the OSOK Cluster Fleet block.
        tenancies: Names of the OSOK OCI Tenancy blocks to search.
        scope: Where to search, and which clusters are meant.
        endpoint: Which address new blocks of clusters use.
        mode: REPORT shows what was found; SAVE also writes the fleet's block and one per cluster.

    Returns:
        What was found.

    Raises:
        TenancyError: Nothing could be read at all.
        InputError: A block that a cluster would have belongs to another one; nothing was saved.
    """
    reading = find_clusters([load_block(OciTenancy, name) for name in tenancies], scope)
    discovery = choose_members(reading.found, scope.wanted(), known_names(fleet), reading.unread)
    refuse_blindness(discovery)
    saved = "Nothing was saved: the mode is REPORT."
    if mode is DiscoveryMode.SAVE:
        changed = save_fleet(fleet, discovery, endpoint)
        saved = f"Saved: {', '.join(changed) or 'nothing, everything was up to date'}."
    create_markdown_artifact(
        render_discovery(fleet, discovery, saved),
        key=f"fleet-{fleet}",
        description=counted(len(discovery.members), "cluster"),
    )
    return discovery


def refuse_blindness(discovery: Discovery) -> None:
    """An empty fleet is news only when it was looked for everywhere.

    Raises:
        TenancyError: Nothing was found, and something could not be read.
    """
    if discovery.unread and not discovery.members:
        raise TenancyError("find clusters", found="; ".join(discovery.unread))
