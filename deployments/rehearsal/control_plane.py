"""A real Kubernetes control plane without containers: etcd, API server, controllers, scheduler and one node.

Run `python -m deployments.rehearsal.control_plane --folder DIR` to have one until Ctrl-C.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deployments.rehearsal.controlplane.addresses import (
    ALL_NUMBERS,
    Addresses,
    NumberTakenError,
    claim_number,
)
from deployments.rehearsal.controlplane.audit import POLICY
from deployments.rehearsal.controlplane.commands import CommandLines, Part, Ports
from deployments.rehearsal.controlplane.credentials import CONTEXT, write_credentials
from deployments.rehearsal.controlplane.running import ControlPlane
from deployments.rehearsal.ports import free_ports
from deployments.rehearsal.processes import ProcessGroup
from deployments.rehearsal.programs import OlmVersion, Programs, ensure_programs
from tasks.core.deadlines import Deadline
from tasks.core.errors import FleetError, InputError

__all__ = [
    "CONTEXT",
    "ControlPlane",
    "ControlPlaneSettings",
    "Part",
    "start_control_plane",
    "start_first_free",
]


@dataclass(frozen=True)
class ControlPlaneSettings:
    """What can be chosen for a control plane.

    Attributes:
        start_within: How long the start may take before it counts as failed; generous, for busy machines.
        api_servers: How many API servers share the one etcd.
        extra_flags: More flags per program, appended to ours.
    """

    start_within: timedelta = timedelta(minutes=3)
    api_servers: int = 1
    extra_flags: Mapping[Part, Sequence[str]] = field(default_factory=dict)


def start_control_plane(
    programs: Programs, folder: Path, number: int, settings: ControlPlaneSettings | None = None
) -> ControlPlane:
    """Start a control plane and return when it is ready for pods.

    Args:
        programs: The built programs.
        folder: An empty folder, or one that does not exist yet, for data, logs and credentials.
        number: 0 to 188; chooses the Service range and the address, unique on the machine.
        settings: What else can be chosen.

    Raises:
        InputError: The number is out of range or the folder is not empty.
        NumberTakenError: Another control plane has that number.
        ProgramError: A program ended or did not become ready; the message has the end of its log. Nothing is
            left running.
    """
    chosen = settings or ControlPlaneSettings()
    addresses = Addresses(number)
    claim = claim_number(number)
    try:
        _prepare_folder(folder)
        lines = _command_lines(programs, folder.resolve(), addresses, chosen)
        group = ProcessGroup(secrets=tuple(lines.files.tokens.values()))
    except BaseException:
        claim.release()
        raise
    control_plane = ControlPlane(claim, lines, group)
    try:
        control_plane.bring_up(Deadline.after(chosen.start_within, time.monotonic))
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


def start_first_free(
    programs: Programs, folder: Path, numbers: Iterable[int], settings: ControlPlaneSettings | None = None
) -> ControlPlane:
    """Start a control plane with the first of `numbers` that nobody on the machine has.

    Raises:
        NumberTakenError: All of them are taken.
    """
    for number in numbers:
        with suppress(NumberTakenError):
            return start_control_plane(programs, folder, number, settings)
    raise NumberTakenError("start a control plane", expected="a free number", found="all of them taken")


def _prepare_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(
            "start a control plane", str(folder), expected="an empty folder", found="files in it"
        )
    (folder / "audit-policy.yaml").write_text(POLICY)


def _command_lines(
    programs: Programs, folder: Path, addresses: Addresses, settings: ControlPlaneSettings
) -> CommandLines:
    etcd, etcd_peer, controllers, scheduler, kubelet, *api = free_ports(
        addresses.host, 5 + settings.api_servers
    )
    ports = Ports(etcd, etcd_peer, controllers, scheduler, kubelet, api_servers=tuple(api))
    server = f"https://{addresses.host}:{api[0]}"
    files = write_credentials(folder, addresses, server, datetime.now(UTC))
    return CommandLines(programs, folder, addresses, ports, files, settings.extra_flags)


def main() -> None:
    """Run one control plane until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--number", type=int, help="0 to 188; default: the first free one")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for data and logs")
    parser.add_argument("--olm", type=OlmVersion, default=OlmVersion.V0_46_0, choices=list(OlmVersion))
    arguments = parser.parse_args()
    numbers = ALL_NUMBERS if arguments.number is None else [arguments.number]
    # Not a blocked signal and sigwait: the programs would inherit the mask and never see their SIGTERM.
    # And SIGINT, which a shell has those ignore that it starts in the background.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    try:
        programs = ensure_programs(arguments.olm, _say)
        started = time.monotonic()
        with start_first_free(programs, arguments.folder, numbers) as control_plane:
            _say(f"ready after {time.monotonic() - started:.1f} s: {control_plane.kubeconfig}")
            signal.pause()
    except KeyboardInterrupt:
        _say("stopped")
    except FleetError as error:
        sys.exit(str(error))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
