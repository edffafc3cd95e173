"""The blocks of a fleet are loaded together."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.connections import cluster_name, load_many

NAMES = [f"many-{number}" for number in range(11)]


@pytest.fixture(scope="module")
def saved(prefect_server: SyncPrefectClient) -> Iterator[None]:
    for name in NAMES:
        KubernetesCluster.model_validate(
            {"source": "CONTENT", "kubeconfig": f"of {name}", "context": "c"}
        ).save(name, overwrite=True)
    yield
    for name in NAMES:
        KubernetesCluster.delete(name)


def test_the_blocks_of_a_fleet_come_with_their_names_and_secrets(saved: None) -> None:
    loaded = load_many(KubernetesCluster, [*NAMES, "of-nobody"])

    assert sorted(loaded) == sorted(NAMES)
    assert [cluster_name(loaded[name]) for name in NAMES] == NAMES
    kubeconfig = loaded["many-7"].kubeconfig
    assert kubeconfig is not None
    assert kubeconfig.get_secret_value() == "of many-7"


def test_a_few_are_left_to_be_loaded_one_by_one(saved: None) -> None:
    assert load_many(KubernetesCluster, NAMES[:10]) == {}
