"""A real Kubernetes control plane without containers: etcd, API server, controllers, scheduler and one node.

Run `python -m deployments.rehearsal.control_plane --number 0 --folder DIR` to have one until Ctrl-C.
"""

import argparse
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from kubernetes import client as sdk

from deployments.rehearsal.controlplane.addresses import Addresses, NumberClaim, claim_number
from deployments.rehearsal.controlplane.audit import POLICY, AuditedRequest, read_audit_log
from deployments.rehearsal.controlplane.commands import NODE_NAME, CommandLines, Part, Ports
from deployments.rehearsal.controlplane.credentials import (
    CONTEXT,
    CredentialFiles,
    User,
    write_credentials,
)
from deployments.rehearsal.controlplane.readiness import (
    HealthEndpoints,
    SignOfLife,
    node_is_ready,
    pods_can_be_created,
)
from deployments.rehearsal.processes import Command, ProcessGroup, RunningProcess
from deployments.rehearsal.programs import OlmVersion, Programs, ensure_programs
from tasks.clients.cluster import ClusterClient
from tasks.core.deadlines import Deadline
from tasks.core.errors import FleetError, InputError
from tasks.core.manifests import Manifest

__all__ = ["CONTEXT", "ControlPlane", "ControlPlaneSettings", "Part", "start_control_plane"]


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


class ControlPlane:
    """A running control plane. Get one from `start_control_plane`.

    A context manager: leaving it stops every program.
    """

    def __init__(self, claim: NumberClaim, lines: CommandLines, group: ProcessGroup) -> None:
        self._claim = claim
        self._lines = lines
        self._group = group
        self._processes: dict[str, RunningProcess] = {}
        self._signs: dict[str, SignOfLife] = {}
        self._health = HealthEndpoints(self.ca_file)

    @property
    def number(self) -> int:
        """The number that no other control plane on the machine has."""
        return self._claim.number

    @property
    def folder(self) -> Path:
        """Where its logs, data and credentials are."""
        return self._lines.folder

    @property
    def host(self) -> str:
        """The loopback address that all of its programs listen on."""
        return self._lines.addresses.host

    @property
    def servers(self) -> tuple[str, ...]:
        """The URL of each API server."""
        return tuple(f"https://{self.host}:{port}" for port in self._lines.ports.api_servers)

    @property
    def server(self) -> str:
        """The URL of the first API server, which every kubeconfig names."""
        return self.servers[0]

    @property
    def service_range(self) -> str:
        """The range of the ClusterIPs, all of them loopback addresses."""
        return self._lines.addresses.service_range

    @property
    def kubelet_port(self) -> int:
        """The port on `host` that the Node object names as its kubelet's; nothing of ours listens there."""
        return self._lines.ports.kubelet

    @property
    def credentials(self) -> CredentialFiles:
        """Keys, certificates, tokens and kubeconfigs."""
        return self._lines.files

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig, context `rehearsal`."""
        return self.credentials.kubeconfig(User.ADMIN)

    @property
    def token(self) -> str:
        """The administrator's bearer token. A secret."""
        return self.credentials.tokens[User.ADMIN]

    @property
    def ca_file(self) -> Path:
        """The CA that signed the API server's certificate."""
        return self.credentials.certificate("ca")

    @property
    def audit_log(self) -> Path:
        """The audit log of the first API server: one JSON object per line."""
        return self.folder / "audit.log"

    @property
    def pids(self) -> Mapping[str, int]:
        """The process id of each program that runs."""
        running = {name: each for name, each in self._processes.items() if each.exit_code() is None}
        return {name: process.pid for name, process in running.items()}

    def audited_requests(self, offset: int = 0) -> list[AuditedRequest]:
        """What was asked of the first API server since the audit log had `offset` bytes."""
        return list(read_audit_log(self.audit_log, offset))

    def client(self, user: User = User.ADMIN, index: int = 0) -> ClusterClient:
        """A client of the API server number `index`."""
        configuration = sdk.Configuration(host=self.servers[index])
        configuration.ssl_ca_cert = str(self.ca_file)
        configuration.api_key = {"authorization": f"Bearer {self.credentials.tokens[user]}"}
        return ClusterClient(f"rehearsal-{self.number}", sdk.ApiClient(configuration))

    def restart(self, program: str) -> None:
        """Stop a program and start it again; see `stop_program` and `start_program`."""
        self.stop_program(program)
        self.start_program(program)

    def stop_program(self, program: str, grace: timedelta = timedelta(seconds=1)) -> None:
        """Stop one program and leave the others running.

        Args:
            program: A key of `pids`, such as `Part.API_SERVER`.
            grace: After this it gets SIGKILL. Short, because etcd and the API server wait for their clients,
                which do not go away; nothing is lost, because the data is in the kernel's hands.

        Raises:
            InputError: There is no such program.
        """
        self._group.stop_one(self._process(program), grace)

    def start_program(self, program: str, within: timedelta = timedelta(minutes=3)) -> None:
        """Start a stopped program again with the same command and wait until it is ready.

        Raises:
            InputError: There is no such program.
            ProgramError: It does not come up again within that time.
        """
        command = self._process(program).command
        self._processes[program] = self._group.start(command)
        self._wait_for(program, Deadline.after(within, time.monotonic))

    def _process(self, program: str) -> RunningProcess:
        if program not in self._processes:
            known = ", ".join(self._processes)
            raise InputError("find a program", expected=f"one of {known}", found=program)
        return self._processes[program]

    def stop(self) -> None:
        """Stop every program and give the number back. A second call does nothing."""
        self._group.stop()
        self._health.close()
        self._claim.release()

    def __enter__(self) -> Self:
        """Nothing to do: it runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every program."""
        self.stop()

    def _start(self, deadline: Deadline) -> None:
        """Start everything; what does not need each other starts together."""
        lines, ports = self._lines, self._lines.ports
        self._start_together(
            deadline, {lines.etcd(): self._healthy(f"http://{self.host}:{ports.etcd}/health")}
        )
        api_servers = {
            lines.api_server(index): self._healthy(f"{server}/readyz")
            for index, server in enumerate(self.servers)
        }
        self._start_together(deadline, api_servers)
        client = self.client()
        client.create(_node(self.host))
        controllers = self._healthy(f"https://{self.host}:{ports.controller_manager}/healthz")
        rest = {
            lines.controller_manager(): controllers.and_also(pods_can_be_created(client)),
            lines.scheduler(): self._healthy(f"https://{self.host}:{ports.scheduler}/healthz"),
            lines.kwok(): node_is_ready(client),
        }
        self._start_together(deadline, rest)

    def _start_together(self, deadline: Deadline, commands: Mapping[Command, SignOfLife]) -> None:
        for command, sign in commands.items():
            self._processes[command.name] = self._group.start(command)
            self._signs[command.name] = sign
        for command in commands:
            self._wait_for(command.name, deadline)

    def _wait_for(self, program: str, deadline: Deadline) -> None:
        self._signs[program].wait(self._processes[program], self._group, deadline)

    def _healthy(self, url: str) -> SignOfLife:
        return SignOfLife(f"an answer from {url}", self._health.answers(url))


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
        control_plane._start(Deadline.after(chosen.start_within, time.monotonic))  # noqa: SLF001 - its other half
    except BaseException:
        control_plane.stop()
        raise
    return control_plane


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
    etcd, etcd_peer, controllers, scheduler, kubelet, *api = addresses.free_ports(5 + settings.api_servers)
    ports = Ports(etcd, etcd_peer, controllers, scheduler, kubelet, api_servers=tuple(api))
    server = f"https://{addresses.host}:{api[0]}"
    files = write_credentials(folder, addresses, server, datetime.now(UTC))
    return CommandLines(programs, folder, addresses, ports, files, settings.extra_flags)


def _node(host: str) -> Manifest:
    """A roomy node; the kubelet stand-in and KWOK keep its status."""
    size = {"cpu": "32", "memory": "256Gi", "pods": "250"}
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/hostname": NODE_NAME}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE_NAME, "labels": labels},
        "status": {
            "allocatable": size,
            "capacity": size,
            "addresses": [
                {"type": "InternalIP", "address": host},
                {"type": "Hostname", "address": NODE_NAME},
            ],
        },
    }


def main() -> None:
    """Run one control plane until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--number", type=int, default=0, help="0 to 188, unique on the machine")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder for data and logs")
    parser.add_argument("--olm", type=OlmVersion, default=OlmVersion.V0_46_0, choices=list(OlmVersion))
    arguments = parser.parse_args()
    started = time.monotonic()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        programs = ensure_programs(arguments.olm, _say)
        with start_control_plane(programs, arguments.folder, arguments.number) as control_plane:
            _say(f"ready after {time.monotonic() - started:.1f} s: {control_plane.kubeconfig}")
            signal.sigwait(signals)
    except FleetError as error:
        sys.exit(str(error))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
