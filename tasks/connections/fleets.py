"""Keeps what a discovery found in blocks: the fleet's, and one per cluster."""

from blocks.cluster_fleet import (
    ClusterBlock,
    ClusterFleet,
    DiscoveredEndpoint,
    EntryOrigin,
    FleetEntry,
    OkeConnection,
    target_of,
)
from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from tasks.connections.blocks import find_block
from tasks.core.errors import InputError
from tasks.core.fleets import Discovery, Member


def known_names(fleet: str) -> dict[str, str]:
    """The names that a fleet's clusters have already, by OCID; by block where that is not one of OKE."""
    block = find_block(ClusterFleet, fleet) or ClusterFleet()
    return {_cluster_of(entry): entry.name for entry in block.clusters}


def save_fleet(fleet: str, discovery: Discovery, endpoint: DiscoveredEndpoint) -> tuple[str, ...]:
    """Write the blocks of the members, then the fleet's; returns one line per block that changed.

    Static entries stay as they are. So do discovered ones that are missing when something could not be read.
    In a cluster's block only tenancy and labels are brought up to date: the rest of it is a person's.

    Raises:
        InputError: A member's name belongs to the block of another cluster. Nothing was written then.
    """
    old = find_block(ClusterFleet, fleet)
    entries = old.clusters if old else []
    static = {_cluster_of(entry) for entry in entries if entry.origin is EntryOrigin.STATIC}
    members = [member for member in discovery.members if member.cluster.id not in static]
    kept = [entry for entry in entries if _stays(entry, members, discovery)]
    written = [*kept, *(_entry(member, endpoint) for member in members)]
    new = ClusterFleet(clusters=sorted(written, key=lambda entry: entry.name))
    blocks = {member.name: _cluster_block(member, endpoint) for member in members}
    changed = []
    for name, (before, after) in blocks.items():
        if before != after:
            after.save(name, overwrite=True)
            changed.append(f"cluster block {name}")
    if old is None or new.clusters != old.clusters:
        new.save(fleet, overwrite=True)
        changed.append(f"fleet block {fleet}")
    return tuple(changed)


def _stays(entry: FleetEntry, members: list[Member], discovery: Discovery) -> bool:
    if entry.origin is EntryOrigin.STATIC:
        return True
    found_again = target_of(entry) in {member.cluster.id for member in members}
    return bool(discovery.unread) and not found_again


def _entry(member: Member, endpoint: DiscoveredEndpoint) -> FleetEntry:
    cluster = member.cluster
    return FleetEntry(
        name=member.name,
        labels=cluster.labels,
        connection=OkeConnection(
            tenancy=cluster.tenancy, region=cluster.region, cluster_id=cluster.id, endpoint=endpoint
        ),
        origin=EntryOrigin.DISCOVERED,
    )


def _cluster_block(
    member: Member, endpoint: DiscoveredEndpoint
) -> tuple[KubernetesCluster | None, KubernetesCluster]:
    """The block as it is, and as it should be."""
    cluster = member.cluster
    before = find_block(KubernetesCluster, member.name)
    if before is None:
        return None, KubernetesCluster(
            source=KubeconfigSource.OKE,
            tenancy=cluster.tenancy,
            cluster_id=cluster.id,
            endpoint=endpoint,
            labels=cluster.labels,
        )
    if before.source is not KubeconfigSource.OKE or before.cluster_id != cluster.id:
        raise InputError(
            "save the fleet",
            f"block {member.name}",
            f"a block of the cluster {cluster.id}",
            f"one of {before.cluster_id or before.source.value}",
            "Rename that block, or add a static entry with another name for the cluster to the fleet.",
        )
    return before, before.model_copy(update={"tenancy": cluster.tenancy, "labels": cluster.labels})


def _cluster_of(entry: FleetEntry) -> str:
    """The OCID of an entry's cluster, also when it is in a block; else that block's name."""
    if not isinstance(entry.connection, ClusterBlock):
        return entry.connection.cluster_id
    block = find_block(KubernetesCluster, entry.connection.block)
    return (block.cluster_id if block else "") or entry.connection.block
