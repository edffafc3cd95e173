"""Which clusters verify-fleet looks at, and whether a run looked at those of its deployment."""

from pathlib import Path

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient

from blocks.cluster_fleet import ClusterBlock, ClusterFleet, FleetEntry
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.errors import InputError
from tasks.drift.clusters import clusters_to_verify
from tasks.drift.publication import chosen_clusters
from tasks.rollout.members import FleetChoice

NAMES = ("verify-one", "verify-two")


@pytest.fixture
def fleet(prefect_server: SyncPrefectClient) -> str:
    """A fleet of two blocks; the blocks' own labels are others than the fleet's."""
    for name in NAMES:
        block = KubernetesCluster(kubeconfig_file=Path("/nowhere"), context="c", labels={"own": name})
        block.save(name, overwrite=True)
    entries = [
        FleetEntry(name=name, labels={"env": env}, connection=ClusterBlock(block=name))
        for name, env in zip(NAMES, ("prod", "lab"), strict=True)
    ]
    ClusterFleet(clusters=entries).save("to-verify", overwrite=True)
    return "to-verify"


@flow(name="clusters-to-verify-of-tests")
def chosen(names: list[str], fleet: FleetChoice) -> list[str]:
    return clusters_to_verify(names, fleet)


def test_a_fleet_stands_in_place_of_names(fleet: str) -> None:
    assert chosen([], FleetChoice(name=fleet)) == ["verify-one", "verify-two"]
    assert chosen([], FleetChoice(name=fleet, selector="env=lab")) == ["verify-two"]


def test_without_names_and_fleet_every_block_is_meant(fleet: str) -> None:
    everything = chosen([], FleetChoice())

    assert set(NAMES) <= set(everything)
    assert everything == sorted(everything)


def test_a_selector_alone_goes_by_the_labels_of_the_blocks(fleet: str) -> None:
    assert chosen([], FleetChoice(selector="own in (verify-one, verify-two)")) == list(NAMES)
    assert chosen(["verify-two"], FleetChoice(selector="own")) == ["verify-two"]


def test_names_need_no_block_yet(prefect_server: SyncPrefectClient) -> None:
    """The cluster is told as not verified, and the others are looked at."""
    assert chosen(["not-there"], FleetChoice()) == ["not-there"]


def test_names_beside_a_fleet_and_a_fleet_that_is_not_there_are_refused(fleet: str) -> None:
    with pytest.raises(InputError, match="1 cluster and fleet 'to-verify'"):
        chosen(["verify-one"], FleetChoice(name=fleet))
    with pytest.raises(InputError, match="load the block 'nobody'"):
        chosen([], FleetChoice(name="nobody"))


WHOLE = {"clusters": ["a", "b"]}


@pytest.mark.parametrize(
    "parameters",
    [
        {"clusters": ["b", "a"]},
        {"clusters": ["a", "b"], "fleet": {}},
        {"clusters": ["a", "b"], "fleet": {"name": "", "selector": ""}},
    ],
)
def test_a_run_is_whole_that_means_the_clusters_of_its_deployment(parameters: dict[str, object]) -> None:
    assert chosen_clusters(parameters) == chosen_clusters(WHOLE)


@pytest.mark.parametrize(
    "parameters",
    [
        {"clusters": ["a"]},
        {"clusters": ["a", "b"], "fleet": {"selector": "env=lab"}},
        {"fleet": {"name": "prod"}},
    ],
)
def test_a_run_of_other_clusters_is_a_part(parameters: dict[str, object]) -> None:
    """Its metrics would take the place of those of the whole fleet."""
    assert chosen_clusters(parameters) != chosen_clusters(WHOLE)
