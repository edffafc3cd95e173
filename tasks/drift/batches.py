"""Looks at the clusters of a large fleet in a process for each processor; each cluster has its own result."""

import gc
import multiprocessing
import os
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import SettingsContext, get_settings_context
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.memory import ClusterMemory
from tasks.drift.verifying import Verified, checked, verify_cluster

PARALLEL = 64
"""A verification waits for the network most of the time, and for a cluster that hangs all of its time."""
_MOST_PROCESSES = 4
"""Each takes 150 to 200 MiB."""
_COLLECT_AFTER = 20_000
"""So many new containers are there before the youngest are collected; Python's own number is 700."""


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


@dataclass(frozen=True)
class Looked:
    """What became of a look.

    Attributes:
        verified: The result; a fault of the verification is one, too.
        fault: Where the fault was, as Python tells it; empty: there was none.
    """

    verified: Verified
    fault: str = ""


class Batch:
    """Clusters of one task run. No sequence and no dataclass: inside those Prefect looks for futures.

    Args:
        looks: The clusters.
        number: Which batch it is, from 1 on.
        pool: Processes that may look.
        parallel: How many clusters a process looks at side by side.
    """

    def __init__(self, looks: Sequence[Look], number: int, pool: Executor, parallel: int) -> None:
        self._looks = looks
        self._pool = pool
        self._parallel = parallel
        self.title = f"{number}: {len(looks)} clusters"

    def take(self) -> list[Verified]:
        """The result of each cluster, in order; a fault of one verification is a result of its own."""
        settings = get_settings_context().serialize()
        try:
            looked = self._pool.submit(_look, self._looks, self._parallel, settings).result()
        except BrokenExecutor as error:  # for lack of memory, perhaps
            get_run_logger().error("A process that looked at %d clusters ended", len(self._looks))
            return [checked(look.name, error, look.memory) for look in self._looks]
        for one in looked:
            if one.fault:
                get_run_logger().error(
                    "The verification of %s failed: %s", one.verified.result.cluster, one.fault
                )
        return [one.verified for one in looked]


@task(
    name="verify-clusters",
    task_run_name="verify-clusters/{batch.title}",
    cache_policy=NO_CACHE,
    persist_result=False,
)
def verify_clusters(batch: Batch) -> list[Verified]:
    """Many clusters, side by side, in another process."""
    return batch.take()


def look_in_batches(looks: Sequence[Look]) -> list[Verified]:
    """The result of each cluster, in order.

    Not by Prefect's ProcessPoolTaskRunner: it sends the flow itself along, whose annotation State[None] lies
    in whichever module made it first, so that the other process may not find it (Prefect 3.9.1).
    """
    processes = count_processes()
    # Neighbours in a list often share a network: dealt out, one that hangs holds up each process as long.
    shares = [looks[first::processes] for first in range(processes)]
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _end_with_parent) as pool:
        batches = [
            Batch(share, number, pool, PARALLEL // processes) for number, share in enumerate(shares, 1)
        ]
        pending: list[PrefectFuture[list[Verified]]] = [verify_clusters.submit(batch) for batch in batches]
        results = [future.result() for future in pending]
    return [results[place % processes][place // processes] for place in range(len(looks))]


def count_processes() -> int:
    """How many processes look at a large fleet: one for each processor that we may use, up to four."""
    return min(len(os.sched_getaffinity(0)), _MOST_PROCESSES)


def _look(looks: Sequence[Look], parallel: int, settings: dict[str, Any]) -> list[Looked]:
    """Runs in a process of its own: Prefect's settings are those of the flow run."""
    _collect_rarely()
    with SettingsContext(**settings), ThreadPoolExecutor(max_workers=parallel) as pool:
        pending = [pool.submit(copy_context().run, look.take) for look in looks]
        return [_looked(look, future) for look, future in zip(looks, pending, strict=True)]


def _looked(look: Look, future: Future[Verified]) -> Looked:
    error = future.exception()
    if error is None:
        return Looked(future.result())
    return Looked(checked(look.name, error, look.memory), "".join(traceback.format_exception(error)))


def _end_with_parent() -> None:
    """A run that was killed leaves no process: a worker of Python's process pool would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _collect_rarely() -> None:
    """Have the collector leave alone what is there already, and look less often for cycles in what is new.

    Every answer is a tree of new dictionaries, and none of them is in a cycle: looking for those took a fifth
    of the processor time of a look. The process does nothing else afterwards, so nothing is put back.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
