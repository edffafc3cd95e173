"""A thousand clusters in front of one: addresses, certificates, kubeconfigs and blocks."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit
from uuid import NAMESPACE_DNS, uuid5

import yaml
from cryptography.hazmat.primitives.serialization import Encoding
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import BlockDocumentCreate

from benchmarks.fleet_endpoints import Endpoint, EndpointSettings
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.accounts import FLEET_CONTEXT
from deployments.rehearsal.pki import Credential, Leaf, create_authority, issue, private_key_pem
from deployments.rehearsal.ports import free_ports

_PROJECT = Path(__file__).parents[1]
_ROW = 250
_SAVING = 8


class Health(StrEnum):
    """How an endpoint is."""

    ALIVE = "ALIVE"
    DEAD = "DEAD"
    """Nobody listens: connections are refused."""
    HANGING = "HANGING"
    """Connections are accepted, and nothing is ever answered."""


@dataclass(frozen=True)
class Member:
    """One cluster of the fleet.

    Attributes:
        kubeconfig: Its file.
    """

    name: str
    health: Health
    endpoint: Endpoint
    kubeconfig: Path

    @property
    def server(self) -> str:
        """Its URL."""
        return f"https://{self.endpoint.address}:{self.endpoint.port}"


@dataclass(frozen=True)
class Upstream:
    """The cluster behind all of them.

    Attributes:
        server: The API server's URL.
        authority: The CA file of its certificate.
        token: Of the everyday account. A secret.
        uid: Of its kube-system.
    """

    server: str
    authority: Path
    token: str
    uid: str


@dataclass(frozen=True)
class Fleet:
    """All of them.

    Attributes:
        authority: The CA file of the endpoints' certificates.
    """

    members: tuple[Member, ...]
    authority: Path

    def having(self, *healths: Health) -> tuple[Member, ...]:
        """Those that are so."""
        return tuple(one for one in self.members if one.health in healths)


def make_fleet(folder: Path, upstream: Upstream, count: int, unwell: int) -> Fleet:
    """Certificates and kubeconfigs; nothing listens yet.

    Args:
        folder: An empty folder.
        upstream: The cluster behind them.
        count: How many endpoints.
        unwell: How many of them are dead or hang, half of them each, spread evenly.
    """
    now = datetime.now(UTC)
    authority = create_authority("endpoints", now)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    step = count // unwell if unwell else count + 1
    members = []
    for number in range(count):
        health = Health.ALIVE
        if number % step == step - 1 and number // step < unwell:
            health = Health.DEAD if number // step % 2 else Health.HANGING
        members.append(_member(folder, upstream, number, health, authority))
    return Fleet(tuple(members), ca_file)


def _member(folder: Path, upstream: Upstream, number: int, health: Health, authority: Credential) -> Member:
    name, address = f"fleet-{number:04}", f"127.64.{number // _ROW}.{number % _ROW + 1}"
    [port] = free_ports(address, 1)
    certificate = folder / f"{name}.pem"
    if health is Health.ALIVE:
        leaf = issue(authority, Leaf(name, addresses=(address,)), datetime.now(UTC))
        pem = private_key_pem(leaf.key) + leaf.certificate.public_bytes(Encoding.PEM)
        certificate.touch(mode=0o600)
        certificate.write_bytes(pem)
    endpoint = Endpoint(
        address, port, str(uuid5(NAMESPACE_DNS, name)), str(certificate) if health is Health.ALIVE else ""
    )
    kubeconfig = folder / f"{name}.kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(_kubeconfig(endpoint, folder / "ca.pem", upstream.token))
    return Member(name, health, endpoint, kubeconfig)


def _kubeconfig(endpoint: Endpoint, authority: Path, token: str) -> str:
    server = f"https://{endpoint.address}:{endpoint.port}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "it", "cluster": {"server": server, "certificate-authority": str(authority)}}
            ],
            "users": [{"name": "us", "user": {"token": token}}],
            "contexts": [{"name": FLEET_CONTEXT, "context": {"cluster": "it", "user": "us"}}],
            "current-context": FLEET_CONTEXT,
        }
    )


class RunningEndpoints:
    """The process that is all of the endpoints."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def counts(self) -> dict[str, int]:
        """Connections, requests and bytes since this was asked before."""
        if self._process.stdin is None or self._process.stdout is None:
            raise LookupError("the process has no pipes")
        self._process.stdin.write("counts\n")
        self._process.stdin.flush()
        counted: dict[str, int] = json.loads(self._process.stdout.readline())
        return counted


@contextmanager
def serving(folder: Path, fleet: Fleet, upstream: Upstream, delay: float) -> Iterator[RunningEndpoints]:
    """Run the endpoints; the dead ones have nobody."""
    address = urlsplit(upstream.server)
    listening = tuple(one.endpoint for one in fleet.having(Health.ALIVE, Health.HANGING))
    settings = EndpointSettings(
        str(address.hostname), address.port or 443, str(upstream.authority), upstream.uid, delay, listening
    )
    settings.write(folder / "endpoints.json")
    command = [sys.executable, "-m", "benchmarks.fleet_endpoints", str(folder / "endpoints.json")]
    with (
        (folder / "endpoints.log").open("ab") as log,
        subprocess.Popen(  # noqa: S603 - our own arguments
            command, cwd=_PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise LookupError(f"the endpoints did not start: {(folder / 'endpoints.log').read_text()}")
            yield RunningEndpoints(process)
        finally:
            process.kill()


def save_members(client: SyncPrefectClient, members: Sequence[Member]) -> None:
    """One KubernetesCluster block for each, with the kubeconfig inside and the identity pinned."""
    first, *others = members
    _block(first).save(first.name, overwrite=True)
    saved = client.read_block_document_by_name(first.name, KubernetesCluster.get_block_type_slug())

    def create(member: Member) -> None:
        kubeconfig = member.kubeconfig.read_text()
        data = {**_block(member).model_dump(mode="json", exclude_unset=True), "kubeconfig": kubeconfig}
        wanted = BlockDocumentCreate(
            name=member.name,
            data=data,
            block_schema_id=saved.block_schema_id,
            block_type_id=saved.block_type_id,
        )
        client.create_block_document(wanted)

    with ThreadPoolExecutor(_SAVING) as threads:
        list(threads.map(create, others))


def _block(member: Member) -> KubernetesCluster:
    return KubernetesCluster.model_validate(
        {
            "source": "CONTENT",
            "kubeconfig": member.kubeconfig.read_text(),
            "context": FLEET_CONTEXT,
            "expected_uid": member.endpoint.uid,
        }
    )
