"""Looks at the clusters of a large fleet, many in one task run; each is still a result of its own."""

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.memory import ClusterMemory
from tasks.drift.verifying import Verified, checked, verify_cluster

_BATCH = 50
_COLLECT_AFTER = 20_000
"""So many new containers are there before the youngest are collected; Python's own number is 700."""
PARALLEL = 64
"""A verification waits for the network most of the time, and for a cluster that hangs all of its time."""


@dataclass(frozen=True)
class Look:
    """One cluster that is to be verified; `verify_cluster` says what each attribute is."""

    name: str
    expected: Expectation
    choice: VerificationChoice
    memory: ClusterMemory
    block: KubernetesCluster | None

    def take(self) -> Verified:
        """The result."""
        return verify_cluster.fn(self.name, self.expected, self.choice, self.memory, self.block)


class Batch:
    """Clusters of one task run. No sequence and no dataclass: inside those Prefect looks for futures.

    Args:
        looks: The clusters.
        pool: Who looks at them, shared by all batches: one that waits for its clusters holds up no other.
    """

    def __init__(self, looks: Sequence[Look], pool: ThreadPoolExecutor) -> None:
        self._looks = looks
        self._pool = pool
        self.title = f"{looks[0].name} to {looks[-1].name}"

    def take(self) -> list[Verified]:
        """The result of each cluster, in order; a fault of one verification is a result of its own."""
        pending = [self._pool.submit(copy_context().run, look.take) for look in self._looks]
        return [
            checked(look.name, _result(future, look.name), look.memory)
            for look, future in zip(self._looks, pending, strict=True)
        ]


@task(
    name="verify-clusters",
    task_run_name="verify-clusters/{batch.title}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def verify_clusters(batch: Batch) -> list[Verified]:
    """Many clusters, side by side."""
    return batch.take()


def look_in_batches(looks: Sequence[Look]) -> list[Verified]:
    """The result of each cluster, in order."""
    with _rare_collections(), ThreadPoolExecutor(max_workers=PARALLEL) as pool:
        batches = [Batch(looks[start : start + _BATCH], pool) for start in range(0, len(looks), _BATCH)]
        pending: list[PrefectFuture[list[Verified]]] = [verify_clusters.submit(batch) for batch in batches]
        return [verified for future in pending for verified in future.result()]


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Have the collector leave alone what is there already, and look less often for cycles in what is new.

    Every answer is a tree of new dictionaries, and none of them is in a cycle: looking for those took a fifth
    of the processor time of a look.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _result(future: Future[Verified], name: str) -> object:
    error = future.exception()
    if error is None:
        return future.result()
    get_run_logger().error("The verification of %s failed", name, exc_info=error)
    return error
