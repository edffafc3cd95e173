"""R23-R28 before an installation: each region once, refused clusters untouched, skipping with a reason."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from pydantic import ValidationError

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from blocks.oci_tenancy import OciTenancy
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import save_blocks
from deployments.rehearsal.tenancy.seeding import Seed, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_cluster, add_tenancy, new_api_key
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.connections import in_region, load_block
from tasks.core.errors import InputError, InstallError, PrerequisiteError
from tasks.core.fleet_choices import DiscoveryScope
from tasks.core.prerequisites.settings import (
    FleetPrerequisites,
    NoGateway,
    PrerequisiteMode,
    PrerequisiteNeeds,
)
from tasks.prerequisites.discovery import RegionReading, find_clusters
from tasks.prerequisites.upstream import Upstream, check_places, check_upstream
from tests.support.tenancies import save_tenancy_block

FRANKFURT, ZURICH = "eu-frankfurt-1", "eu-zurich-1"
NEEDS = PrerequisiteNeeds(vault="mesh", key="mesh", certificate_authority="mesh", gateway=NoGateway())
CHECK = FleetPrerequisites(needs=NEEDS)
TOO_SHORT = Seed(leaf_validity="P30D", certificate_days=29)


@dataclass(frozen=True)
class Fleet:
    """Two regions of a tenancy, with a block per OKE cluster."""

    frankfurt: TenancyServer
    zurich: TenancyServer
    place: Place
    folder: Path
    known: list[str] = field(default_factory=list)

    def add(self, name: str, server: TenancyServer) -> str:
        """A cluster of a region, and its block."""
        entry = add_cluster(server.store, self.place, server.region, name, "127.0.0.1:1")
        block = KubernetesCluster(
            source=KubeconfigSource.OKE, tenancy="upstream-acme", cluster_id=entry.model.id
        )
        block.save(name, overwrite=True)
        return name


@pytest.fixture(scope="module")
def api_key() -> rsa.RSAPrivateKey:
    return new_api_key()


@pytest.fixture
def fleet(prefect_server: SyncPrefectClient, api_key: rsa.RSAPrivateKey, tmp_path: Path) -> Iterator[Fleet]:
    store = Store()
    place = add_tenancy(store, "acme", [FRANKFURT, ZURICH], api_key)
    with TenancyServer(store, FRANKFURT) as frankfurt, TenancyServer(store, ZURICH) as zurich:
        seed(frankfurt, place)
        seed(zurich, place, TOO_SHORT)
        save_tenancy_block(frankfurt, place, "upstream-acme", tmp_path, {ZURICH: zurich.url})
        yield Fleet(frankfurt, zurich, place, tmp_path)


@flow
def upstream_of(clusters: list[str], choice: FleetPrerequisites) -> Upstream:
    """What install-fleet does first."""
    return check_upstream(clusters, choice)


def test_each_region_is_read_once_for_all_its_clusters(fleet: Fleet) -> None:
    clusters = [fleet.add(f"fra-{number}", fleet.frankfurt) for number in range(3)]
    clusters.append(fleet.add("zrh-0", fleet.zurich))
    fleet.frankfurt.traffic.operations.clear()
    fleet.zurich.traffic.operations.clear()

    upstream = upstream_of(clusters, CHECK)

    read = fleet.frankfurt.traffic.operations + fleet.zurich.traffic.operations
    assert {count for path, count in read.items() if "ocid1" in path} == {1}
    assert set(upstream.reports) == {"upstream-acme in eu-frankfurt-1", "upstream-acme in eu-zurich-1"}
    assert upstream.require("fra-2").detail == "upstream-acme in eu-frankfurt-1: 30 PASS, 1 UNKNOWN"


@flow
def discover_and_check() -> tuple[RegionReading, Upstream]:
    """What discover-fleet and install-fleet do before they touch a cluster."""
    tenancy = load_block(OciTenancy, "upstream-acme")
    reading = find_clusters([tenancy], DiscoveryScope(regions=[FRANKFURT, ZURICH]))
    needed = {cluster.name: [in_region(tenancy, cluster.region)] for cluster in reading.found}
    return reading, check_places(needed, CHECK)


def test_a_run_that_discovers_and_checks_reads_no_object_twice(fleet: Fleet) -> None:
    for name, server in (("fra-0", fleet.frankfurt), ("fra-1", fleet.frankfurt), ("zrh-0", fleet.zurich)):
        add_cluster(server.store, fleet.place, server.region, name, "127.0.0.1:1")
    fleet.frankfurt.traffic.operations.clear()
    fleet.zurich.traffic.operations.clear()

    reading, upstream = discover_and_check()

    read = fleet.frankfurt.traffic.operations + fleet.zurich.traffic.operations
    assert {path: count for path, count in read.items() if "ocid1" in path and count > 1} == {}
    assert [cluster.name for cluster in reading.found] == ["fra-0", "fra-1", "zrh-0"]
    assert len(upstream.reports) == 2


def test_clusters_of_a_region_that_lacks_something_are_refused_with_the_findings(fleet: Fleet) -> None:
    clusters = [fleet.add("fra-0", fleet.frankfurt), fleet.add("zrh-0", fleet.zurich)]

    upstream = upstream_of(clusters, CHECK)

    assert upstream.require("fra-0").changed == ()
    with pytest.raises(PrerequisiteError, match=r"upstream-acme in eu-zurich-1: .* P30D is 30 days"):
        upstream.require("zrh-0")


def test_clusters_outside_of_oke_depend_on_the_tenancies_that_are_named(
    fleet: Fleet, save_other: Callable[[str], str]
) -> None:
    cluster = save_other("elsewhere")

    unnamed = upstream_of([cluster], CHECK)
    named = upstream_of([cluster], FleetPrerequisites(tenancies=["upstream-acme"], needs=NEEDS))

    assert unnamed.left_out(cluster).startswith("not checked: no OCI tenancy is known for this cluster.")
    assert named.left_out(cluster) == ""
    assert named.places[cluster] == ("upstream-acme in eu-frankfurt-1",)


@pytest.fixture
def save_other(prefect_server: SyncPrefectClient) -> Callable[[str], str]:
    def save(name: str) -> str:
        KubernetesCluster(kubeconfig_file=Path("/nowhere"), context="c").save(name, overwrite=True)
        return name

    return save


def test_a_tenancy_without_needs_is_asked_for_them(fleet: Fleet) -> None:
    with pytest.raises(InputError, match="the names of vault, key, certificate authority"):
        upstream_of([fleet.add("fra-0", fleet.frankfurt)], FleetPrerequisites())


def test_skipping_takes_a_reason_which_the_report_repeats(fleet: Fleet) -> None:
    with pytest.raises(ValidationError, match="give a reason"):
        FleetPrerequisites(mode=PrerequisiteMode.SKIP)
    choice = FleetPrerequisites(mode=PrerequisiteMode.SKIP, reason="checked by hand")

    assert upstream_of([fleet.add("fra-0", fleet.frankfurt)], choice).left_out("fra-0") == (
        "left out: checked by hand"
    )


def test_an_installation_is_refused_before_the_cluster_is_touched(
    fleet: Fleet, report: Callable[[str], None]
) -> None:
    cluster = fleet.add("zrh-0", fleet.zurich)
    prerequisites: dict[str, Any] = {"needs": NEEDS.model_dump()}
    with World(fleet.folder / "world", OlmVersion.V0_46_0, 0, report, "upstream") as world:
        save_blocks(world)
        parameters = {**world.parameters(), "clusters": [cluster], "prerequisites": prerequisites}

        with pytest.raises(InstallError, match=r"zrh-0 FAILED: .* P30D is 30 days at its shortest"):
            install_fleet(**parameters)

    assert fleet.zurich.traffic.operations[f"GET /20180222/clusters/{cluster}"] == 0
