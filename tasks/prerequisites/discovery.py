"""Finds the OKE clusters of tenancies: a task per tenancy for its compartments, and one per region."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from prefect.futures import PrefectFuture

from blocks.oci_tenancy import OciTenancy
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.clusters import read_clusters
from tasks.clients.tenancy.compartments import read_regions, read_tree
from tasks.clients.tenancy.traffic import AT_ONCE
from tasks.connections import in_region, open_tenancy, tenancy_name
from tasks.core.errors import FleetError
from tasks.core.fleet_choices import DiscoveryScope
from tasks.core.fleets import Branch, FoundCluster
from tasks.prerequisites.tenancies import reading_task


@dataclass(frozen=True)
class TenancyShape:
    """Where clusters of a tenancy can be.

    Attributes:
        branches: The compartments to search.
        regions: The regions to search.
        unread: What could not be read, in words.
    """

    branches: tuple[Branch, ...] = ()
    regions: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegionReading:
    """The clusters of a tenancy's region, and what could not be read there."""

    found: tuple[FoundCluster, ...]
    unread: tuple[str, ...]


@reading_task("read-compartments")
def read_shape(tenancy: OciTenancy, scope: DiscoveryScope, until: datetime) -> TenancyShape:
    """The compartments below the one to begin at, and which of the wanted regions the tenancy has."""
    name = tenancy_name(tenancy)
    try:
        calls = open_tenancy(tenancy, until)
        subscribed = read_regions(calls)
        branches = read_tree(calls, scope.compartment_id or tenancy.tenancy_id)
    except FleetError as error:
        return TenancyShape(unread=(f"{name}: {error}",))
    wanted = scope.regions or [tenancy.region]
    absent = [region for region in wanted if region not in subscribed]
    return TenancyShape(
        branches,
        tuple(region for region in wanted if region in subscribed),
        tuple(f"{name} is not subscribed to the region {region}" for region in absent),
    )


@reading_task("list-clusters")
def list_clusters(tenancy: OciTenancy, branches: tuple[Branch, ...], until: datetime) -> RegionReading:
    """All clusters of some compartments in the region of the block."""
    try:
        calls = open_tenancy(tenancy, until)
    except FleetError as error:
        return RegionReading((), (f"{error}",))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda branch: _clusters_of(calls, branch), branches))
    found = tuple(cluster for answer in answers if isinstance(answer, list) for cluster in answer)
    return RegionReading(found, tuple(answer for answer in answers if isinstance(answer, str)))


def find_clusters(tenancies: list[OciTenancy], scope: DiscoveryScope) -> RegionReading:
    """Search all tenancies and regions side by side. What cannot be read does not stop the rest."""
    until = datetime.now(UTC) + scope.deadline
    shapes = [(tenancy, read_shape.submit(tenancy, scope, until)) for tenancy in tenancies]
    unread: list[str] = []
    pending: list[PrefectFuture[RegionReading]] = []
    for tenancy, future in shapes:
        shape = future.result()
        unread += shape.unread
        pending += [
            list_clusters.submit(in_region(tenancy, region), shape.branches, until)
            for region in shape.regions
        ]
    readings = [future.result() for future in pending]
    found = tuple(cluster for reading in readings for cluster in reading.found)
    return RegionReading(found, (*unread, *(text for reading in readings for text in reading.unread)))


def _clusters_of(calls: TenancyCalls, branch: Branch) -> list[FoundCluster] | str:
    try:
        return read_clusters(calls, branch)
    except FleetError as error:
        return f"{calls.name}, {calls.address.region}, compartment {branch.path}: {error}"
