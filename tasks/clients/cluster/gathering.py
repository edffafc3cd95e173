"""Reads many objects at once, without asking twice for what one answer already holds."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tasks.clients.cluster.client import ClusterClient
from tasks.core.manifests import Manifest, ObjectRef

_PARALLEL = 8


def read_all(client: ClusterClient, refs: Iterable[ObjectRef]) -> Mapping[ObjectRef, Manifest | None]:
    """Read every named object; None for one that does not exist. A few requests run side by side.

    Raises:
        ClusterError: The first read that failed.
    """
    wanted = list(dict.fromkeys(refs))
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return dict(zip(wanted, pool.map(client.get, wanted), strict=True))
