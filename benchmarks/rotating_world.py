"""What rotations are measured on: two API servers on one etcd, and a kubelet that takes its time."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.control_plane import ControlPlaneSettings
from deployments.rehearsal.node.settings import NodeSettings
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import prefect_environment, save_blocks
from deployments.rehearsal.world import ClusterSettings, RehearsalCluster, World
from flows.install_fleet import install_fleet

API_SERVERS = 2
_GRACE = timedelta(seconds=10)
"""For the end of a pod, as its terminationGracePeriodSeconds asks for; a busy machine needs it."""


@dataclass
class KubeletDelay:
    """The time between a change of a Secret and the change of its files in a pod; it can be changed."""

    current: timedelta = timedelta(0)

    def __call__(self) -> timedelta:
        """The delay of the change that was seen now."""
        return self.current


@contextmanager
def prefect_server(folder: Path) -> Iterator[SyncPrefectClient]:
    """A Prefect server on SQLite that the flows of this process report to."""
    with PrefectServices(folder / "prefect") as services:
        services.start_server()
        with prefect_environment(services) as client:
            logging.disable(logging.WARNING)
            yield client


@contextmanager
def installed_cluster(
    olm: OlmVersion,
    delay: KubeletDelay,
    report: Callable[[str], None],
    operator: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[RehearsalCluster]:
    """A cluster after install-fleet, with the certificate that OLM made; inside `prefect_server`.

    Args:
        olm: The release of OLM.
        delay: Of its kubelet.
        report: Told about the progress.
        operator: What install-fleet is to take instead of the rehearsal's bundle, as its `operator` says it.
    """
    prefix = f"bench-{olm.value.replace('.', '-')}"
    with tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as folder:
        world = World(Path(folder), olm, 1, report, prefix)
        world.settings = ClusterSettings(
            ControlPlaneSettings(api_servers=API_SERVERS),
            NodeSettings(refresh_delay=delay, stop_grace=_GRACE),
        )
        with world:
            save_blocks(world)
            parameters = world.parameters()
            install_fleet(**{**parameters, "operator": {**parameters["operator"], **operator}})
            yield world.clusters[0]
