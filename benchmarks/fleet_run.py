"""One run of verify-fleet in a process of its own, so that its memory is its alone.

`python -m benchmarks.fleet_run PARAMETERS.json RESULT.json`, with PREFECT_API_URL set.
"""

import json
import logging
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

from benchmarks.machine import cpu_seconds
from flows.verify_fleet import verify_fleet
from tasks.core.drift.results import ClusterVerification, FleetVerification
from tasks.documents import read_document
from tasks.drift.batches import count_processes
from tasks.drift.publishing import FLEET_KEY


@dataclass(frozen=True)
class FleetRun:
    """What one run took.

    Attributes:
        seconds: From the call of the flow to its end.
        cpu: CPU time of the process and those that it started in that time, in seconds.
        peak: The largest resident set of the process, and for each one that looks at clusters that of the
            largest, in MiB.
        states: How many clusters were found how.
        looks: Seconds of each verified cluster, and its read requests.
        missed: Seconds of each cluster that could not be verified.
        alarms: Drift that was reported.
    """

    seconds: float
    cpu: float
    peak: float
    states: dict[str, int]
    looks: tuple[tuple[float, int], ...]
    missed: tuple[float, ...]
    alarms: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what the process wrote."""
        return cls(**json.loads(path.read_text()))


def run(parameters: dict[str, object]) -> FleetRun:
    """Run the flow and measure."""
    started, used = time.monotonic(), _cpu()
    state = verify_fleet(**parameters, return_state=True)
    seconds, cpu = time.monotonic() - started, _cpu() - used
    run_id = state.state_details.flow_run_id
    if run_id is None:
        raise LookupError("the run has no id")
    fleet = _results(run_id)
    counts = {one.state.value: fleet.count(one.state) for one in fleet.clusters}
    looking = count_processes() * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + looking) / 1024
    looks = tuple((one.seconds, one.reads) for one in fleet.clusters if _is_verified(one))
    missed = tuple(one.seconds for one in fleet.clusters if not _is_verified(one))
    alarms = [item.summary for one in fleet.clusters for item in one.items]
    return FleetRun(seconds, cpu, peak, counts, looks, missed, tuple(dict.fromkeys(alarms)))


def _cpu() -> float:
    return cpu_seconds(resource.RUSAGE_SELF) + cpu_seconds(resource.RUSAGE_CHILDREN)


def _results(run_id: UUID) -> FleetVerification:
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[f"{FLEET_KEY}-json"]),
        flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]),
    )
    with get_client(sync_client=True) as client:
        [artifact] = client.read_artifacts(artifact_filter=wanted)
    fleet = read_document(FleetVerification, str(artifact.data))
    if fleet is None:
        raise LookupError("the run wrote no results")
    return fleet


def _is_verified(one: ClusterVerification) -> bool:
    return not one.error


def main() -> None:
    """Run once."""
    logging.getLogger("prefect").setLevel(logging.ERROR)
    parameters, result = Path(sys.argv[1]), Path(sys.argv[2])
    result.write_text(json.dumps(asdict(run(json.loads(parameters.read_text())))))


if __name__ == "__main__":
    main()
