"""The node: watches pods, Services, Secrets and ConfigMaps of a control plane and keeps a worker per pod."""

import itertools
import socket
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.controlplane.commands import NODE_NAME
from deployments.rehearsal.controlplane.credentials import User
from deployments.rehearsal.node.api import ApiAccess, NodeApi, WatchEvent, WatchEventType
from deployments.rehearsal.node.kubelet import KubeletFiles, KubeletServer
from deployments.rehearsal.node.launching import check_sandboxes
from deployments.rehearsal.node.network import Network, OpenListener
from deployments.rehearsal.node.pod import PodWorker
from deployments.rehearsal.node.portforward import connect_to_port
from deployments.rehearsal.node.proxy import ServiceProxy, connect_to_pod
from deployments.rehearsal.node.runnables import ProgramImages
from deployments.rehearsal.node.settings import NodeSettings, PodHost
from deployments.rehearsal.node.usage import ContainerUsage
from deployments.rehearsal.node.watching import OnEvent, Watcher
from deployments.rehearsal.programs import Programs
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest, ObjectRef

_PROJECT = Path(__file__).resolve().parents[3]
_POD_ADDRESSES = 250


class Node:
    """The kubelet stand-in of one control plane. A context manager: entering starts it, leaving stops it.

    Pods' addresses are 198.18.<number>.x (RFC 2544, for tests only): they exist inside the pods' sandboxes
    alone, because the API server accepts no loopback address in an EndpointSlice. From outside a pod is
    reached at the ClusterIPs of its Services, and each of its ports through `forward_port`.

    Args:
        control_plane: Started.
        programs: The programs behind the images.
        operator_command: What runs for the OSOK manager's image; `--listen`, `--health` and `--certificates`
            are appended.
        settings: What else can be chosen.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        programs: Programs,
        operator_command: Sequence[str],
        settings: NodeSettings | None = None,
    ) -> None:
        self.folder = control_plane.folder / "node"
        token = control_plane.credentials.tokens[User.NODE]
        access = ApiAccess(control_plane.server, control_plane.ca_file, token)
        self._api = NodeApi(control_plane.client(User.NODE), access)
        self._network = Network()
        server = urlsplit(control_plane.server)
        api_address = (server.hostname or "", server.port or 0)
        files = control_plane.credentials
        self._kubelet = KubeletServer(
            control_plane.host,
            KubeletFiles(files.certificate("kubelet"), files.key("kubelet"), files.certificate("ca")),
            self._api.client,
            self,
            self._usage,
        )
        reachable = (api_address, self._kubelet.address)
        self._proxy = ServiceProxy(self._network, reachable, lambda: self.workers, self._say)
        self._host = PodHost(
            api=self._api,
            folder=self.folder / "pods",
            host_ip=control_plane.host,
            api_address=api_address,
            images=ProgramImages(programs, tuple(operator_command), (_PROJECT,)),
            settings=settings or NodeSettings(),
            proxy=self._proxy,
        )
        self._number = control_plane.number
        self._addresses = itertools.count()
        self._lock = threading.Lock()
        self._workers: dict[str, PodWorker] = {}
        self._problems: list[str] = []
        self._forwarded: dict[tuple[str, int], OpenListener] = {}
        self._watchers = (
            Watcher(self._api, "/api/v1/nodes", self._on_node),
            Watcher(self._api, "/api/v1/services", self._on_service),
            Watcher(self._api, "/api/v1/secrets", self._on_content("Secret")),
            Watcher(self._api, "/api/v1/configmaps", self._on_content("ConfigMap")),
            Watcher(self._api, "/api/v1/pods", self._on_pod),
        )

    @property
    def problems(self) -> tuple[str, ...]:
        """What went wrong with the node itself, such as an address it may not listen on; also in node.log."""
        return tuple(self._problems)

    @property
    def workers(self) -> tuple[PodWorker, ...]:
        """The pods that are on the node."""
        with self._lock:
            return tuple(self._workers.values())

    def start(self) -> None:
        """Start watching; returns when what is in the cluster has been seen.

        Raises:
            PrerequisiteError: The machine does not let us make sandboxes.
            ClusterError: The API server gives no usable answer. Nothing is left running in either case.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        check_sandboxes(self.folder / "trial")
        (self.folder / "pods").mkdir(parents=True, exist_ok=True)
        self._network.start()
        self._kubelet.start()
        for watcher in self._watchers:
            watcher.start()
        for watcher in self._watchers:
            watcher.wait_until_listed()

    def stop(self) -> None:
        """End every program. The pods stay in the API server as they are."""
        for watcher in self._watchers:
            watcher.stop()
        workers = self.workers
        for worker in workers:
            worker.delete()
        for worker in workers:
            worker.join()
        for listener in self._forwarded.values():
            listener.close()
        self._forwarded.clear()
        self._kubelet.stop()
        self._network.stop()
        self._api.close()

    def container_log(self, namespace: str, pod: str, container: str, *, previous: bool) -> bytes | None:
        """The output of a container, or of its run before this one; None when there is no such container."""
        found = self._find(namespace, pod)
        return found.log(container, previous=previous) if found else None

    def connect_port(self, namespace: str, pod: str, port: int) -> socket.socket:
        """A connection to a port of one pod, made inside its sandbox.

        Raises:
            OSError: There is no such pod, or nothing listens there.
        """
        if worker := self._find(namespace, pod):
            return connect_to_port(worker, port)
        raise ConnectionRefusedError("no such pod on the node")

    def forward_port(self, namespace: str, pod: str, port: int) -> tuple[str, int]:
        """Make a port of one pod reachable from outside, like `kubectl port-forward`, until the node stops.

        Returns:
            The address and port to connect to.

        Raises:
            PrerequisiteError: There is no such pod.
        """
        worker = self._existing(namespace, pod)
        listener = socket.create_server((self._host.host_ip, 0))
        address: tuple[str, int] = listener.getsockname()
        self._forwarded[address] = self._network.listen(listener, lambda: connect_to_pod(worker, port))
        return address

    def _usage(self) -> list[ContainerUsage]:
        return [used for worker in self.workers for used in worker.usage()]

    def _find(self, namespace: str, pod: str) -> PodWorker | None:
        wanted = ObjectRef("v1", "Pod", pod, namespace)
        return next((worker for worker in self.workers if worker.ref == wanted), None)

    def log_file(self, namespace: str, pod: str, container: str) -> Path:
        """The output of a container of a pod that is on the node.

        Raises:
            PrerequisiteError: There is no such pod.
        """
        return self._existing(namespace, pod).folder / f"{container}.log"

    def _existing(self, namespace: str, pod: str) -> PodWorker:
        if found := self._find(namespace, pod):
            return found
        raise PrerequisiteError("find a pod", f"Pod {namespace}/{pod}", found="no such pod on the node")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _on_pod(self, event: WatchEvent) -> None:
        pod = event.manifest
        uid = pod["metadata"]["uid"]
        with self._lock:
            worker = self._workers.get(uid)
        if event.type is WatchEventType.DELETED:
            if worker is not None:
                worker.delete()
            return
        if worker is not None:
            worker.update(pod)
        elif pod["spec"].get("nodeName") == NODE_NAME and not _has_ended(pod):
            self._take_over(pod)

    def _take_over(self, pod: Manifest) -> None:
        worker = PodWorker(pod, self._next_address(), self._host, self._forget)
        worker.update(pod)
        with self._lock:
            self._workers[worker.uid] = worker
        worker.start()

    def _forget(self, worker: PodWorker) -> None:
        with self._lock:
            self._workers.pop(worker.uid, None)

    def _next_address(self) -> str:
        used = {worker.address for worker in self.workers}
        while True:
            address = f"198.18.{self._number}.{2 + next(self._addresses) % _POD_ADDRESSES}"
            if address not in used:
                return address

    def _on_node(self, event: WatchEvent) -> None:
        """Keep our port in the Node object: KWOK's heartbeat puts its own there every ten minutes."""
        node, port = event.manifest, self._kubelet.address[1]
        named = (node.get("status") or {}).get("daemonEndpoints") or {}
        ours = node["metadata"]["name"] == NODE_NAME and event.type is not WatchEventType.DELETED
        if ours and named.get("kubeletEndpoint", {}).get("Port") != port:
            patch = {"status": {"daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}}
            self._api.client.patch(ObjectRef("v1", "Node", NODE_NAME), patch, subresource="status")

    def _on_service(self, event: WatchEvent) -> None:
        if event.type is WatchEventType.DELETED:
            self._proxy.service_deleted(event.manifest)
        else:
            self._proxy.service_changed(event.manifest)

    def _on_content(self, kind: str) -> OnEvent:
        def deliver(event: WatchEvent) -> None:
            metadata = event.manifest["metadata"]
            changed = ObjectRef("v1", kind, metadata["name"], metadata["namespace"])
            for worker in self.workers:
                worker.object_changed(changed)

        return deliver

    def _say(self, line: str) -> None:
        if line in self._problems:
            return
        self._problems.append(line)
        with (self.folder / "node.log").open("a") as log:
            log.write(f"{datetime.now(UTC).isoformat()} {line}\n")


def _has_ended(pod: Manifest) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
