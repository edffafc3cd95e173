"""What can be chosen about a node, and what a node gives to its pods."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from deployments.rehearsal.node.api import NodeApi
from deployments.rehearsal.node.proxy import ServiceProxy
from deployments.rehearsal.node.runnables import ProgramImages


@dataclass(frozen=True)
class BackOff:
    """How long a crashed program waits for its next start (a kubelet has 10 seconds and 5 minutes).

    Attributes:
        first: Before the second restart; the first one follows at once.
        longest: It doubles up to this.
    """

    first: timedelta = timedelta(seconds=10)
    longest: timedelta = timedelta(minutes=5)

    def before_restart(self, number: int) -> timedelta:
        """How long to wait before a restart, by its number from 1 on."""
        if number <= 1:
            return timedelta(0)
        # Far beyond the longest wait there is nothing to compute.
        return min(self.first * (1 << min(number - 2, 16)), self.longest)


def at_once() -> timedelta:
    """No delay."""
    return timedelta(0)


@dataclass(frozen=True)
class NodeSettings:
    """What can be chosen about a node.

    Attributes:
        refresh_delay: Asked at each change of a Secret or ConfigMap for the time until its files change; a
            kubelet needs up to two minutes.
        stop_grace: How long a program may take to end after SIGTERM, however long its pod allows.
        back_off: Between restarts of a crashing program.
    """

    refresh_delay: Callable[[], timedelta] = at_once
    stop_grace: timedelta = timedelta(seconds=2)
    back_off: BackOff = field(default_factory=BackOff)


@dataclass(frozen=True)
class PodHost:
    """What a pod needs of its node.

    Attributes:
        api: The API server.
        folder: Holds the folders of all pods.
        host_ip: The node's address.
        api_address: Where programs find the API server: host and port.
        images: The programs behind the images.
        settings: What was chosen.
        proxy: Connects pods with the rest of the cluster.
    """

    api: NodeApi
    folder: Path
    host_ip: str
    api_address: tuple[str, int]
    images: ProgramImages
    settings: NodeSettings
    proxy: ServiceProxy
