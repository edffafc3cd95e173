"""The clusters of a verification: named, those of a fleet, or every KubernetesCluster block there is."""

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import InputError
from tasks.rollout.members import FleetChoice, choose_clusters


def clusters_to_verify(names: Sequence[str], fleet: FleetChoice) -> list[str]:
    """The names of the blocks to look at, in order.

    Args:
        names: Of blocks; none, and no fleet: all that there are.
        fleet: A fleet's block instead. A selector without one chooses by the labels of the clusters' own
            blocks.

    Raises:
        InputError: Both are given, there is no such fleet, or nothing is selected.
    """
    named = list(names) if fleet.name or names else every_cluster()
    if not fleet.name and not fleet.selector:
        # The labels would have to be read from every block, and nobody asks for them.
        return named
    return [cluster.name for cluster in choose_clusters(named, fleet)]


@task(name="list-clusters", cache_policy=NO_CACHE, persist_result=False)
def every_cluster() -> list[str]:
    """The names of all blocks, sorted.

    Raises:
        InputError: There is none.
    """
    with prefect_api() as client:
        slug = KubernetesCluster.get_block_type_slug()
        blocks = client.read_block_documents_by_type(slug, include_secrets=False)
    names = sorted(block.name for block in blocks if block.name)
    if not names:
        raise InputError(
            "verify every cluster",
            slug,
            "at least one saved block",
            "none",
            "Create one in the Prefect UI under Blocks.",
        )
    return names
