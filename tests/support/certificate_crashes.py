"""A change of CA whose process is killed (SIGKILL) after each of its steps and started again (R12–R21)."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prober import ProbeResult
from deployments.rehearsal.rotating import mesh_prober
from tests.support.certificates import certificate_in, requests_of
from tests.support.rotations import FLEET_ACCOUNT, NAMESPACE, PREVIOUS, STAGING, RotatingCluster

CRASH_CA = "crash-ca"
"""The CA that is changed to."""
_ISSUER = f"CN=Rehearsal {CRASH_CA}"
Reached = Callable[[RotatingCluster], bool]
LAST_STEP = "previous forgotten"

STEPS: Mapping[str, Reached] = {
    "key staged": lambda one: one.client.get(STAGING) is not None,
    "requested": lambda one: bool(requests_of(one.client, NAMESPACE)),
    "approved": lambda one: any(
        "conditions" in (each.get("status") or {}) for each in requests_of(one.client, NAMESPACE)
    ),
    "issued": lambda one: any(certificate_in(each) for each in requests_of(one.client, NAMESPACE)),
    "previous kept": lambda one: one.client.get(PREVIOUS) is not None,
    "trust widened": lambda one: one.cas_trusted() == 2,
    "switched": lambda one: one.leaf().issuer == _ISSUER,
    "trust narrowed": lambda one: one.cas_trusted() == 1 and one.leaf().issuer == _ISSUER,
    "OLM asked": lambda one: one.phase() != "Succeeded",
    LAST_STEP: lambda one: one.client.get(PREVIOUS) is None and one.client.get(STAGING) is not None,
}
"""What the cluster shows when a step is done, in the order of the steps."""


@dataclass
class Crashing:
    """Processes that change the CA of one cluster.

    Attributes:
        folder: Their home and temporary folder, and their output.
    """

    rotating: RotatingCluster
    services: PrefectServices
    folder: Path

    def start(self) -> "subprocess.Popen[bytes]":
        """Start one."""
        homes = {"HOME": str(self.folder), "TMPDIR": str(self.folder)}
        command = [sys.executable, "-m", "deployments.rehearsal.rotating"]
        with (self.folder / "output.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                [*command, "--cluster", self.rotating.cluster.name, "--authority", CRASH_CA],
                env={**self.services.environment, **homes},
                stdout=log,
                stderr=log,
            )

    def kill_when(self, reached: Reached) -> int:
        """Start one, kill it as soon as the step is done; returns its exit code."""
        process = self.start()
        while process.poll() is None and not reached(self.rotating):
            pass
        process.kill()
        return process.wait()

    def kill_after_every_step(self) -> tuple[dict[str, int], int]:
        """Exit codes of the killed ones by step, and that of the one that came to its end."""
        exits: dict[str, int] = {}
        for step, reached in STEPS.items():
            # A process can get further than the step before it dies: what is done is no place to kill.
            if reached(self.rotating):
                continue
            code = self.kill_when(reached)
            if step == LAST_STEP and not self.rotating.left_over():
                # The moment between the last two writes went by unseen, whether the process came to say so or
                # not: everything is done, and another start would be another change.
                return exits, 0
            exits[step] = code
        return exits, self.start().wait()


@dataclass(frozen=True)
class Crashed:
    """What was seen.

    Attributes:
        exits: Exit codes by the step after which the process was killed.
        last: Exit code of the one that came to its end.
        requests: What was asked of the API server by the pipeline's account.
    """

    exits: Mapping[str, int]
    last: int
    probed: ProbeResult
    requests: tuple[AuditedRequest, ...]
    folder: Path


def crash_through(rotating: RotatingCluster, services: PrefectServices, folder: Path) -> Crashed:
    """Kill after every step, while the webhooks are called more than 20 times a second.

    Args:
        rotating: Its authority `CRASH_CA` is there already.
        services: The Prefect server of the processes.
        folder: Their home and temporary folder, and their output.
    """
    crashing = Crashing(rotating, services, folder)
    control_plane = rotating.cluster.control_plane
    offset = control_plane.audit_log.stat().st_size
    with mesh_prober(control_plane) as prober:
        exits, last = crashing.kill_after_every_step()
    requests = [one for one in control_plane.audited_requests(offset) if one.user == FLEET_ACCOUNT]
    return Crashed(exits, last, prober.result, tuple(requests), folder)
