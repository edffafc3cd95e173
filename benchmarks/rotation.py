"""Many changes of the webhook certificate in a row while the validators are called all the time (R20, R21).

`python -m benchmarks.rotation --rotations 50 --olm 0.46.0` starts a control plane with two API servers on one
etcd, installs the operator with OLM's certificate, rotates, and writes its section of docs/rotation.md after
every rotation. Each rotation issues a new key and leaf; the first one, and a share of the others, a new CA as
well. A draw decides how long the kubelet stand-in takes to bring a changed Secret into the pods.

With `--bundle FOLDER` the operator is that of an unpacked bundle, such as the published one.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.machine import Sleeper
from benchmarks.olm_activity import Activity, read_activity
from benchmarks.rotating_world import KubeletDelay, installed_cluster, prefect_server
from benchmarks.rotation_report import Conditions, Measured, describe, write_section
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.prober import Prober
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.rotating import make_authority, rotate_at_once, validators_prober
from deployments.rehearsal.world import RehearsalCluster
from tasks.core.errors import FleetError
from tasks.core.profiles import built_in_profile

_LONGEST_DELAY = timedelta(seconds=90)
_PATIENCE = timedelta(minutes=8)


@dataclass(frozen=True)
class Draw:
    """What chance decided about one rotation.

    Attributes:
        number: From 1 on.
        new_ca: Whether the CA changes as well; the first rotation leaves OLM's CA.
        delay: Between a change of the Secret and its files in the pods.
    """

    number: int
    new_ca: bool
    delay: timedelta


def draws(arguments: argparse.Namespace) -> Iterator[Draw]:
    """The rotations of a run; the same seed draws the same ones."""
    chance = random.Random(arguments.seed)  # noqa: S311 - a benchmark, to be repeated with the same draws
    for number in range(1, arguments.rotations + 1):
        new_ca = chance.random() < arguments.ca_share
        delayed = chance.random() < arguments.delayed_share
        seconds = chance.uniform(0, _LONGEST_DELAY.total_seconds())
        yield Draw(number, number == 1 or new_ca, timedelta(seconds=seconds if delayed else 0))


class Rotator:
    """Rotates the certificate of one cluster under a prober's eyes.

    Args:
        folder: For the files of CAs.
        delay: The cluster's kubelet.
        prober: Entered.
    """

    def __init__(
        self, cluster: RehearsalCluster, olm: OlmVersion, folder: Path, delay: KubeletDelay, prober: Prober
    ) -> None:
        self._cluster = cluster
        self._olm = olm
        self._folder = folder
        self._delay = delay
        self._prober = prober
        self._authority = ""

    def rotate(self, draw: Draw, sleeper: Sleeper) -> Measured:
        """Carry one rotation out and say what was seen; an error of the pipeline stands in the result."""
        if draw.new_ca:
            self._authority = f"bench-ca-{draw.number}"
            make_authority(self._folder, self._authority)
        self._delay.current = draw.delay
        before, offset = self._prober.result, self._control_plane.audit_log.stat().st_size
        sleeper.take()
        started, problem = time.monotonic(), ""
        try:
            rotation = rotate_at_once(self._cluster.name, self._authority, _PATIENCE)
            problem = "; ".join(rotation.unproven)
        except FleetError as error:
            problem = str(error)
        seconds = time.monotonic() - started
        after = self._prober.result
        return Measured(
            number=draw.number,
            new_ca=draw.new_ca,
            delay=draw.delay,
            lasted=timedelta(seconds=seconds),
            calls=after.calls - before.calls,
            rate=(after.calls - before.calls) / seconds,
            failed=after.failed[len(before.failed) :],
            stalled=sleeper.take(),
            activity=self._activity(offset),
            problem=problem,
        )

    @property
    def _control_plane(self) -> ControlPlane:
        return self._cluster.control_plane

    def _activity(self, offset: int) -> Activity:
        requests = self._control_plane.audited_requests(offset)
        return read_activity(requests, built_in_profile(), self._olm)


def main() -> int:
    """Measure and write the document; exit code 1 when a rotation failed."""
    arguments = _arguments()
    olm = OlmVersion(arguments.olm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    conditions = Conditions(
        olm=olm,
        bundle=arguments.bundle.name if arguments.bundle else "",
        command=_command(arguments),
        seed=arguments.seed,
        delayed_share=arguments.delayed_share,
        ca_share=arguments.ca_share,
        planned=arguments.rotations,
        date=datetime.now(UTC),
    )
    measured: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as scratch, prefect_server(Path(scratch)):
        delay = KubeletDelay()
        with installed_cluster(olm, delay, _say, _operator(arguments.bundle)) as cluster:
            prober = validators_prober(cluster.control_plane)
            rotator = Rotator(cluster, olm, Path(scratch), delay, prober)
            with prober, Sleeper() as sleeper:
                for draw in draws(arguments):
                    measured.append(rotator.rotate(draw, sleeper))
                    _say(describe(measured[-1], arguments.rotations))
                    write_section(conditions, measured, prober.result)
    return 1 if any(one.problem for one in measured) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rotation", description=__doc__)
    parser.add_argument("--rotations", type=int, default=50)
    parser.add_argument(
        "--olm", default=OlmVersion.V0_46_0.value, choices=[item.value for item in OlmVersion]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--delayed-share",
        type=float,
        default=1.0,
        help="share of the rotations whose delay is drawn from 0 to 90 s; the others have none (default 1)",
    )
    parser.add_argument(
        "--ca-share", type=float, default=0.5, help="share of the rotations that change the CA (default 0.5)"
    )
    parser.add_argument(
        "--bundle", type=Path, help="folder of an unpacked bundle; default: the rehearsal's own"
    )
    return parser.parse_args()


def _operator(bundle: Path | None) -> dict[str, str]:
    return {"bundle_source": "DIRECTORY", "bundle": str(bundle.resolve())} if bundle else {}


def _command(arguments: argparse.Namespace) -> str:
    """What was called, without the place of a folder on this machine."""
    given = [arguments.bundle.name if each == str(arguments.bundle) else each for each in sys.argv[1:]]
    return " ".join(["python -m benchmarks.rotation", *given])


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
