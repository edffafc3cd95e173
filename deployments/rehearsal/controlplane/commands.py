"""The command lines of a control plane's programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deployments.rehearsal.controlplane.addresses import Addresses
from deployments.rehearsal.controlplane.credentials import CredentialFiles, User
from deployments.rehearsal.processes import Command
from deployments.rehearsal.programs import Programs

NODE_NAME = "node-0"
"""The only node of a control plane."""


class Part(StrEnum):
    """The programs of a control plane, in the order of starting."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLER_MANAGER = "kube-controller-manager"
    SCHEDULER = "kube-scheduler"
    KWOK = "kwok"


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one control plane, all on its own address.

    Attributes:
        etcd: etcd's clients.
        etcd_peer: etcd's peers; there are none, but it insists on listening.
        controller_manager: The controller manager's health.
        scheduler: The scheduler's health.
        kubelet: Reserved for the kubelet stand-in; the Node object names it.
        api_servers: One per API server.
    """

    etcd: int
    etcd_peer: int
    controller_manager: int
    scheduler: int
    kubelet: int
    api_servers: tuple[int, ...]


@dataclass(frozen=True)
class CommandLines:
    """Builds the commands of one control plane.

    Attributes:
        programs: Where the built programs are.
        folder: The control plane's folder; logs and data go there.
        addresses: Where it listens.
        ports: Its ports.
        files: Its credentials.
        extra_flags: More flags per program, appended last.
    """

    programs: Programs
    folder: Path
    addresses: Addresses
    ports: Ports
    files: CredentialFiles
    extra_flags: Mapping[Part, Sequence[str]]

    def etcd(self) -> Command:
        """One etcd member that never waits for the disk; what it loses in a power cut is a rehearsal."""
        clients = f"http://{self.addresses.host}:{self.ports.etcd}"
        peers = f"http://{self.addresses.host}:{self.ports.etcd_peer}"
        return self._command(
            Part.ETCD,
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={clients}",
            f"--advertise-client-urls={clients}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",
            # A member without peers wins its election when this time is over, so it may be short.
            "--heartbeat-interval=20",
            "--election-timeout=200",
            "--log-level=warn",
        )

    def api_server(self, index: int) -> Command:
        """The API server number `index`; all of them share etcd, the credentials and the audit policy."""
        files = self.files
        suffix = f"-{index}" if index else ""
        return self._command(
            Part.API_SERVER,
            f"--etcd-servers=http://{self.addresses.host}:{self.ports.etcd}",
            f"--bind-address={self.addresses.host}",
            f"--secure-port={self.ports.api_servers[index]}",
            "--external-hostname=localhost",
            # An Endpoints object must not hold a loopback address, and every address of ours is one.
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={self.addresses.service_range}",
            "--authorization-mode=RBAC",
            "--allow-privileged",
            f"--token-auth-file={files.tokens_file}",
            f"--tls-cert-file={files.certificate('server')}",
            f"--tls-private-key-file={files.key('server')}",
            f"--client-ca-file={files.certificate('ca')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={files.key('service-account')}",
            f"--service-account-key-file={files.folder / 'service-account.pub'}",
            *self._aggregation_flags(),
            f"--kubelet-certificate-authority={files.certificate('ca')}",
            f"--kubelet-client-certificate={files.certificate('kubelet-client')}",
            f"--kubelet-client-key={files.key('kubelet-client')}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--audit-policy-file={self.folder / 'audit-policy.yaml'}",
            f"--audit-log-path={self.folder / f'audit{suffix}.log'}",
            "--audit-log-maxsize=0",
            suffix=suffix,
        )

    def controller_manager(self) -> Command:
        """The controllers; each with its own ServiceAccount, as kubeadm starts them."""
        files = self.files
        return self._command(
            Part.CONTROLLER_MANAGER,
            f"--kubeconfig={files.kubeconfig(User.CONTROLLER_MANAGER)}",
            "--use-service-account-credentials",
            "--leader-elect=false",
            # With the default of 20 requests per second the controllers start five seconds later.
            "--kube-api-qps=300",
            "--kube-api-burst=600",
            f"--service-account-private-key-file={files.key('service-account')}",
            f"--root-ca-file={files.certificate('ca')}",
            f"--cluster-signing-cert-file={files.certificate('ca')}",
            f"--cluster-signing-key-file={files.key('ca')}",
            *self._serving_flags(self.ports.controller_manager),
        )

    def scheduler(self) -> Command:
        """The scheduler."""
        return self._command(
            Part.SCHEDULER,
            f"--kubeconfig={self.files.kubeconfig(User.SCHEDULER)}",
            "--leader-elect=false",
            *self._serving_flags(self.ports.scheduler),
        )

    def kwok(self) -> Command:
        """KWOK for the node's heartbeat and lease and nothing else.

        It gets the node's stages and none for pods, so that every pod's status belongs to the kubelet
        stand-in: pods come from Deployments of OLM and of bundles, and carry no mark by which KWOK could
        leave them alone.
        """
        return self._command(
            Part.KWOK,
            f"--kubeconfig={self.files.kubeconfig(User.NODE)}",
            f"--manage-single-node={NODE_NAME}",
            f"--node-ip={self.addresses.host}",
            f"--node-port={self.ports.kubelet}",
            # Without it KWOK would listen on every address of the machine.
            f"--server-address={self.addresses.host}:{self.ports.kubelet}",
            "--node-lease-duration-seconds=40",
            *(f"--config={stage}" for stage in self.programs.files("kwok-stages")),
        )

    def _aggregation_flags(self) -> tuple[str, ...]:
        files = self.files
        return (
            f"--requestheader-client-ca-file={files.certificate('front-proxy-ca')}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={files.certificate('front-proxy-client')}",
            f"--proxy-client-key-file={files.key('front-proxy-client')}",
        )

    def _serving_flags(self, port: int) -> tuple[str, ...]:
        return (
            f"--bind-address={self.addresses.host}",
            f"--secure-port={port}",
            f"--tls-cert-file={self.files.certificate('server')}",
            f"--tls-private-key-file={self.files.key('server')}",
        )

    def _command(self, part: Part, *flags: str, suffix: str = "") -> Command:
        arguments = (str(self.programs.path(part)), *flags, *self.extra_flags.get(part, ()))
        log = self.folder / f"{part}{suffix}.log"
        return Command(f"{part}{suffix}", arguments, self.folder, log)
