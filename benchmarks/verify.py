"""What one look of verify-fleet at an untouched cluster costs, and whether it ever reports what is not there.

`python -m benchmarks.verify --looks 100` installs on a new cluster for each OLM version, lets OLM run, looks
a hundred times with and without live checks, and writes docs/benchmarks-verify.md. Between the looks it
waits, so that OLM's own look at everything every five minutes falls among them. Every look is judged by
itself, without the second one that the flow takes before it reports.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import prefect_environment, save_blocks
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import load_block, open_cluster
from tasks.core.drift.choice import LiveChecks
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.finding import find_drift
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.drift.observing import observe_cluster
from tasks.sources import fetch_sources

_DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks-verify.md"
_SETTLED_WITHIN = timedelta(minutes=3)


class CountingTransport:
    """Counts what goes through a client's transport."""

    def __init__(self, transport: Any) -> None:  # noqa: ANN401 - the SDK's REST client has no public type
        self._transport = transport
        self._lock = threading.Lock()
        self.requests = 0
        self.received = 0

    def request(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as it comes
        """Send a request and count it with the bytes of its answer."""
        answer = self._transport.request(*arguments, **named)
        with self._lock:
            self.requests += 1
            self.received += len(answer.read() or b"")
        return answer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - everything else is the transport's
        return getattr(self._transport, name)


@dataclass(frozen=True)
class Look:
    """What one look cost.

    Attributes:
        reads: Read requests as the verification counts them.
        requests: Requests that were sent.
        received: Bytes of their answers, as they came over the wire decoded.
        seconds: From the first request to the findings.
        judging: Of that, the comparison.
        alarms: What it reported.
    """

    reads: int
    requests: int
    received: int
    seconds: float
    judging: float
    alarms: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """All looks of one kind at one cluster."""

    olm: str
    checks: LiveChecks
    looks: tuple[Look, ...]


def look(client: ClusterClient, expected: Expectation, checks: LiveChecks) -> Look:
    """Look once and count."""
    api = client._api  # noqa: SLF001 - nobody else needs to count below the client
    counting = CountingTransport(api.rest_client)
    api.rest_client = counting  # type: ignore[assignment]  # it does what the client uses
    started = time.monotonic()
    try:
        seen = observe_cluster(client, expected, checks)
    finally:
        api.rest_client = counting._transport  # noqa: SLF001 - put back what was taken
    read = time.monotonic()
    items = find_drift(expected, seen)
    done = time.monotonic()
    return Look(
        seen.reads,
        counting.requests,
        counting.received,
        done - started,
        done - read,
        tuple(item.summary for item in items),
    )


def measure(
    olm: OlmVersion, folder: Path, looks: int, pause: timedelta, report: Callable[[str], None]
) -> list[Series]:
    """Install on a new cluster and look at it."""
    folder.mkdir()
    with World(folder, olm, 1, report, f"verify-{folder.name}") as world:
        save_blocks(world)
        parameters = world.parameters()
        install_fleet(**parameters)
        sources = fetch_sources(
            OperatorChoice.model_validate(parameters["operator"]),
            OlmRelease.model_validate(parameters["olm"]),
            MetricsServerChoice(),
        )
        expected = Expectation(
            sources.profile, sources.bundle, sources.installation, sources.catalog, sources.olm
        )
        client = open_cluster(load_block(KubernetesCluster, world.clusters[0].name))
        wait_for(
            lambda: find_drift(expected, observe_cluster(client, expected)),
            lambda items: not items,
            deadline_after(_SETTLED_WITHIN),
        )
        report(f"OLM {olm.value}: {looks} looks, with and without live checks")
        found: dict[LiveChecks, list[Look]] = {checks: [] for checks in LiveChecks}
        for _ in range(looks):
            for checks, so_far in found.items():
                so_far.append(look(client, expected, checks))
            time.sleep(pause.total_seconds())
        return [Series(olm.value, checks, tuple(all_looks)) for checks, all_looks in found.items()]


def document(series: list[Series], pause: timedelta, lasted: timedelta) -> str:
    """The page."""
    seconds = pause.total_seconds()
    command = f"python -m benchmarks.verify --looks {len(series[0].looks)} --pause {seconds:g}"
    rows = "".join(_row(one) for one in series)
    total = sum(len(one.looks) for one in series)
    alarms = [alarm for one in series for each in one.looks for alarm in each.alarms]
    listed = "".join(f"- {alarm}\n" for alarm in dict.fromkeys(alarms)) or "None.\n"
    return f"""# Verifying an untouched cluster, measured

`{command}` on {datetime.now(UTC):%Y-%m-%d}.
{os.cpu_count()} cores, shared with other work. One real cluster for each OLM version, install-fleet done, OLM
running, which looks at everything every five minutes. With {seconds:g} s between the looks,
and with the installations, it took {lasted.total_seconds() / 60:.0f} minutes. Each look reads everything and
is judged alone; verify-fleet looks a second time before it reports anything new.

| OLM | live checks | looks | reads | requests | received | median | p99 | of it comparing | false alarms |
|---|---|---|---|---|---|---|---|---|---|
{rows}
Reads: GET requests of the plan (`tasks/core/drift/reading.py`) and `/version`. Requests: with the dry-run
calls through every webhook, the API server's counters around the injector's call, and permission reviews;
handshakes through the port-forward are not in it. Received: bodies as decoded.

False alarms in {total} looks:

{listed}"""


def _row(series: Series) -> str:
    looks = series.looks
    seconds = sorted(each.seconds for each in looks)
    high = seconds[min(len(seconds) - 1, round(len(seconds) * 0.99))]
    middle = looks[len(looks) // 2]
    judging = statistics.median(each.judging for each in looks)
    alarms = sum(len(each.alarms) for each in looks)
    received = f"{statistics.median(each.received for each in looks) / 1024:.0f} KiB"
    return (
        f"| {series.olm} | {series.checks} | {len(looks)} | {middle.reads} | {middle.requests} | {received} "
        f"| {statistics.median(seconds):.2f} s | {high:.2f} s | {judging:.2f} s | {alarms} |\n"
    )


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--looks", type=int, default=100, help="how often each cluster is looked at, each way"
    )
    parser.add_argument("--pause", type=float, default=4, help="seconds between the looks")
    parser.add_argument("--olm", nargs="*", default=[each.value for each in OlmVersion], help="OLM versions")
    parser.add_argument("--output", type=Path, default=_DOCUMENT, help="where the page goes")
    chosen = parser.parse_args()
    pause, started = timedelta(seconds=chosen.pause), time.monotonic()
    logging.getLogger("prefect").setLevel(logging.ERROR)

    def report(text: str) -> None:
        sys.stderr.write(f"{text}\n")

    with tempfile.TemporaryDirectory() as folder, PrefectServices(Path(folder) / "prefect") as services:
        services.start_server()
        with prefect_environment(services):
            series = [
                one
                for number, olm in enumerate(map(OlmVersion, chosen.olm))
                for one in measure(olm, Path(folder) / f"w{number}", chosen.looks, pause, report)
            ]
    chosen.output.write_text(document(series, pause, timedelta(seconds=time.monotonic() - started)))


if __name__ == "__main__":
    main()
