"""One pod on the node: a thread that brings it up, reports its status, and takes it down again."""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from typing_extensions import override

from deployments.rehearsal.node.container import NEVER, Container, ContainerHost
from deployments.rehearsal.node.launching import Sandbox
from deployments.rehearsal.node.podfiles import base_environment, system_files, token_request
from deployments.rehearsal.node.reporting import StatusReporter
from deployments.rehearsal.node.settings import PodHost
from deployments.rehearsal.node.usage import ContainerUsage
from deployments.rehearsal.node.volumes import MountError, PodVolumes
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest, ObjectRef

_RETRY_SECONDS = 1.0


class PodWorker(threading.Thread):
    """Runs one pod until it is deleted.

    Args:
        pod: The pod as it was when it was bound to the node.
        address: Its IP.
        host: The node.
        on_end: Called from its thread when nothing of it is left.
    """

    def __init__(
        self, pod: Manifest, address: str, host: PodHost, on_end: "Callable[[PodWorker], None]"
    ) -> None:
        metadata = pod["metadata"]
        super().__init__(name=f"pod {metadata['namespace']}/{metadata['name']}", daemon=True)
        self.address = address
        self.uid: str = metadata["uid"]
        self.folder = host.folder / f"{metadata['namespace']}_{metadata['name']}_{self.uid[:8]}"
        self.ref = ObjectRef("v1", "Pod", metadata["name"], metadata["namespace"])
        self._host = host
        self._on_end = on_end
        self._pod = pod
        self._volumes = PodVolumes(pod, self.folder / "volumes", host.api.client.get, self._make_token)
        self._containers: tuple[Container, ...] = ()
        self._reporter = StatusReporter(host.api, pod, address, host.host_ip)
        self._refresh_at = 0.0
        self._warned: set[tuple[str, str]] = set()
        self._deleted = threading.Event()
        self._wake = threading.Event()

    @property
    def pod(self) -> Manifest:
        """The pod as the API server last showed it."""
        return self._pod

    @property
    def ready(self) -> bool:
        """Whether it may be sent traffic."""
        containers = self._containers
        deleted = self._deleted.is_set()
        return bool(containers) and not deleted and all(each.report().ready for each in containers)

    @property
    def sandbox(self) -> Sandbox | None:
        """The network of its first program; None when nothing runs."""
        return next((each.sandbox for each in self._containers if each.sandbox), None)

    def log(self, container: str, *, previous: bool) -> bytes | None:
        """The output of a container; None when it has none of that name."""
        found = [each for each in self._containers if each.spec["name"] == container]
        return found[0].log(previous=previous) if found else None

    def usage(self) -> list[ContainerUsage]:
        """What its programs use at the moment."""
        used = [(each.spec["name"], each.usage()) for each in self._containers]
        return [
            ContainerUsage(self.ref.namespace, self.ref.name, name, *found) for name, found in used if found
        ]

    def update(self, pod: Manifest) -> None:
        """Take in a change of the pod; a deletion starts its end."""
        self._pod = pod
        if pod["metadata"].get("deletionTimestamp"):
            self.delete()

    def delete(self) -> None:
        """Start its end. Returns at once; `join` waits for it."""
        self._deleted.set()
        self._wake.set()

    def object_changed(self, ref: ObjectRef) -> None:
        """A Secret or ConfigMap has changed: refresh the volumes if they come from it."""
        if ref in self._volumes.references():
            self._refresh_at = time.monotonic() + self._host.settings.refresh_delay().total_seconds()
        self._wake.set()

    @override
    def run(self) -> None:
        """Bring it up, look after it, take it down."""
        # A node that was started again finds what it left behind.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, mode=0o700)
        while not self._deleted.is_set():
            due = self._careful_step()
            self._wake.wait(None if due == NEVER else due)
        self._take_down()

    def _careful_step(self) -> float:
        # Cleared before the look at the world: what happens from now on wakes it again.
        self._wake.clear()
        if self._deleted.is_set():
            return 0.0
        try:
            due = self._step()
        except ClusterError:
            due = _RETRY_SECONDS
        reported = self._reporter.report([each.report() for each in self._containers])
        return due if reported else min(due, _RETRY_SECONDS)

    def _step(self) -> float:
        due = self._look_after_volumes()
        before = self._network_state()
        due = min([due, *(each.step() for each in self._containers)])
        if self._network_state() != before:
            self._host.proxy.pods_changed()
        return due

    def _network_state(self) -> tuple[object, ...]:
        return (self.ready, *(each.sandbox for each in self._containers))

    def _look_after_volumes(self) -> float:
        wait = self._refresh_at - time.monotonic()
        if wait > 0:
            return wait
        # First, so that a change during the writing is not forgotten.
        self._refresh_at = NEVER
        try:
            self._volumes.write()
        except (ClusterError, MountError) as error:
            self._refresh_at = time.monotonic() + _RETRY_SECONDS
            if isinstance(error, MountError):
                self._warn("FailedMount", str(error))
            return _RETRY_SECONDS
        if not self._containers:
            self._containers = self._make_containers()
        return NEVER

    def _make_containers(self) -> tuple[Container, ...]:
        host = ContainerHost(
            pod=self._with_address(),
            address=self.address,
            folder=self.folder,
            volumes=self._volumes,
            system_files=system_files(self.folder / "etc", self.ref, self.address),
            base_environment=base_environment(self.ref.name, self._host.api_address),
            images=self._host.images,
            read=self._host.api.client.get,
            back_off=self._host.settings.back_off,
            proxy=self._host.proxy,
            wake=self._wake.set,
            warn=self._warn,
        )
        return tuple(Container(each, host) for each in self._pod["spec"]["containers"])

    def _with_address(self) -> Manifest:
        status = {**self._pod.get("status", {}), "podIP": self.address, "hostIP": self._host.host_ip}
        return {**self._pod, "status": status}

    def _make_token(self, pod: Manifest, source: Mapping[str, Any]) -> str:
        account = pod["spec"].get("serviceAccountName") or "default"
        return self._host.api.request_token(self.ref.namespace, account, token_request(pod, source))

    def _warn(self, reason: str, message: str) -> None:
        # A kubelet counts repetitions; here the first one is enough.
        if (reason, message) in self._warned:
            return
        self._warned.add((reason, message))
        # A namespace that is being deleted takes no events.
        with suppress(ClusterError):
            self._host.api.emit_event(self._pod, reason, message)

    def _take_down(self) -> None:
        self._host.proxy.pods_changed()
        self._host.proxy.let_arrive(self)
        allowed = timedelta(seconds=self._pod["spec"].get("terminationGracePeriodSeconds", 30))
        for container in self._containers:
            container.stop(min(allowed, self._host.settings.stop_grace))
        if self._pod["metadata"].get("deletionTimestamp"):
            # When the API server is gone, the pod stays there; that does no harm to the machine.
            with suppress(ClusterError):
                self._host.api.delete_pod(self.ref.namespace, self.ref.name, self.uid)
        shutil.rmtree(self.folder / "volumes", ignore_errors=True)
        self._on_end(self)
