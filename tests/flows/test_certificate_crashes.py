"""A change of CA is killed (SIGKILL) after every one of its steps and started again (R12–R21).

Each start goes on from what the killed one left. The webhooks are called more than 20 times a second all the
time, and afterwards the keys are looked for in everything that the killed processes could have written.
"""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prober import ProbeResult
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.rotating import mesh_prober
from tasks.core.certificates.reading import read_certificates
from tests.support.canaries import files_under, find_in, forms_of
from tests.support.certificates import certificate_in, requests_of
from tests.support.rotations import (
    FLEET_ACCOUNT,
    LOST_SERVICE,
    NAMESPACE,
    PREVIOUS,
    STAGING,
    RotatingCluster,
)

pytestmark = [pytest.mark.cluster, pytest.mark.long]

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
    "switched": lambda one: one.leaf().issuer == "CN=Rehearsal crash-ca",
    "trust narrowed": lambda one: one.cas_trusted() == 1 and one.leaf().issuer == "CN=Rehearsal crash-ca",
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
                [*command, "--cluster", self.rotating.cluster.name, "--authority", "crash-ca"],
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


@pytest.fixture(scope="module")
def authority(rotating: RotatingCluster) -> bytes:
    return rotating.authority("crash-ca")


@pytest.fixture(scope="module")
def crashed(
    rotating: RotatingCluster,
    authority: bytes,
    prefect_services: PrefectServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Crashed:
    crashing = Crashing(rotating, prefect_services, tmp_path_factory.mktemp("crashing"))
    control_plane = rotating.cluster.control_plane
    offset = control_plane.audit_log.stat().st_size
    with mesh_prober(control_plane) as prober:
        exits, last = crashing.kill_after_every_step()
    requests = [one for one in control_plane.audited_requests(offset) if one.user == FLEET_ACCOUNT]
    return Crashed(exits, last, prober.result, tuple(requests), crashing.folder)


def test_every_process_was_killed_before_it_could_say_that_it_is_done(crashed: Crashed) -> None:
    assert set(crashed.exits.values()) == {-9}
    assert len(crashed.exits) >= 6


def test_the_last_process_ends_where_an_undisturbed_one_does(
    rotating: RotatingCluster, authority: bytes, crashed: Crashed
) -> None:
    served = rotating.served()

    assert crashed.last == 0
    assert served.trust == authority
    assert served.bundles == {authority}
    assert served.endpoints == {served.secret}
    assert rotating.left_over() == []


def test_the_person_was_asked_about_one_request_and_that_one_is_served(
    rotating: RotatingCluster, crashed: Crashed
) -> None:
    created = [
        one
        for one in crashed.requests
        if (one.verb, one.resource) == ("create", "certificatesigningrequests") and one.status == 201
    ]
    (request,) = requests_of(rotating.client, NAMESPACE)

    assert len(created) == 1
    assert read_certificates(certificate_in(request))[0].sha256 == rotating.served().secret


def test_no_call_failed_while_processes_died(rotating: RotatingCluster, crashed: Crashed) -> None:
    assert crashed.probed.calls > 100
    if rotating.olm is OlmVersion.V0_20_0:
        assert set(crashed.probed.kinds) <= LOST_SERVICE
    else:
        assert crashed.probed.failed == ()


def test_no_private_key_is_anywhere_outside_the_cluster(
    rotating: RotatingCluster, crashed: Crashed, prefect_services: PrefectServices
) -> None:
    keys = {"the webhook's key": rotating.key(), "the CA's key": rotating.authority_key("crash-ca")}
    written = [*files_under(prefect_services.folder, crashed.folder), *rotating.texts()]

    found = {name: find_in(written, forms_of(key)) for name, key in keys.items()}

    assert found == {"the webhook's key": [], "the CA's key": []}
