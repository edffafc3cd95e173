"""Which addresses Services have, and which pods are behind them (Kubernetes docs, "Service"); no I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.manifests import Manifest

CLUSTER_DOMAIN = "cluster.local"


@dataclass(frozen=True, order=True)
class ServicePort:
    """One TCP port of a Service with a ClusterIP.

    Attributes:
        namespace: The Service's namespace.
        service: The Service's name.
        address: The ClusterIP.
        port: The port on it.
        target: The port of the pods: a number, or the name of a container port.
    """

    namespace: str
    service: str
    address: str
    port: int
    target: int | str

    @property
    def is_api_server(self) -> bool:
        """Whether it is the Service of the API server itself, which has no pods."""
        return (self.namespace, self.service) == ("default", "kubernetes")

    @property
    def host_name(self) -> str:
        """Its fully qualified name in the cluster's DNS."""
        return f"{self.service}.{self.namespace}.svc.{CLUSTER_DOMAIN}"


def service_ports(service: Manifest) -> Iterator[ServicePort]:
    """The TCP ports of a Service; none for headless and external ones."""
    spec = service["spec"]
    address = spec.get("clusterIP", "")
    if spec.get("type") == "ExternalName" or address in ("", "None"):
        return
    for port in spec.get("ports") or []:
        if port.get("protocol", "TCP") == "TCP":
            target = port.get("targetPort") or port["port"]
            metadata = service["metadata"]
            yield ServicePort(metadata["namespace"], metadata["name"], address, port["port"], target)


def selects(service: Manifest, pod: Manifest) -> bool:
    """Whether a Service sends traffic to a pod when the pod is ready."""
    selector = service["spec"].get("selector")
    if not selector or service["metadata"]["namespace"] != pod["metadata"]["namespace"]:
        return False
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(key) == value for key, value in selector.items())


def container_port(pod: Manifest, target: int | str) -> int | None:
    """The port that a Service's targetPort means for a pod; None when the pod has no port of that name."""
    if isinstance(target, int):
        return target
    ports = (port for each in pod["spec"]["containers"] for port in each.get("ports") or [])
    return next((port["containerPort"] for port in ports if port.get("name") == target), None)


def listening_ports(container: Mapping[str, Any]) -> frozenset[int]:
    """The ports that a container says it listens on."""
    return frozenset(port["containerPort"] for port in container.get("ports") or [])


def host_names(services: Iterable[Manifest]) -> dict[str, str]:
    """The DNS names of Services with a ClusterIP."""
    return {port.host_name: port.address for service in services for port in service_ports(service)}
