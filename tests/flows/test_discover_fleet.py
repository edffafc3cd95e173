"""Clusters of a compartment tree and some regions are found, shown, and saved only when asked for."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from prefect.client.orchestration import SyncPrefectClient
from pydantic import ValidationError

from blocks.cluster_fleet import ClusterFleet
from blocks.kubernetes_cluster import KubernetesCluster, OkeEndpoint
from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_cluster, add_compartment, add_tenancy, new_api_key
from flows.discover_fleet import discover_fleet
from tasks.connections.blocks import find_block
from tasks.core.errors import InputError, TenancyError
from tasks.core.fleet_choices import DiscoveryMode, DiscoveryScope
from tests.support.artifacts import artifacts_with
from tests.support.tenancies import save_tenancy_block

FRANKFURT, ZURICH = "eu-frankfurt-1", "eu-zurich-1"
BOTH = DiscoveryScope(regions=[FRANKFURT, ZURICH])


@dataclass(frozen=True)
class Regions:
    """A tenancy in two regions with three clusters, one of which is going away."""

    frankfurt: TenancyServer
    zurich: TenancyServer
    place: Place
    fleet: str


@pytest.fixture(scope="module")
def api_key() -> rsa.RSAPrivateKey:
    return new_api_key()


@pytest.fixture
def regions(
    prefect_server: SyncPrefectClient, api_key: rsa.RSAPrivateKey, tmp_path: Path
) -> Iterator[Regions]:
    store = Store()
    place = add_tenancy(store, "acme", [FRANKFURT, ZURICH], api_key)
    fleet = f"fleet-{tmp_path.name.replace('_', '-')}"
    with (
        TenancyServer(store, FRANKFURT, page_size=2) as frankfurt,
        TenancyServer(store, ZURICH, page_size=2) as zurich,
    ):
        save_tenancy_block(frankfurt, place, "discovered-acme", tmp_path, {ZURICH: zurich.url})
        add_cluster(store, place, FRANKFURT, f"{fleet}-fra", "127.0.0.1:1")
        add_cluster(store, place, ZURICH, f"{fleet}-zrh", "127.0.0.1:1", freeform_tags={"env": "stage"})
        add_cluster(store, place, ZURICH, f"{fleet}-old", "127.0.0.1:1", lifecycle_state="DELETING")
        yield Regions(frankfurt, zurich, place, fleet)


def saved(fleet: str) -> dict[str, dict[str, str]]:
    block = find_block(ClusterFleet, fleet) or ClusterFleet()
    return {entry.name: entry.labels for entry in block.clusters}


def test_a_report_shows_clusters_of_all_regions_and_writes_nothing(
    regions: Regions, prefect_server: SyncPrefectClient
) -> None:
    discovery = discover_fleet(regions.fleet, ["discovered-acme"], BOTH)

    (artifact,) = artifacts_with(prefect_server, f"fleet-{regions.fleet}")
    assert [member.name for member in discovery.members] == [f"{regions.fleet}-fra", f"{regions.fleet}-zrh"]
    assert [cluster.state for cluster in discovery.set_aside] == ["DELETING"]
    assert "Nothing was saved: the mode is REPORT." in str(artifact.data)
    assert find_block(ClusterFleet, regions.fleet) is None
    assert find_block(KubernetesCluster, f"{regions.fleet}-fra") is None


def test_without_regions_that_of_the_tenancys_block_is_searched(regions: Regions) -> None:
    discovery = discover_fleet(regions.fleet, ["discovered-acme"])

    assert [member.cluster.region for member in discovery.members] == [FRANKFURT]
    assert regions.zurich.traffic.operations.total() == 0


def test_nothing_is_read_twice(regions: Regions) -> None:
    discover_fleet(regions.fleet, ["discovered-acme"], BOTH)

    frankfurt, zurich = regions.frankfurt.traffic.operations, regions.zurich.traffic.operations
    assert frankfurt["GET /20160918/compartments"] == 1
    assert frankfurt["GET /20180222/clusters"] == 3  # the tenancy, platform, mesh
    assert zurich["GET /20180222/clusters"] == 3
    assert not any("/clusters/" in path for path in frankfurt + zurich)


def test_only_the_tree_below_a_compartment_is_searched(regions: Regions) -> None:
    store, place = regions.frankfurt.store, regions.place
    other = add_compartment(store, place.tenancy, place.tenancy.id, "other")
    below = add_compartment(store, place.tenancy, other, "below")
    add_cluster(store, place, FRANKFURT, "deep", "127.0.0.1:1", compartment_id=below)

    discovery = discover_fleet(regions.fleet, ["discovered-acme"], DiscoveryScope(compartment_id=other))

    assert [(member.name, member.cluster.compartment) for member in discovery.members] == [
        ("deep", "other:below")
    ]


def test_a_fleet_is_saved_with_a_block_per_cluster_and_saved_again_nothing_changes(
    regions: Regions, prefect_server: SyncPrefectClient
) -> None:
    scope = DiscoveryScope(regions=[FRANKFURT, ZURICH], selector="env in (stage)")

    discover_fleet(regions.fleet, ["discovered-acme"], scope, OkeEndpoint.PRIVATE, DiscoveryMode.SAVE)
    discover_fleet(regions.fleet, ["discovered-acme"], scope, OkeEndpoint.PRIVATE, DiscoveryMode.SAVE)

    name = f"{regions.fleet}-zrh"
    block = find_block(KubernetesCluster, name)
    shown = artifacts_with(prefect_server, f"fleet-{regions.fleet}")
    labels = {"env": "stage", "region": ZURICH, "compartment": "mesh", "tenancy": "discovered-acme"}
    assert saved(regions.fleet) == {name: labels}
    assert block is not None
    assert (block.source, block.tenancy, block.endpoint, block.labels) == (
        "OKE",
        "discovered-acme",
        "PRIVATE",
        labels,
    )
    assert any("Saved: nothing, everything was up to date." in str(item.data) for item in shown)


def test_what_people_wrote_stays_and_what_is_gone_leaves_the_fleet(regions: Regions) -> None:
    """A static entry, and the fields of a block that discovery does not know."""
    lab = {"name": "lab", "connection": {"kind": "block", "block": "some-kind-cluster"}}
    ClusterFleet.model_validate({"clusters": [lab]}).save(regions.fleet)
    discover_fleet(regions.fleet, ["discovered-acme"], BOTH, mode=DiscoveryMode.SAVE)
    name = f"{regions.fleet}-fra"
    block = find_block(KubernetesCluster, name)
    assert block is not None
    pinned = {"expected_uid": "abc", "request_timeout": timedelta(seconds=5)}
    block.model_copy(update=pinned).save(name, overwrite=True)
    (entry,) = regions.frankfurt.store.all(regions.place.tenancy, "Cluster", FRANKFURT)
    entry.model.freeform_tags = {"env": "new"}
    for each in regions.frankfurt.store.all(regions.place.tenancy, "Cluster", ZURICH):
        each.model.lifecycle_state = "DELETED"

    discover_fleet(regions.fleet, ["discovered-acme"], BOTH, mode=DiscoveryMode.SAVE)

    after = find_block(KubernetesCluster, name)
    assert after is not None
    assert (after.expected_uid, after.request_timeout) == ("abc", timedelta(seconds=5))
    assert after.labels["env"] == "new"
    assert set(saved(regions.fleet)) == {"lab", name}


def test_a_region_that_does_not_answer_takes_nothing_out_of_the_fleet(regions: Regions) -> None:
    discover_fleet(regions.fleet, ["discovered-acme"], BOTH, mode=DiscoveryMode.SAVE)
    regions.zurich.faults.add(Fault(FaultKind.NOT_FOUND, "/20180222"))

    discovery = discover_fleet(regions.fleet, ["discovered-acme"], BOTH, mode=DiscoveryMode.SAVE)

    assert len(discovery.unread) == 3
    assert set(saved(regions.fleet)) == {f"{regions.fleet}-fra", f"{regions.fleet}-zrh"}


def test_the_name_of_another_clusters_block_is_not_taken(regions: Regions) -> None:
    name = f"{regions.fleet}-fra"
    KubernetesCluster(kubeconfig_file=Path("/nowhere"), context="c").save(name)

    with pytest.raises(InputError, match=f"block {name}"):
        discover_fleet(regions.fleet, ["discovered-acme"], BOTH, mode=DiscoveryMode.SAVE)

    assert find_block(ClusterFleet, regions.fleet) is None
    assert find_block(KubernetesCluster, f"{regions.fleet}-zrh") is None


def test_a_fleet_that_nothing_was_read_for_is_an_error_and_not_empty(regions: Regions) -> None:
    regions.place.tenancy.keys.clear()

    with pytest.raises(TenancyError, match="HTTP 401"):
        discover_fleet(regions.fleet, ["discovered-acme"], BOTH)


def test_a_selector_that_cannot_be_read_is_refused_in_the_form() -> None:
    with pytest.raises(ValidationError, match="Could not read the label selector"):
        DiscoveryScope(selector="env in prod")
