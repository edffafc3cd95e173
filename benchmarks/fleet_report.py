"""docs/benchmarks-fleet.md: what verifying a thousand clusters takes, beside two baselines."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path

from benchmarks.fleet_baselines import BaselineRun
from benchmarks.fleet_run import FleetRun
from tasks.core.markdown import table

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks-fleet.md"
_GOALS = {"seconds": 60, "reads": 20, "memory": 1024, "kubectl": 10, "floor": 2}


@dataclass(frozen=True)
class MeasuredRun:
    """One run of verify-fleet, and what it cost elsewhere.

    Attributes:
        name: What kind of run.
        clusters: How many clusters it was told to verify.
        requests: How many requests reached the endpoints that answer.
        received: Bytes that they answered with, as they come over the wire, heads included.
        cpu: CPU seconds by program.
        load: Load of the machine over the last minute, at the end.
    """

    name: str
    clusters: int
    run: FleetRun
    requests: int
    received: int
    cpu: Mapping[str, float]
    load: float

    @property
    def verified(self) -> int:
        """How many clusters were looked at."""
        return len(self.run.looks)

    def look(self, share: float) -> float:
        """The time of a look that this share of the looks does not exceed, in seconds."""
        seconds = sorted(each[0] for each in self.run.looks)
        return seconds[max(0, ceil(len(seconds) * share) - 1)]

    @property
    def reads(self) -> int:
        """The most read requests of a look."""
        return max(each[1] for each in self.run.looks)


@dataclass(frozen=True)
class Conditions:
    """How it was measured.

    Attributes:
        command: The command line.
        versions: Of the programs.
        unwell: How many endpoints are dead or hang.
        delay: Of every request, in seconds.
        load: Load of the machine at the start.
    """

    command: str
    versions: Mapping[str, str]
    endpoints: int
    unwell: int
    delay: float
    load: float
    date: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Attributes:
        first: The run that knows nothing of the clusters.
        hourly: The next one: nothing changed since.
        without: The same without the dead and the hanging.
        live: With live calls, on a sample.
        floor: The bare requests.
        kubectl: The loop, on a sample.
    """

    first: MeasuredRun
    hourly: MeasuredRun
    without: MeasuredRun
    live: MeasuredRun
    floor: BaselineRun
    kubectl: BaselineRun


def write_document(conditions: Conditions, results: Results, path: Path) -> None:
    """Write the page."""
    path.write_text(
        "\n".join(
            (
                "# Benchmark: verifying a fleet\n",
                _head(conditions),
                _goals(results),
                _runs((results.first, results.hourly, results.without, results.live)),
                _baselines(results),
                _processor(results.hourly),
                _notes(conditions, results),
            )
        )
    )


def _head(conditions: Conditions) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in conditions.versions.items())
    return (
        f"Written by `{conditions.command}` on {conditions.date:%Y-%m-%d %H:%M} UTC. {os.cpu_count()} cores, "
        "shared by everything below and with other work: load "
        f"{conditions.load:.1f} at the start. Python {sys.version.split()[0]}, Prefect {version('prefect')}, "
        f"{versions}.\n\n"
        f"{conditions.endpoints} endpoints, each with its own address, certificate and identity, in front of "
        "one real API server with OLM and the operator installed by install-fleet. A process of its own "
        f"(`benchmarks/fleet_endpoints.py`) ends the TLS of each, lets every request arrive "
        f"{conditions.delay * 1000:.0f} ms later, and replaces the uid of kube-system by the endpoint's, "
        f"which the block pins. {conditions.unwell} endpoints are unwell: every other one refuses "
        "connections, the rest accept them and never answer.\n"
    )


def _goals(results: Results) -> str:
    hourly, floor = results.hourly, results.floor
    kubectl = _each(results.kubectl) * hourly.verified / hourly.run.seconds
    rows = (
        ("wall time, s", f"{hourly.run.seconds:.1f}", "≤ 60", hourly.run.seconds <= _GOALS["seconds"]),
        ("read requests per cluster", str(hourly.reads), "≤ 20", hourly.reads <= _GOALS["reads"]),
        (
            "peak memory of the run, MiB",
            f"{hourly.run.peak:.0f}",
            "≤ 1024",
            hourly.run.peak <= _GOALS["memory"],
        ),
        ("times as fast as kubectl", f"{kubectl:.1f}", "≥ 10", kubectl >= _GOALS["kubectl"]),
        (
            "times the bare requests",
            f"{_ratio(hourly, floor):.1f}",
            "≤ 2",
            _ratio(hourly, floor) <= _GOALS["floor"],
        ),
    )
    return "## The hourly run\n\n" + table(
        ("", "measured", "goal", ""), [(*row[:3], "met" if row[3] else "missed") for row in rows]
    )


def _runs(runs: Sequence[MeasuredRun]) -> str:
    headers = (
        "run", "clusters", "wall, s", "looks: median, s", "p99, s", "reads", "requests", "received, KiB",
        "peak, MiB", "found", "load",
    )  # fmt: skip
    rows = [
        (
            one.name,
            str(one.clusters),
            f"{one.run.seconds:.1f}",
            f"{one.look(0.5):.2f}",
            f"{one.look(0.99):.2f}",
            str(one.reads),
            f"{one.requests / one.verified:.1f}",
            f"{one.received / 1024 / one.verified:.0f}",
            f"{one.run.peak:.0f}",
            ", ".join(f"{count} {state}" for state, count in one.run.states.items() if count),
            f"{one.load:.1f}",
        )
        for one in runs
    ]
    alarms = sorted({alarm for one in runs for alarm in one.run.alarms})
    told = "".join(f"- {alarm}\n" for alarm in alarms) or "None.\n"
    return (
        "## Runs\n\n"
        + table(headers, rows)
        + "\nReads, requests and received are for each verified cluster. A look is one cluster from its "
        "block to its findings, the wait for a processor included.\n\nDrift that was reported:\n\n" + told
    )


def _baselines(results: Results) -> str:
    rows = [
        (
            name,
            str(one.clusters),
            str(one.requests),
            str(one.parallel),
            f"{one.seconds:.1f}",
            f"{_each(one):.3f}",
            f"{one.cpu / one.clusters:.3f}",
        )
        for name, one in (("bare requests", results.floor), ("kubectl", results.kubectl))
    ]
    hourly = results.hourly
    rows.append(
        (
            "verify-fleet, hourly",
            str(hourly.verified),
            str(hourly.requests),
            "64",
            f"{hourly.run.seconds:.1f}",
            f"{hourly.run.seconds / hourly.verified:.3f}",
            f"{hourly.run.cpu / hourly.verified:.3f}",
        )
    )
    headers = (
        "",
        "clusters",
        "requests",
        "at a time",
        "wall, s",
        "wall per cluster, s",
        "CPU per cluster, s",
    )
    return (
        "## Beside two baselines\n\n"
        + table(headers, rows)
        + "\nBare requests: the same GETs with urllib3, one connection for each cluster, bodies dropped. "
        "kubectl: `xargs -P` with one `kubectl get --raw` for each read, on a sample; its wall time per "
        "cluster is taken for all of them. kubectl cannot ask for metadata alone, so it receives whole "
        "objects.\n"
    )


def _processor(run: MeasuredRun) -> str:
    rows = [(name, f"{used:.1f}", f"{used / run.verified * 1000:.0f}") for name, used in run.cpu.items()]
    cores = os.cpu_count() or 1
    least = f"{sum(run.cpu.values()) / cores:.0f} s of {cores} cores that do nothing else"
    return (
        "## Where the processors' time goes (hourly run)\n\n"
        + table(("", "CPU, s", "per cluster, ms"), rows)
        + f"\nThe database aside; {least}.\n"
    )


def _notes(conditions: Conditions, results: Results) -> str:
    slower = results.hourly.look(0.99) - results.without.look(0.99)
    return (
        f"\n## Notes\n\n- Without the {conditions.unwell} unwell endpoints the run takes "
        f"{results.without.run.seconds:.1f} s instead of {results.hourly.run.seconds:.1f} s, and the p99 of "
        f"a look is {abs(slower):.2f} s {'shorter' if slower > 0 else 'longer'}, at a load of "
        f"{results.without.load:.1f} instead of {results.hourly.load:.1f}. An endpoint that hangs is "
        "given up after 10 s; it keeps one of 64 threads until then.\n" + _WHY
    )


_WHY = """- Reads: objects of 20 kinds are compared. Deployments stand in two namespaces, four Secrets are
  read by name because the account may not list Secrets, and the version is a request of its own: 25. With the
  permission to list Secrets, and one list of all Deployments of a cluster, it would be 21; Kubernetes has no
  request for objects of several kinds.
- The certificate behind all endpoints is one, and a process parses the same certificate once. Of a thousand
  clusters each has its own.
"""


def _each(run: BaselineRun) -> float:
    return run.seconds / run.clusters


def _ratio(run: MeasuredRun, floor: BaselineRun) -> float:
    return (run.run.seconds / run.verified) / _each(floor)
