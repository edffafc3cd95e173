"""Worlds on which install-fleet has run, one per OLM version; tests share them and find them as they were."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from deployments.rehearsal.node.settings import NodeSettings
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import save_blocks
from deployments.rehearsal.world import ClusterSettings, World
from flows.install_fleet import install_fleet
from tasks.core.manifests import Manifest
from tests.support.certificates import requests_of
from tests.support.rotations import NAMESPACE, RotatingCluster

WorldReport = Callable[[str], None]
"""Told what happens while a world starts."""


@dataclass(frozen=True)
class Installed:
    """A world, and its webhook Secret as the installation left it."""

    world: World
    rotating: RotatingCluster
    secret: Manifest

    def put_back(self) -> None:
        """Undo what a module of tests did to the certificate; does nothing where all is as it was."""
        if requests_of(self.rotating.client, NAMESPACE):
            self.rotating.delete_requests()
        trust = {bundle.ca_bundle for bundle in self.rotating.bundles()}
        if self.rotating.secret()["data"] != self.secret["data"] or len(trust) > 1:
            self.rotating.put_back(self.secret)


@contextmanager
def installed_world_in(  # noqa: PLR0913 - the last two are for few
    folder: Path,
    olm: OlmVersion,
    prefix: str,
    report: WorldReport,
    *,
    node: NodeSettings | None = None,
    operator: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[World]:
    """A world with one cluster on which install-fleet has run.

    Args:
        folder: Where the world keeps its files.
        olm: The OLM that is installed.
        prefix: What the names of its blocks begin with.
        report: Told what happens.
        node: What is chosen about its node.
        operator: Fields of the parameter `operator` that differ from the world's.
    """
    world = World(folder, olm, 1, report, prefix)
    world.settings = ClusterSettings(node=node or NodeSettings())
    with world:
        save_blocks(world)
        parameters = world.parameters()
        install_fleet(**{**parameters, "operator": {**parameters["operator"], **operator}})
        yield world


class InstalledWorlds:
    """Starts them when first asked for, and keeps them until the end of the test run."""

    def __init__(self, folder: Callable[[str], Path], report: WorldReport) -> None:
        self._folder = folder
        self._report = report
        self._running = ExitStack()
        self._worlds: dict[OlmVersion, Installed] = {}

    def get(self, olm: OlmVersion) -> World:
        """The world of that OLM version."""
        if olm not in self._worlds:
            self._worlds[olm] = self._start(olm)
        return self._worlds[olm].world

    def put_back(self) -> None:
        """See `Installed.put_back`, for all of them."""
        for installed in self._worlds.values():
            installed.put_back()

    def stop(self) -> None:
        """Stop all of them."""
        self._running.close()

    def _start(self, olm: OlmVersion) -> Installed:
        folder = self._folder("installed")
        starting = installed_world_in(folder, olm, f"installed-{olm.value.replace('.', '-')}", self._report)
        world = self._running.enter_context(starting)
        cluster = world.clusters[0]
        rotating = RotatingCluster(cluster, cluster.control_plane.client(), olm, folder)
        return Installed(world, rotating, rotating.secret())
