"""How long install-fleet takes on a control plane that runs already, and what it asks of the API server.

`python -m benchmarks.install --runs 3` starts a new cluster for every run, installs, installs again, and
writes docs/benchmarks.md. The flow runs in this process against a Prefect server on SQLite.
"""

import argparse
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import prefect_environment, save_blocks
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.core.steps import InstallStep

_DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
_WAITS = frozenset(
    {InstallStep.OLM_HEALTH, InstallStep.CATALOG_READY, InstallStep.INSTALL_PLAN, InstallStep.CSV}
)
"""Steps that wait for OLM; everything else is ours."""
_OURS = "system:serviceaccount:osok-fleet:"


@dataclass(frozen=True)
class Measurement:
    """One installation on a new cluster.

    Attributes:
        total: Seconds of the whole flow run.
        waiting: Seconds of the steps that wait for OLM.
        again: Seconds of the second run, which writes nothing.
        requests: Requests of our accounts to the API server during the first run, by verb.
        requests_again: The same for the second run.
    """

    total: float
    waiting: float
    again: float
    requests: Counter[str]
    requests_again: Counter[str]


def measure(
    olm: OlmVersion, folder: Path, client: SyncPrefectClient, report: Callable[[str], None]
) -> Measurement:
    """Install on a new cluster, twice."""
    prefix = f"bench-{folder.name}"
    with World(folder, olm, 1, report, prefix) as world:
        save_blocks(world)
        control_plane = world.clusters[0].control_plane
        total, requests = _timed(world, control_plane)
        waiting = _waiting(client, world.clusters[0].name)
        again, requests_again = _timed(world, control_plane)
    return Measurement(total, waiting, again, requests, requests_again)


def _timed(world: World, control_plane: ControlPlane) -> tuple[float, Counter[str]]:
    before = len(control_plane.audited_requests())
    started = time.monotonic()
    install_fleet(**world.parameters())
    seconds = time.monotonic() - started
    seen = control_plane.audited_requests()[before:]
    return seconds, Counter(request.verb for request in seen if request.user.startswith(_OURS))


def _waiting(client: SyncPrefectClient, cluster: str) -> float:
    texts = [item for item in client.read_artifacts() if item.key == f"install-{cluster}-json"]
    newest = max(texts, key=lambda item: str(item.created))
    report = json.loads(str(newest.data).removeprefix("```json\n").removesuffix("```\n"))
    names = {step.name for step in _WAITS}
    return sum(float(step["duration_seconds"]) for step in report["steps"] if step["step"] in names)


def table(olm: OlmVersion, measured: list[Measurement]) -> str:
    """The Markdown table of one OLM version."""
    rows = {
        "whole flow run, s": [one.total for one in measured],
        "of it waiting for OLM, s": [one.waiting for one in measured],
        "of it ours, s": [one.total - one.waiting for one in measured],
        "second run (no writes), s": [one.again for one in measured],
        "requests to the API server": [float(one.requests.total()) for one in measured],
        "requests of the second run": [float(one.requests_again.total()) for one in measured],
    }
    lines = [f"## OLM {olm.value}, {len(measured)} runs\n", "| | min | median | max |", "|---|---|---|---|"]
    lines += [f"| {name} | {_numbers(values)} |" for name, values in rows.items()]
    verbs = ", ".join(f"{verb} {count}" for verb, count in measured[-1].requests.most_common())
    return "\n".join([*lines, "", f"Requests of the last first run by verb: {verbs}.", ""])


def _numbers(values: Iterable[float]) -> str:
    found = list(values)
    return " | ".join(f"{value:.1f}" for value in (min(found), statistics.median(found), max(found)))


def main() -> int:
    """Measure and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.install", description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs: int = parser.parse_args().runs
    load = os.getloadavg()[0]
    sections = []
    with tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as scratch:
        services = PrefectServices(Path(scratch) / "prefect")
        with services:
            services.start_server()
            with prefect_environment(services) as client:
                logging.disable(logging.INFO)
                for olm in OlmVersion:
                    name = olm.value.replace(".", "-")
                    folders = [Path(scratch) / f"{name}-{run}" for run in range(runs)]
                    sections.append(table(olm, [measure(olm, folder, client, _say) for folder in folders]))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    _DOCUMENT.write_text(_document(sections, memory, load))
    _say(_DOCUMENT.read_text())
    return 0


def _document(sections: list[str], memory: float, load: float) -> str:
    head = (
        "# Benchmarks\n\n"
        f"Written by `python -m benchmarks.install` on {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, "
        f"load {load:.1f} at the start.\nThe control plane runs on the same cores as the flow. "
        "Goals: at most 45 s for the whole run, at most 8 s of our own.\n\n"
    )
    tail = f"Peak memory of the process that ran all flows: {memory:.0f} MiB.\n"
    return head + "\n".join([*sections, tail])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
