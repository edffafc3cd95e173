"""A control plane that runs: where it is, what it is asked, and which of its programs are up."""

import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from kubernetes import client as sdk

from deployments.rehearsal.controlplane.addresses import NumberClaim
from deployments.rehearsal.controlplane.audit import AuditedRequest, read_audit_log
from deployments.rehearsal.controlplane.commands import NODE_NAME, CommandLines
from deployments.rehearsal.controlplane.credentials import CredentialFiles, User
from deployments.rehearsal.controlplane.readiness import (
    HealthEndpoints,
    SignOfLife,
    node_is_ready,
    pods_can_be_created,
)
from deployments.rehearsal.processes import Command, ProcessGroup, RunningProcess
from tasks.clients.cluster import ClusterClient
from tasks.core.deadlines import Deadline
from tasks.core.errors import InputError
from tasks.core.manifests import Manifest

_GRACE = timedelta(seconds=2)
"""How long a program may take to stop. Short: etcd and the API server wait for clients that do not go away,
and nothing is lost, because what etcd has written is in the hands of the kernel."""


class ControlPlane:
    """A running control plane. Get one from `control_plane.start_control_plane`.

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
        """The port on `host` that the Node object names as its kubelet's; only KWOK's own server is there."""
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

    def stop_program(self, program: str) -> None:
        """Stop one program and leave the others running.

        Args:
            program: A key of `pids`, such as `Part.API_SERVER`.

        Raises:
            InputError: There is no such program.
        """
        self._group.stop_one(self._process(program), _GRACE)

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
        self._group.stop(_GRACE)
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

    def bring_up(self, deadline: Deadline) -> None:
        """Start everything; what does not need each other starts together. Call it once.

        Raises:
            ProgramError: A program ended or did not become ready.
        """
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
