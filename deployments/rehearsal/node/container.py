"""One container of a pod: starts its program, watches it, starts it again, and says what is the matter."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deployments.rehearsal.node.environment import (
    ContainerConfigError,
    ReadObject,
    expand_all,
    resolve_environment,
)
from deployments.rehearsal.node.launching import Bind, Sandbox, SandboxSpec
from deployments.rehearsal.node.probes import Probe
from deployments.rehearsal.node.proxy import ServiceProxy
from deployments.rehearsal.node.runnables import ImageKind, ProgramImages, image_kind
from deployments.rehearsal.node.services import listening_ports
from deployments.rehearsal.node.settings import BackOff
from deployments.rehearsal.node.states import (
    ContainerReport,
    ContainerState,
    Running,
    Terminated,
    Waiting,
    WaitingReason,
)
from deployments.rehearsal.node.usage import Usage, process_usage
from deployments.rehearsal.node.volumes import PodVolumes
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest

NEVER = math.inf
"""Nothing to do until something else happens."""

_RETRY_SECONDS = 1.0
_EAGER_PROBE_SECONDS = 0.1
_MESSAGE_BYTES = 2048
_HEALTHY_AFTER = timedelta(minutes=10)  # as long a run forgets earlier crashes, as in a kubelet


@dataclass(frozen=True)
class ContainerHost:
    """What a container needs of its pod and of the node.

    Attributes:
        pod: The pod.
        address: The pod's IP.
        folder: The pod's folder.
        volumes: The pod's volumes; they are written.
        system_files: What the node puts into every sandbox.
        base_environment: The variables that every container has.
        images: The programs behind the images.
        read: Reads objects of the cluster.
        back_off: Between restarts.
        proxy: Connects its sandbox with the rest of the cluster.
        wake: Makes somebody call `step` soon.
        warn: Writes an event: reason and message.
    """

    pod: Manifest
    address: str
    folder: Path
    volumes: PodVolumes
    system_files: tuple[Bind, ...]
    base_environment: Mapping[str, str]
    images: ProgramImages
    read: ReadObject
    back_off: BackOff
    proxy: ServiceProxy
    wake: Callable[[], None]
    warn: Callable[[str, str], None]


class Container:
    """One container. `step` moves it on; `report` says where it is. Not for two threads at once."""

    def __init__(self, spec: Mapping[str, Any], host: ContainerHost) -> None:
        self.spec = spec
        self.sandbox: Sandbox | None = None
        self._host = host
        self._kind = image_kind(spec)
        self._probe = Probe.of(spec)
        self._log = host.folder / f"{spec['name']}.log"
        self._state: ContainerState = Waiting()
        self._last: Terminated | None = None
        self._ready = False
        self._restarts = 0
        self._crashes = 0
        self._start_at = 0.0
        self._log_start = 0
        self._previous_log_start = 0
        self._probe_at = 0.0
        self._probe_failures = 0

    def report(self) -> ContainerReport:
        """Where it is now."""
        name, image = self.spec["name"], self.spec["image"]
        return ContainerReport(name, image, self._state, self._last, self._ready, self._restarts)

    def log(self, *, previous: bool) -> bytes:
        """What its program has written, or what the run before this one wrote."""
        if not self._log.exists():
            return b""
        content = self._log.read_bytes()
        if previous:
            return content[self._previous_log_start : self._log_start] if self._restarts else b""
        return content[self._log_start :]

    def usage(self) -> tuple[datetime, Usage] | None:
        """Since when its program runs and what it used; None when it does not run."""
        if self.sandbox is None or not isinstance(self._state, Running):
            return None
        used = process_usage(self.sandbox.pid)
        return None if used is None else (self._state.started_at, used)

    def step(self) -> float:
        """Do what is due. Returns in how many seconds something is due again, at the latest.

        Raises:
            ClusterError: The API server gave no usable answer; call again later.
        """
        match self._kind:
            case ImageKind.UNPULLABLE:
                return self._fail_to_pull()
            case ImageKind.PAUSE:
                return self._pause()
            case ImageKind.PROGRAM:
                return self._run()

    def stop(self, grace: timedelta) -> None:
        """End the program."""
        self._ready = False
        if self.sandbox is not None:
            self.sandbox.stop(grace)
            self._host.proxy.detach(self.sandbox)
            self.sandbox = None

    def _fail_to_pull(self) -> float:
        image = self.spec["image"]
        if self._state == Waiting():
            cause = f'failed to resolve reference "{image}": {image}: not found'
            message = f'failed to pull and unpack image "{image}": {cause}'
            self._state = Waiting(WaitingReason.ERR_IMAGE_PULL, message)
            self._host.warn("Failed", f'Failed to pull image "{image}": {message}')
            return _RETRY_SECONDS
        message = f'Back-off pulling image "{image}"'
        self._state = Waiting(WaitingReason.IMAGE_PULL_BACK_OFF, message)
        self._host.warn("BackOff", message)
        return NEVER

    def _pause(self) -> float:
        if not isinstance(self._state, Running):
            if self._environment() is None:
                return _RETRY_SECONDS
            self._state = Running(_now())
            self._ready = True
        return NEVER

    def _run(self) -> float:
        if self.sandbox is not None and self.sandbox.exit_code() is not None:
            self._ended(self.sandbox.exit_code() or 0)
        if self.sandbox is not None:
            return self._look_after_readiness()
        if isinstance(self._state, Terminated):
            return NEVER
        wait = self._start_at - time.monotonic()
        return wait if wait > 0 else self._start()

    def _start(self) -> float:
        environment = self._environment()
        if environment is None:
            return _RETRY_SECONDS
        command = expand_all(self.spec.get("command") or (), environment)
        arguments = expand_all(self.spec.get("args") or (), environment)
        try:
            runnable = self._host.images.runnable(self.spec, command, arguments)
        except PrerequisiteError as error:
            self._state = Waiting(WaitingReason.CREATE_CONTAINER_ERROR, str(error))
            return NEVER
        root = self._host.folder / f"{self.spec['name']}.root"
        root.mkdir(exist_ok=True)
        self._log.touch()
        self._previous_log_start, self._log_start = self._log_start, self._log.stat().st_size
        if self._last is not None:
            self._restarts += 1
        spec = SandboxSpec(
            root=root,
            arguments=runnable.arguments,
            environment={**runnable.environment, **environment},
            binds=(*self._host.system_files, *self._host.volumes.binds(self.spec), *runnable.binds),
            address=self._host.address,
            folders=runnable.folders,
        )
        self._enter(Sandbox(spec, self._log, self._host.wake))
        self._state = Running(_now())
        self._probe_at = 0.0
        self._probe_failures = 0
        return self._look_after_readiness()

    def _enter(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        try:
            self._host.proxy.attach(sandbox, self._host.pod, self._own_ports())
            sandbox.go()
        except OSError:
            # It has ended already; the exit code says so at the next step.
            self._host.wake()

    def _own_ports(self) -> frozenset[int]:
        return listening_ports(self.spec) | ({self._probe.port} if self._probe else set())

    def _environment(self) -> dict[str, str] | None:
        host = self._host
        try:
            return resolve_environment(self.spec, host.pod, host.base_environment, host.read)
        except ContainerConfigError as error:
            self._state = Waiting(WaitingReason.CREATE_CONTAINER_CONFIG_ERROR, str(error))
            host.warn("Failed", f"Error: {error}")
            return None

    def _ended(self, exit_code: int) -> None:
        started = self._state.started_at if isinstance(self._state, Running) else _now()
        self._last = Terminated(exit_code, started, _now(), self._last_words() if exit_code else "")
        self.stop(timedelta(0))
        policy = self._host.pod["spec"].get("restartPolicy", "Always")
        if policy == "Never" or (policy == "OnFailure" and exit_code == 0):
            self._state, self._last = self._last, None
            return
        if self._last.finished_at - started > _HEALTHY_AFTER:
            self._crashes = 0
        self._crashes += 1
        wait = self._host.back_off.before_restart(self._crashes).total_seconds()
        self._start_at = time.monotonic() + wait
        name, pod = self.spec["name"], self._host.pod["metadata"]["name"]
        message = f"back-off {wait:g}s restarting failed container={name} pod={pod}"
        self._state = Waiting(WaitingReason.CRASH_LOOP_BACK_OFF, message)
        if wait:
            self._host.warn("BackOff", f"Back-off restarting failed container {name} in pod {pod}")

    def _last_words(self) -> str:
        with self._log.open("rb") as log:
            end = log.seek(0, 2)
            log.seek(max(self._log_start, end - _MESSAGE_BYTES))
            return log.read().decode(errors="replace").strip()

    def _look_after_readiness(self) -> float:
        if self._probe is None or self.sandbox is None:
            self._ready = True
            return NEVER
        wait = self._probe_at - time.monotonic()
        if wait > 0:
            return wait
        failure = self._probe.failure(self._host.address, self.sandbox.tcp_socket)
        self._probe_failures = self._probe_failures + 1 if failure else 0
        if not failure:
            self._ready = True
        elif self._ready and self._probe_failures >= self._probe.failures:
            self._ready = False
            self._host.warn("Unhealthy", f"Readiness probe failed: {failure}")
        # A kubelet would wait for the initial delay and the period; a rehearsal has no time for that.
        pace = self._probe.period if self._ready else _EAGER_PROBE_SECONDS
        self._probe_at = time.monotonic() + pace
        return pace


def _now() -> datetime:
    return datetime.now(UTC)
