"""The whole world of a rehearsal: the release server, and clusters with a node and production's accounts."""

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployments.rehearsal.accounts import BOOTSTRAP_CONTEXT, FLEET_CONTEXT, make_accounts
from deployments.rehearsal.control_plane import ControlPlane, ControlPlaneSettings, start_control_plane
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS, NumberTakenError
from deployments.rehearsal.images import Image
from deployments.rehearsal.managed import ManagedClusters
from deployments.rehearsal.node.node import Node
from deployments.rehearsal.node.settings import NodeSettings
from deployments.rehearsal.programs import OlmVersion, Programs, ensure_programs
from deployments.rehearsal.releases import ReleaseServer
from tasks.core.errors import PrerequisiteError

OPERATOR_COMMAND = (sys.executable, "-m", "deployments.rehearsal.operator")


@dataclass(frozen=True)
class RehearsalCluster:
    """One cluster of the world.

    Attributes:
        name: Its name, and that of its block.
        kubeconfig: With the contexts of the everyday and the bootstrap account.
        managed: The fields of its block when it is an OKE cluster of a tenancy.
    """

    name: str
    control_plane: ControlPlane
    node: Node
    kubeconfig: Path
    managed: Mapping[str, object] | None = None

    def block_fields(self) -> dict[str, object]:
        """The fields of its KubernetesCluster block."""
        if self.managed is not None:
            return dict(self.managed)
        return {
            "source": "FILE",
            "kubeconfig_file": str(self.kubeconfig),
            "context": FLEET_CONTEXT,
            "bootstrap_context": BOOTSTRAP_CONTEXT,
        }


@dataclass(frozen=True)
class ClusterSettings:
    """What can be chosen about the clusters of a world."""

    control_plane: ControlPlaneSettings = field(default_factory=ControlPlaneSettings)
    node: NodeSettings = field(default_factory=NodeSettings)


class World:
    """Release server and clusters. A context manager: entering starts everything, leaving stops it.

    Args:
        folder: Where everything keeps its files.
        olm: The OLM release whose programs the nodes run.
        clusters: How many clusters to start.
        report: Told what happens.
        prefix: What the names of clusters and blocks begin with, so that worlds can share a Prefect server.

    Attributes:
        settings: What else can be chosen; change it before entering.
        managed: Makes the clusters OKE clusters of a tenancy; set it before entering. None: they are not.
    """

    def __init__(
        self,
        folder: Path,
        olm: OlmVersion,
        clusters: int,
        report: Callable[[str], None],
        prefix: str = "rehearsal",
    ) -> None:
        self.folder = folder
        self.olm = olm
        self.releases = ReleaseServer()
        self.clusters: list[RehearsalCluster] = []
        self.prefix = prefix
        self.settings = ClusterSettings()
        self.managed: ManagedClusters | None = None
        self._wanted = clusters
        self._report = report
        self._started = ExitStack()

    def parameters(self) -> dict[str, Any]:
        """Parameters of install-fleet that point it at this world instead of at the public addresses."""
        crds, olm = (self.releases.olm_file(self.olm, name) for name in ("crds.yaml", "olm.yaml"))
        return {
            "clusters": [cluster.name for cluster in self.clusters],
            "olm": {
                "version": self.olm.value,
                "location": self.releases.olm_location,
                "crds_sha256": crds.sha256,
                "olm_sha256": olm.sha256,
            },
            "operator": {
                "bundle": self.releases.image(),
                "registry": self.prefix,
                "releases_url": self.releases.url,
                "catalog": {"opm_image": Image.OPM.value},
            },
        }

    def metrics_server_parameters(self) -> dict[str, Any]:
        """The parameter `metrics_server` that installs it from this world."""
        file = self.releases.metrics_server_file()
        return {
            "mode": "ENSURE",
            "location": self.releases.metrics_server_location,
            "sha256": file.sha256,
        }

    def registry_fields(self) -> dict[str, object]:
        """The fields of the ContainerRegistry block, which is named like the prefix."""
        return {"host": self.releases.registry, "plain_http": "loopback"}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._started.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._started.close()

    def _start(self) -> None:
        programs = ensure_programs(self.olm, self._report)
        self._started.enter_context(self.releases)
        for index in range(self._wanted):
            self.clusters.append(self._start_cluster(programs, f"{self.prefix}-{index}"))

    def _start_cluster(self, programs: Programs, name: str) -> RehearsalCluster:
        settings = self.settings.control_plane
        oke = self.managed.announce(name) if self.managed else None
        if self.managed and oke:
            settings = self.managed.settings(oke, self.folder / f"{name}-tokens.yaml", settings)
        control_plane = self._started.enter_context(start_anywhere(programs, self.folder / name, settings))
        kubeconfig = make_accounts(control_plane)
        managed: Mapping[str, object] | None = None
        if self.managed and oke:
            self.managed.grant(control_plane)
            self.managed.complete(oke, control_plane)
            managed = self.managed.block_fields(oke)
        node = self._started.enter_context(
            Node(control_plane, programs, OPERATOR_COMMAND, self.settings.node)
        )
        self._report(f"{name}: Kubernetes ready at {control_plane.server}")
        return RehearsalCluster(name, control_plane, node, kubeconfig, managed)


def start_anywhere(
    programs: Programs, folder: Path, settings: ControlPlaneSettings | None = None
) -> ControlPlane:
    """Start a control plane under the first number that is free on this machine.

    Raises:
        PrerequisiteError: Every number is taken.
    """
    for number in ALL_NUMBERS:
        try:
            return start_control_plane(programs, folder, number, settings)
        except NumberTakenError:
            continue
    raise PrerequisiteError("start a control plane", found=f"all {len(ALL_NUMBERS)} numbers taken")
