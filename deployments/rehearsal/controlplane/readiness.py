"""Signs of life of a control plane: what has to answer before it counts as started."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from deployments.rehearsal.controlplane.commands import NODE_NAME
from deployments.rehearsal.processes import ProcessGroup, ProgramError, RunningProcess
from tasks.clients.cluster import ClusterClient
from tasks.core.deadlines import Deadline
from tasks.core.errors import ClusterError
from tasks.core.manifests import ObjectRef

Probe = Callable[[], bool]

_PAUSE = 0.03  # seconds between two looks; a start takes about three seconds in all
_REQUEST_TIMEOUT = 5.0


class HealthEndpoints:
    """Asks the health endpoints of a control plane's programs.

    Args:
        authority: The file with the CA that signed their server certificates.
    """

    def __init__(self, authority: Path) -> None:
        self._client = httpx.Client(
            verify=ssl.create_default_context(cafile=str(authority)),
            timeout=_REQUEST_TIMEOUT,
            # A proxy of the environment must not come between us and loopback.
            trust_env=False,
        )

    def answers(self, url: str) -> Probe:
        """A probe that is true once the URL answers 200."""
        return lambda: self._status(url) == httpx.codes.OK

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _status(self, url: str) -> int:
        try:
            return self._client.get(url).status_code
        except httpx.TransportError:
            return 0


@dataclass(frozen=True)
class SignOfLife:
    """What shows that a program is ready.

    Attributes:
        what: The sign, for the message when it does not come.
        probe: Whether it is there; never raises.
    """

    what: str
    probe: Probe

    def and_also(self, other: "SignOfLife") -> "SignOfLife":
        """Both signs."""
        return SignOfLife(f"{self.what} and {other.what}", lambda: self.probe() and other.probe())

    def wait(self, process: RunningProcess, group: ProcessGroup, deadline: Deadline) -> None:
        """Wait until `process` shows it.

        Raises:
            ProgramError: A program of the group ended meanwhile, or the deadline passed.
        """
        while not self.probe():
            group.raise_if_any_ended()
            if deadline.expired:
                raise ProgramError(
                    f"start {process.name}",
                    expected=self.what,
                    found=f"none in time. Last lines of {process.command.log}:\n{process.log_tail()}\n",
                )
            time.sleep(_PAUSE)


def node_is_ready(client: ClusterClient) -> SignOfLife:
    """KWOK has made the node Ready."""

    def probe() -> bool:
        node = client.get(ObjectRef("v1", "Node", NODE_NAME)) or {}
        conditions = node.get("status", {}).get("conditions", [])
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

    return SignOfLife(f"{NODE_NAME} Ready", _false_when_unavailable(probe))


def pods_can_be_created(client: ClusterClient) -> SignOfLife:
    """The controllers have made the ServiceAccount without which no pod is admitted."""
    account = ObjectRef("v1", "ServiceAccount", "default", namespace="default")
    probe = _false_when_unavailable(lambda: client.get(account) is not None)
    return SignOfLife(f"{account}", probe)


def _false_when_unavailable(probe: Probe) -> Probe:
    def careful() -> bool:
        try:
            return probe()
        except ClusterError:
            return False

    return careful
