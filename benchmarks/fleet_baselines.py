"""The same reads without us: by a loop of kubectl, and as bare HTTP requests without any logic."""

import os
import resource
import ssl
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import urllib3

from benchmarks.machine import cpu_seconds
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.reading import Read, plan_reads
from tasks.core.manifests import RESOURCE_TYPES

_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_FLOOR_THREADS = 64
"""As many clusters at a time as verify-fleet has."""


@dataclass(frozen=True)
class BareRead:
    """One GET request.

    Attributes:
        path: With the query.
        accept: The media type that is asked for.
    """

    path: str
    accept: str = "application/json"


@dataclass(frozen=True)
class BaselineRun:
    """What a baseline took.

    Attributes:
        clusters: How many clusters were read.
        requests: How many requests that took.
        seconds: Wall time.
        cpu: CPU time of the clients, in seconds.
        parallel: How many processes or clusters at a time.
        failed: How many requests were not answered with 200 or 404.
    """

    clusters: int
    requests: int
    seconds: float
    cpu: float
    parallel: int
    failed: int


def bare_reads(expected: Expectation, *, unchanged: bool) -> tuple[BareRead, ...]:
    """The requests of one look; of large objects the metadata where nothing changed."""
    return (BareRead("/version"), *(_bare(read, unchanged=unchanged) for read in plan_reads(expected)))


def floor(servers: Sequence[str], token: str, authority: Path, reads: Sequence[BareRead]) -> BaselineRun:
    """Send them with nothing around: one connection for each cluster, bodies read and dropped."""
    context = ssl.create_default_context(cafile=str(authority))

    def read_one(server: str) -> int:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "gzip"}
        with urllib3.PoolManager(ssl_context=context, retries=False, timeout=30, headers=headers) as pool:
            return sum(_is_wrong(pool, server, read) for read in reads)

    started, used = time.monotonic(), time.process_time()
    with ThreadPoolExecutor(_FLOOR_THREADS) as threads:
        failed = sum(threads.map(read_one, servers))
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    return BaselineRun(len(servers), len(servers) * len(reads), seconds, cpu, _FLOOR_THREADS, failed)


def kubectl_loop(
    kubectl: Path, kubeconfigs: Sequence[Path], reads: Sequence[BareRead], parallel: int
) -> BaselineRun:
    """Each read is one `kubectl get --raw`, which is its cheapest: no discovery, no printing."""
    lines = "".join(f"{config}\n{read.path}\n" for config in kubeconfigs for read in reads)
    script = f'{kubectl} --kubeconfig "$1" get --raw "$2" >/dev/null 2>&1 || echo failed'
    command = ("xargs", "-P", str(parallel), "-n", "2", "-d", "\n", "sh", "-c", script, "sh")
    started, used = time.monotonic(), cpu_seconds(resource.RUSAGE_CHILDREN)
    finished = subprocess.run(  # noqa: S603 - our own arguments
        command, input=lines, env={**os.environ}, capture_output=True, text=True, check=True
    )
    seconds, cpu = time.monotonic() - started, cpu_seconds(resource.RUSAGE_CHILDREN) - used
    # An object that is not there is a failure of kubectl, and an answer to us.
    failed = finished.stdout.count("failed")
    return BaselineRun(len(kubeconfigs), len(kubeconfigs) * len(reads), seconds, cpu, parallel, failed)


def _bare(read: Read, *, unchanged: bool) -> BareRead:
    path = RESOURCE_TYPES[read.api_version, read.kind].path(read.namespace, read.name)
    query = f"?{urlencode({'labelSelector': read.selector})}" if read.selector else ""
    if unchanged and read.is_large:
        return BareRead(path, _METADATA)
    return BareRead(path + query)


def _is_wrong(pool: urllib3.PoolManager, server: str, read: BareRead) -> bool:
    answer = pool.request("GET", server + read.path, headers={**pool.headers, "Accept": read.accept})
    return answer.status not in (200, 404)
