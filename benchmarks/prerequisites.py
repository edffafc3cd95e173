"""How long it takes to discover a fleet of OKE clusters and to check everything that it depends on in OCI.

`python -m benchmarks.prerequisites` starts two tenancies in three regions in a process of their own, with 50
clusters in twelve compartments, discovers and checks them in one flow run, and writes
docs/benchmarks-prerequisites.md.
"""

import argparse
import logging
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner

from blocks.oci_tenancy import ConfigFile, OciTenancy
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.running import prefect_environment
from deployments.rehearsal.tenancy.seeding import HOSTS, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_cluster, add_compartment, add_tenancy
from tasks.connections import in_region, load_block
from tasks.core.fleet_choices import DiscoveryScope
from tasks.core.fleets import Discovery, choose_members
from tasks.core.prerequisites.settings import (
    FleetPrerequisites,
    OciGatewayCertificate,
    PrerequisiteNeeds,
)
from tasks.prerequisites.discovery import find_clusters
from tasks.prerequisites.upstream import Upstream, check_places

_DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks-prerequisites.md"
_GOAL_SECONDS = 10
_TENANCIES = ("acme", "globex")
_REGIONS = ("eu-frankfurt-1", "eu-zurich-1", "us-ashburn-1")
_MORE_COMPARTMENTS = 3
_CLUSTERS = 50
_PREFIX = "bench-"
_THREADS: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=24)
_CHOICE = FleetPrerequisites(
    needs=PrerequisiteNeeds(
        vault="mesh",
        key="mesh",
        certificate_authority="mesh",
        gateway=OciGatewayCertificate(certificate="gateway", hosts=[HOSTS[0]]),
    )
)


@dataclass(frozen=True)
class Served:
    """Where the tenancies are, and the fields of their blocks by name."""

    blocks: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Measurement:
    """One run.

    Attributes:
        seconds: Wall time of the flow run, with its task runs and artifacts.
        cpu: CPU time of it in this process; unlike wall time it does not depend on what else runs.
        clusters: How many clusters were found.
        places: How many regions of tenancies were checked.
        requests: Requests to OCI by service.
        most_reads: How often the object was read that was read most often.
        memory: Peak memory of the process that ran the flow, in MiB.
    """

    seconds: float
    cpu: float
    clusters: int
    places: int
    requests: Counter[str]
    most_reads: int
    memory: float


@flow(
    name="benchmark-prerequisites",
    task_runner=_THREADS,  # type: ignore[arg-type]  # Prefect's runner is invariant in its future
)
def discover_and_check(tenancies: list[str]) -> tuple[Discovery, Upstream]:
    """What discover-fleet and install-fleet do before they touch a cluster."""
    blocks = {name: load_block(OciTenancy, name) for name in tenancies}
    scope = DiscoveryScope(regions=list(_REGIONS))
    reading = find_clusters(list(blocks.values()), scope)
    discovery = choose_members(reading.found, scope.wanted(), {}, reading.unread)
    needed = {
        member.name: [in_region(blocks[member.cluster.tenancy], member.cluster.region)]
        for member in discovery.members
    }
    return discovery, check_places(needed, _CHOICE)


def serve(folder: Path, parent: Connection) -> None:
    """The other process: serve until the parent asks for the counted requests the second time."""
    store = Store()
    with ExitStack() as running:
        servers = [running.enter_context(TenancyServer(store, region)) for region in _REGIONS]
        places = [add_tenancy(store, name, list(_REGIONS)) for name in _TENANCIES]
        for place in places:
            for server in servers:
                seed(server, place)
        _add_clusters(store, places)
        parent.send(Served({place.tenancy.name: _block(place, servers, folder) for place in places}))
        for server in servers:
            server.traffic.operations.clear()
        parent.recv()
        parent.send(sum((server.traffic.operations for server in servers), Counter[str]()))
        parent.recv()


def _add_clusters(store: Store, places: list[Place]) -> None:
    sites = [
        (place, compartment, region)
        for place in places
        for compartment in (place.compartment_id, *_compartments(store, place))
        for region in _REGIONS
    ]
    for number in range(_CLUSTERS):
        place, compartment, region = sites[number % len(sites)]
        name = f"mesh-{number:02}"
        add_cluster(store, place, region, name, "127.0.0.1:1", compartment_id=compartment)


def _compartments(store: Store, place: Place) -> list[str]:
    return [
        add_compartment(store, place.tenancy, place.tenancy.id, f"team-{number}")
        for number in range(_MORE_COMPARTMENTS)
    ]


def _block(place: Place, servers: list[TenancyServer], folder: Path) -> dict[str, Any]:
    keys = folder / place.tenancy.name
    keys.mkdir()
    return {
        "tenancy_id": place.tenancy.id,
        "region": _REGIONS[0],
        "compartment_id": place.compartment_id,
        "authentication": ConfigFile(path=place.signatory.write_config(keys, _REGIONS[0])),
        "region_endpoints": {server.region: server.url for server in servers},
    }


def measure(parent: Connection) -> Measurement:
    """Run the flow once against the other process."""
    served: Served = parent.recv()
    names = []
    for name, fields in served.blocks.items():
        OciTenancy(**fields).save(_PREFIX + name, overwrite=True)
        names.append(_PREFIX + name)
    started, used = time.monotonic(), time.process_time()
    discovery, upstream = discover_and_check(names)
    seconds, cpu = time.monotonic() - started, time.process_time() - used
    parent.send("count")
    operations: Counter[str] = parent.recv()
    parent.send("end")
    return Measurement(
        seconds,
        cpu,
        len(discovery.members),
        len(upstream.reports),
        _by_service(operations),
        max(count for path, count in operations.items() if "ocid1" in path),
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def _by_service(operations: Counter[str]) -> Counter[str]:
    services = {
        "/20160918/": "Identity",
        "/20180608/": "Key Management",
        "/20210224/": "Certificates",
        "/20180222/": "Container Engine",
        "/n": "Object Storage",
    }
    counted: Counter[str] = Counter()
    for operation, count in operations.items():
        path = operation.partition(" ")[2]
        service = next((name for prefix, name in services.items() if path.startswith(prefix)), "others")
        counted[service] += count
    return counted


def main() -> int:
    """Measure and write the document; the exit code says whether the goal is met."""
    runs: int = _arguments().runs
    load = os.getloadavg()[0]
    with (
        tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as scratch,
        PrefectServices(Path(scratch) / "prefect") as services,
    ):
        services.start_server()
        with prefect_environment(services):
            logging.disable(logging.INFO)
            measured = [_one_run(Path(scratch) / f"run-{run}") for run in range(runs)]
    _DOCUMENT.write_text(_document(measured, load))
    _say(_DOCUMENT.read_text())
    return 0 if min(one.seconds for one in measured) <= _GOAL_SECONDS else 1


def _one_run(folder: Path) -> Measurement:
    folder.mkdir()
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=serve, args=(folder, theirs), daemon=True)
    process.start()
    try:
        return measure(ours)
    finally:
        process.join(timeout=10)
        process.kill()


def _document(measured: list[Measurement], load: float) -> str:
    last = measured[-1]
    requests = "\n".join(f"| {service} | {count} |" for service, count in last.requests.most_common())
    seconds = ", ".join(f"{one.seconds:.1f}" for one in measured)
    cpu = ", ".join(f"{one.cpu:.1f}" for one in measured)
    return (
        "# Benchmark: discovering and checking a fleet in OCI\n\n"
        f"Written by `python -m benchmarks.prerequisites` on {datetime.now(UTC):%Y-%m-%d}, "
        f"{os.cpu_count()} cores, load {load:.1f} at the start.\n"
        f"{last.clusters} clusters in {len(_REGIONS)} regions and {len(_TENANCIES)} tenancies are "
        f"discovered, and the {last.places} places that they depend on are checked, in one flow run.\n"
        "The tenancies run in another process on the same cores, and so does the Prefect server (SQLite).\n\n"
        f"| | |\n|---|---|\n| wall time of each run, s (goal: {_GOAL_SECONDS}) | {seconds} |\n"
        f"| CPU time of each run in the flow's process, s | {cpu} |\n"
        f"| requests to OCI | {last.requests.total()} |\n"
        f"| most reads of one object (goal: 1) | {last.most_reads} |\n"
        f"| peak memory of the flow's process, MiB | {last.memory:.0f} |\n\n"
        f"| service | requests |\n|---|---|\n{requests}\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prerequisites", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
