"""The status of pods and containers as a kubelet reports it (Kubernetes API reference, PodStatus); no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from tasks.core.manifests import Manifest


class WaitingReason(StrEnum):
    """Why a container does not run."""

    CONTAINER_CREATING = "ContainerCreating"
    CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"
    CREATE_CONTAINER_ERROR = "CreateContainerError"
    ERR_IMAGE_PULL = "ErrImagePull"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    CRASH_LOOP_BACK_OFF = "CrashLoopBackOff"


@dataclass(frozen=True)
class Waiting:
    """The container does not run yet, or not at the moment."""

    reason: WaitingReason = WaitingReason.CONTAINER_CREATING
    message: str = ""

    def to_json(self) -> Manifest:
        """As ContainerState."""
        message = {"message": self.message} if self.message else {}
        return {"waiting": {"reason": self.reason.value, **message}}


@dataclass(frozen=True)
class Running:
    """The container runs."""

    started_at: datetime

    def to_json(self) -> Manifest:
        """As ContainerState."""
        return {"running": {"startedAt": timestamp(self.started_at)}}


@dataclass(frozen=True)
class Terminated:
    """The container has ended; `message` is the end of its log when it failed."""

    exit_code: int
    started_at: datetime
    finished_at: datetime
    message: str = ""

    def to_json(self) -> Manifest:
        """As ContainerState."""
        message = {"message": self.message} if self.message else {}
        details = {
            "exitCode": self.exit_code,
            "reason": "Completed" if self.exit_code == 0 else "Error",
            "startedAt": timestamp(self.started_at),
            "finishedAt": timestamp(self.finished_at),
            **message,
        }
        return {"terminated": details}


ContainerState = Waiting | Running | Terminated


@dataclass(frozen=True)
class ContainerReport:
    """What is known about one container.

    Attributes:
        name: Its name.
        image: Its image.
        state: Its state.
        last: How it ended the last time; None when it never did.
        ready: Whether its readiness probe succeeds.
        restarts: How often it was started again.
    """

    name: str
    image: str
    state: ContainerState
    last: Terminated | None = None
    ready: bool = False
    restarts: int = 0

    def to_json(self, pod_uid: str) -> Manifest:
        """As ContainerStatus."""
        started = not isinstance(self.state, Waiting)
        container_id = f"rehearsal://{pod_uid}/{self.name}/{self.restarts}" if started else ""
        return {
            "name": self.name,
            "image": self.image,
            "imageID": self.image if started else "",
            "containerID": container_id,
            "state": self.state.to_json(),
            "lastState": self.last.to_json() if self.last else {},
            "ready": self.ready,
            "started": isinstance(self.state, Running),
            "restartCount": self.restarts,
        }


@dataclass(frozen=True)
class PodReport:
    """What is known about one pod.

    Attributes:
        started_at: When the node took it over.
        host_ip: The node's address.
        containers: Its containers, in the order of the spec.
        init_containers: Its init containers.
        pod_ip: Its address; empty before its volumes are there.
        restarts_always: Whether a container that ends is always started again.
        conditions_before: What was reported before, by type.
    """

    started_at: datetime
    host_ip: str
    containers: Sequence[ContainerReport]
    init_containers: Sequence[ContainerReport] = ()
    pod_ip: str = ""
    restarts_always: bool = True
    conditions_before: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        """Whether all containers are ready."""
        return all(each.ready for each in self.containers)

    def to_json(self, pod_uid: str, now: datetime) -> Manifest:
        """As PodStatus; conditions that did not change keep their time."""
        address = {"podIP": self.pod_ip, "podIPs": [{"ip": self.pod_ip}]} if self.pod_ip else {}
        conditions = {
            "PodReadyToStartContainers": bool(self.pod_ip),
            "Initialized": bool(self.pod_ip),
            "ContainersReady": self.ready,
            "Ready": self.ready,
        }
        return {
            "phase": self._phase(),
            "startTime": timestamp(self.started_at),
            "hostIP": self.host_ip,
            "hostIPs": [{"ip": self.host_ip}],
            **address,
            "conditions": [
                *self._untouched(conditions),
                *(self._condition(kind, holds=holds, now=now) for kind, holds in conditions.items()),
            ],
            "initContainerStatuses": [each.to_json(pod_uid) for each in self.init_containers],
            "containerStatuses": [each.to_json(pod_uid) for each in self.containers],
        }

    def _phase(self) -> str:
        states = [each.state for each in self.containers]
        ended = [state for state in states if isinstance(state, Terminated)]
        if not self.restarts_always and len(ended) == len(states):
            return "Succeeded" if all(state.exit_code == 0 for state in ended) else "Failed"
        # A container that ran before and waits for its next start counts as running.
        started = [each for each in self.containers if each.last or not isinstance(each.state, Waiting)]
        return "Running" if len(started) == len(states) else "Pending"

    def _untouched(self, conditions: Mapping[str, bool]) -> list[Manifest]:
        return [each for kind, each in self.conditions_before.items() if kind not in conditions]

    def _condition(self, kind: str, *, holds: bool, now: datetime) -> Manifest:
        value = "True" if holds else "False"
        before = self.conditions_before.get(kind)
        if before and before["status"] == value:
            return before
        reason: dict[str, Any] = {}
        if not holds and kind in ("Ready", "ContainersReady"):
            unready = " ".join(each.name for each in self.containers if not each.ready)
            reason = {
                "reason": "ContainersNotReady",
                "message": f"containers with unready status: [{unready}]",
            }
        return {"type": kind, "status": value, "lastTransitionTime": timestamp(now), **reason}


def timestamp(moment: datetime) -> str:
    """A moment in UTC as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
