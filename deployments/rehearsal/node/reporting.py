"""Writes the status of one pod to the API server, whenever it has changed."""

from collections.abc import Sequence
from datetime import UTC, datetime

from deployments.rehearsal.node.api import NodeApi
from deployments.rehearsal.node.states import ContainerReport, PodReport, Terminated, Waiting
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest, ObjectRef


class StatusReporter:
    """Reports on one pod.

    Args:
        api: The API server.
        pod: The pod when the node took it over.
        address: The pod's IP.
        host_ip: The node's address.
    """

    def __init__(self, api: NodeApi, pod: Manifest, address: str, host_ip: str) -> None:
        metadata = pod["metadata"]
        self._api = api
        self._ref = ObjectRef("v1", "Pod", metadata["name"], metadata["namespace"])
        self._uid: str = metadata["uid"]
        self._spec = pod["spec"]
        self._address = address
        self._host_ip = host_ip
        self._started_at = datetime.now(UTC)
        self._known: Manifest = pod.get("status") or {}
        self._reported: Manifest = {}

    def report(self, containers: Sequence[ContainerReport]) -> bool:
        """Write what has changed; false when that should be tried again later.

        Args:
            containers: Of the pod's containers; empty as long as its volumes are not there.
        """
        status = self._status(containers)
        if status == self._reported:
            return True
        try:
            self._api.client.patch(self._ref, {"status": status}, subresource="status")
        except ClusterError as error:
            return not error.retryable
        self._known = self._reported = status
        return True

    def _status(self, containers: Sequence[ContainerReport]) -> Manifest:
        report = PodReport(
            started_at=self._started_at,
            host_ip=self._host_ip,
            containers=containers or self._waiting("containers"),
            init_containers=self._done() if containers else self._waiting("initContainers"),
            pod_ip=self._address if containers else "",
            restarts_always=self._spec.get("restartPolicy", "Always") == "Always",
            conditions_before={each["type"]: each for each in self._known.get("conditions") or []},
        )
        return report.to_json(self._uid, datetime.now(UTC))

    def _waiting(self, field: str) -> list[ContainerReport]:
        specs = self._spec.get(field) or []
        return [ContainerReport(each["name"], each["image"], Waiting()) for each in specs]

    def _done(self) -> list[ContainerReport]:
        """Init containers are not run: they end well at once."""
        done = Terminated(0, self._started_at, self._started_at)
        specs = self._spec.get("initContainers") or []
        return [ContainerReport(each["name"], each["image"], done, ready=True) for each in specs]
