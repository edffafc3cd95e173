"""The clusters of a run, and the limit that all runs share."""

from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from pydantic import ValidationError

from blocks.cluster_fleet import ClusterBlock, ClusterFleet, FleetEntry, OkeConnection
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.errors import InputError
from tasks.core.rollout.plans import FleetCluster
from tasks.rollout.limits import AT_RISK, at_risk
from tasks.rollout.members import FleetChoice, choose_clusters

OKE = OkeConnection(tenancy="acme", region="eu-frankfurt-1", cluster_id="ocid1.cluster.oc1..a")


@pytest.fixture
def fleet(prefect_server: SyncPrefectClient) -> str:
    block = ClusterFleet(
        clusters=[
            FleetEntry(name="one", labels={"env": "prod"}, connection=ClusterBlock(block="block-of-one")),
            FleetEntry(name="two", labels={"env": "lab"}, connection=OKE),
        ]
    )
    block.save("members", overwrite=True)
    return "members"


def test_a_fleets_clusters_go_by_the_names_of_their_blocks(fleet: str) -> None:
    chosen = choose_clusters([], FleetChoice(name=fleet))

    assert chosen == [FleetCluster("block-of-one", {"env": "prod"}), FleetCluster("two", {"env": "lab"})]


def test_a_selector_chooses_among_them(fleet: str) -> None:
    chosen = choose_clusters([], FleetChoice(name=fleet, selector="env notin (prod)"))

    assert [cluster.name for cluster in chosen] == ["two"]


def test_clusters_by_name_bring_the_labels_of_their_blocks_and_need_no_block_yet(
    prefect_server: SyncPrefectClient,
) -> None:
    block = KubernetesCluster(kubeconfig_file=Path("/nowhere"), context="c", labels={"env": "prod"})
    block.save("labelled", overwrite=True)

    chosen = choose_clusters(["labelled", "not-there"], FleetChoice())

    assert chosen == [FleetCluster("labelled", {"env": "prod"}), FleetCluster("not-there")]


def test_what_chooses_nothing_or_twice_is_refused(fleet: str) -> None:
    with pytest.raises(InputError, match=r"0 clusters and fleet ''"):
        choose_clusters([], FleetChoice())
    with pytest.raises(InputError, match=r"1 cluster and fleet 'members'"):
        choose_clusters(["one"], FleetChoice(name=fleet))
    with pytest.raises(InputError, match=r"none of 2 for 'env=stage'"):
        choose_clusters([], FleetChoice(name=fleet, selector="env=stage"))
    with pytest.raises(ValidationError, match="read the label selector"):
        FleetChoice(selector="env in (")


def test_the_limit_of_all_runs_holds_a_place_where_somebody_made_it(
    prefect_server: SyncPrefectClient,
) -> None:
    with at_risk():
        pass
    limit = prefect_server.create_global_concurrency_limit(
        GlobalConcurrencyLimitCreate(name=AT_RISK, limit=2)
    )

    with at_risk():
        during = prefect_server.read_global_concurrency_limit_by_name(AT_RISK).active_slots
    after = prefect_server.read_global_concurrency_limit_by_name(AT_RISK).active_slots
    prefect_server.delete_global_concurrency_limit_by_name(AT_RISK)

    assert limit is not None
    assert (during, after) == (1, 0)
