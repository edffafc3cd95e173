"""What it takes to verify a thousand clusters in one run, beside a loop of kubectl and the bare requests.

`python -m benchmarks.fleet` starts PostgreSQL, a Prefect server and one real cluster, installs the operator
on it, puts a thousand endpoints in front of it (`benchmarks/fleet_endpoints.py`), runs verify-fleet over all
of them, and writes docs/benchmarks-fleet.md.
"""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from prefect import flow

from benchmarks.fleet_baselines import bare_reads, floor, kubectl_loop
from benchmarks.fleet_report import DOCUMENT, Conditions, MeasuredRun, Results, write_document
from benchmarks.fleet_run import FleetRun
from benchmarks.fleet_world import (
    Fleet,
    Health,
    Member,
    RunningEndpoints,
    Upstream,
    make_fleet,
    save_members,
    serving,
)
from deployments.rehearsal.accounts import FLEET_CONTEXT
from deployments.rehearsal.control_plane import Part
from deployments.rehearsal.postgres import Postgres
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import GoModule, OlmVersion, ensure_programs
from deployments.rehearsal.running import prefect_environment, save_blocks
from deployments.rehearsal.world import RehearsalCluster, World
from flows.install_fleet import install_fleet
from tasks.core.drift.choice import LiveChecks
from tasks.core.drift.expectation import Expectation
from tasks.core.errors import PrerequisiteError
from tasks.core.identity import KUBE_SYSTEM, identity_of
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.sources import Sources, fetch_sources

_PROJECT = Path(__file__).parents[1]
_KUBECTL_AT_A_TIME = 8
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Bench:
    """Everything that runs.

    Attributes:
        folder: For files.
        parameters: Of install-fleet.
    """

    folder: Path
    services: PrefectServices
    endpoints: RunningEndpoints
    cluster: RehearsalCluster
    parameters: Mapping[str, Any]

    def measure(
        self, name: str, members: Sequence[Member], checks: LiveChecks = LiveChecks.NONE
    ) -> MeasuredRun:
        """Run verify-fleet over them in a process of its own."""
        parameters = {key: self.parameters[key] for key in ("operator", "olm")}
        wanted = {
            "clusters": [one.name for one in members],
            "choice": {"live_checks": checks.value},
            **parameters,
        }
        (self.folder / "run.json").write_text(json.dumps(wanted))
        before, _ = self._cpu(), self.endpoints.counts()
        self._run()
        after, counts = self._cpu(), self.endpoints.counts()
        run = FleetRun.read(self.folder / "result.json")
        cpu = {"verify-fleet": run.cpu, **{key: after[key] - before[key] for key in after}}
        load = os.getloadavg()[0]
        _say(f"{name}: {run.seconds:.1f} s, {run.states}, load {load:.1f}")
        return MeasuredRun(name, len(members), run, counts["requests"], counts["sent"], cpu, load)

    def _run(self) -> None:
        files = [str(self.folder / name) for name in ("run.json", "result.json")]
        subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "benchmarks.fleet_run", *files],
            cwd=_PROJECT,
            env={**os.environ, **self.services.environment},
            check=True,
        )

    def _cpu(self) -> dict[str, float]:
        pids = {
            "Prefect server": self.services.server.pid,
            "endpoints": self.endpoints.pid,
            "API server": self.cluster.control_plane.pids[Part.API_SERVER],
        }
        return {name: _cpu_of(pid) for name, pid in pids.items()}


def _cpu_of(pid: int) -> float:
    """User and system time of a process in seconds (proc(5), /proc/pid/stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main() -> int:
    """Measure and write the page; the exit code says whether anything could be measured."""
    chosen = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.getLogger("prefect").setLevel(logging.ERROR)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as scratch:
        folder = Path(scratch)
        # PostgreSQL runs as another account.
        folder.chmod(0o711)
        try:
            database = None if chosen.sqlite else Postgres(folder / "postgres")
        except PrerequisiteError as error:
            _say(f"Nothing was measured. {error}")
            return 1
        with database or nullcontext(), _services(folder, database) as services:
            results, versions = _measured(chosen, folder, services)
    command = f"python -m benchmarks.fleet {' '.join(sys.argv[1:])}".rstrip()
    unwell = chosen.endpoints - results.without.clusters
    versions |= {"database": database.version if database else "SQLite"}
    conditions = Conditions(command, versions, chosen.endpoints, unwell, chosen.delay / 1000, load)
    write_document(conditions, results, chosen.output)
    _say(chosen.output.read_text())
    return 0


@contextmanager
def _services(folder: Path, database: Postgres | None) -> Iterator[PrefectServices]:
    with PrefectServices(folder / "prefect", database.url if database else "") as services:
        services.start_server()
        yield services


def _measured(
    chosen: argparse.Namespace, folder: Path, services: PrefectServices
) -> tuple[Results, dict[str, str]]:
    with (
        prefect_environment(services) as client,
        World(folder / "world", OlmVersion.V0_46_0, 1, _say, "bench") as world,
    ):
        save_blocks(world)
        install_fleet(**world.parameters())
        upstream = _upstream(world.clusters[0])
        members = folder / "members"
        members.mkdir()
        unwell = round(chosen.endpoints * chosen.unwell / 100)
        fleet = make_fleet(members, upstream, chosen.endpoints, unwell)
        with serving(members, fleet, upstream, chosen.delay / 1000) as endpoints:
            save_members(client, fleet.members)
            _say(f"{len(fleet.members)} blocks saved")
            bench = Bench(folder, services, endpoints, world.clusters[0], world.parameters())
            results = _results(bench, fleet, upstream.token, chosen.sample)
        version = world.clusters[0].control_plane.client().read_path("/version") or {}
        return results, {"Kubernetes": str(version.get("gitVersion"))}


def _results(bench: Bench, fleet: Fleet, token: str, sample: int) -> Results:
    alive = fleet.having(Health.ALIVE)
    some = alive[:: max(1, len(alive) // sample)][:sample]
    first = bench.measure("first", fleet.members)
    hourly = bench.measure("hourly: nothing changed", fleet.members)
    without = bench.measure("hourly, without the unwell", alive)
    expected = _expectation(bench.parameters)
    bare = floor([one.server for one in alive], token, fleet.authority, bare_reads(expected, unchanged=True))
    _say(f"bare requests: {bare.seconds:.1f} s")
    whole = bare_reads(expected, unchanged=False)
    kubeconfigs = [one.kubeconfig for one in some]
    kubectl = kubectl_loop(_kubectl(), kubeconfigs, whole, _KUBECTL_AT_A_TIME)
    _say(f"kubectl: {kubectl.seconds:.1f} s for {kubectl.clusters} clusters")
    live = bench.measure("with live calls, a sample", some, LiveChecks.ALL)
    return Results(first, hourly, without, live, bare, kubectl)


def _upstream(cluster: RehearsalCluster) -> Upstream:
    users = yaml.safe_load(cluster.kubeconfig.read_text())["users"]
    [token] = [user["user"]["token"] for user in users if user["name"] == FLEET_CONTEXT]
    plane = cluster.control_plane
    uid = identity_of(cluster.name, plane.client().get(KUBE_SYSTEM))
    return Upstream(plane.server, plane.ca_file, token, uid)


@flow(name="benchmark-fleet-sources")
def _sources(operator: OperatorChoice, olm: OlmRelease) -> Sources:
    """What verify-fleet fetches before it looks at a cluster."""
    return fetch_sources(operator, olm, MetricsServerChoice())


def _expectation(parameters: Mapping[str, Any]) -> Expectation:
    sources = _sources(
        OperatorChoice.model_validate(parameters["operator"]), OlmRelease.model_validate(parameters["olm"])
    )
    return Expectation(sources.profile, sources.bundle, sources.installation, sources.catalog, sources.olm)


def _kubectl() -> Path:
    return ensure_programs(OlmVersion.V0_46_0, _say, (GoModule.KUBECTL,)).path("kubectl")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000, help="how many clusters")
    parser.add_argument("--unwell", type=float, default=5, help="percent of them that are dead or hang")
    parser.add_argument("--delay", type=float, default=20, help="latency of each request in milliseconds")
    parser.add_argument(
        "--sample", type=int, default=20, help="clusters for the kubectl loop and for live calls"
    )
    parser.add_argument("--sqlite", action="store_true", help="SQLite instead of PostgreSQL")
    parser.add_argument("--output", type=Path, default=DOCUMENT, help="where the page goes")
    return parser.parse_args()


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
