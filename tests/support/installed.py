"""Worlds on which install-fleet has run, one per OLM version; tests share them and find them as they were."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import save_blocks
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.core.manifests import Manifest
from tests.support.certificates import requests_of
from tests.support.rotations import NAMESPACE, RotatingCluster


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
def installed_world_in(
    folder: Path, olm: OlmVersion, prefix: str, report: Callable[[str], None]
) -> Iterator[World]:
    """A world with one cluster on which install-fleet has run."""
    with World(folder, olm, 1, report, prefix) as world:
        save_blocks(world)
        install_fleet(**world.parameters())
        yield world


class InstalledWorlds:
    """Starts them when first asked for, and keeps them until the end of the test run."""

    def __init__(self, folder: Callable[[str], Path], report: Callable[[str], None]) -> None:
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
