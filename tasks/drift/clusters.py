"""The clusters of a run that names none: every KubernetesCluster block there is."""

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.errors import InputError


@task(name="list-clusters", cache_policy=NO_CACHE, persist_result=False)
def every_cluster() -> list[str]:
    """The names of all blocks, sorted.

    Raises:
        InputError: There is none.
    """
    with get_client(sync_client=True) as client:
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
