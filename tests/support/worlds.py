"""Fixtures for tests of tasks and flows: a Prefect server of our own, and worlds with clusters.

`prefect_server` is one server for the test run; flows that a test calls run in the test's own process and
report to it. `deployed` adds the deployments of prefect.yaml and a worker. `fresh_world` is a new cluster for
one test; `installed_world` is one cluster for the test run, per OLM version, on which install-fleet has run;
`untouched_world` is such a cluster for one module.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import prefect_environment, save_blocks
from deployments.rehearsal.world import World
from tests.support.installed import InstalledWorlds, installed_world_in
from tests.support.rotations import RotatingCluster, rotating_cluster

OLM_VERSIONS = [
    pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0"),
    pytest.param(OlmVersion.V0_20_0, id="olm-0.20.0", marks=pytest.mark.olm020),
]


class WorldStarter(Protocol):
    """Starts a world whose blocks are saved, for one test."""

    def __call__(self, olm: OlmVersion = OlmVersion.V0_46_0, clusters: int = 1) -> World:
        """Start it."""


@pytest.fixture(scope="session")
def prefect_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServices]:
    """A Prefect server on SQLite."""
    with PrefectServices(tmp_path_factory.mktemp("prefect")) as services:
        services.start_server()
        yield services


@pytest.fixture(scope="session")
def prefect_server(prefect_services: PrefectServices) -> Iterator[SyncPrefectClient]:
    """A client of that server; flows called in this process report to it."""
    with prefect_environment(prefect_services) as client:
        yield client


@pytest.fixture(scope="session")
def deployed(prefect_services: PrefectServices, prefect_server: SyncPrefectClient) -> SyncPrefectClient:
    """The same server with every deployment of prefect.yaml and a worker."""
    prefect_services.deploy()
    prefect_services.start_worker()
    return prefect_server


@pytest.fixture
def fresh_world(
    prefect_server: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory, report: Callable[[str], None]
) -> Iterator[WorldStarter]:
    """Starts worlds for one test; their blocks overwrite those of earlier ones."""
    with ExitStack() as started:

        def start(olm: OlmVersion = OlmVersion.V0_46_0, clusters: int = 1) -> World:
            world = World(tmp_path_factory.mktemp("world"), olm, clusters, report)
            started.enter_context(world)
            save_blocks(world)
            return world

        yield start


@pytest.fixture(scope="session")
def installed_worlds(
    prefect_server: SyncPrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
    report: Callable[[str], None],
) -> Iterator[InstalledWorlds]:
    """The worlds that `installed_world` gives."""
    worlds = InstalledWorlds(tmp_path_factory.mktemp, report)
    yield worlds
    worlds.stop()


@pytest.fixture(scope="module")
def found_as_left(installed_worlds: InstalledWorlds) -> Iterator[None]:
    """A module that changes the certificate of an installed world leaves none of that to the next."""
    yield
    installed_worlds.put_back()


@pytest.fixture(scope="module", params=OLM_VERSIONS)
def installed_world(
    request: pytest.FixtureRequest, installed_worlds: InstalledWorlds, found_as_left: None
) -> World:
    """A world per OLM version whose cluster went through install-fleet once. Leave it as you find it."""
    olm: OlmVersion = request.param
    return installed_worlds.get(olm)


@pytest.fixture(scope="module", params=OLM_VERSIONS)
def untouched_world(
    request: pytest.FixtureRequest,
    prefect_server: SyncPrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
    report: Callable[[str], None],
) -> Iterator[World]:
    """The same for one module alone: what is there is what install-fleet made, and nobody else's events."""
    olm: OlmVersion = request.param
    module = request.path.stem.removeprefix("test_").replace("_", "-")
    prefix = f"{module}-{olm.value.replace('.', '-')}"
    with installed_world_in(tmp_path_factory.mktemp(module), olm, prefix, report) as world:
        yield world


@pytest.fixture(scope="module")
def rotating(installed_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RotatingCluster]:
    """The cluster of an installed world, to change its certificate; nothing is requested there yet."""
    with rotating_cluster(installed_world, tmp_path_factory.mktemp("authorities")) as found:
        found.delete_requests()
        yield found
