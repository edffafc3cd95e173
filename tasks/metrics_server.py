"""The metrics server, which the autoscaler of ingress gateways needs (R11)."""

from collections.abc import Iterable
from datetime import datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.converge import converge_within, written
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import Account, open_cluster
from tasks.core.errors import StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import HealthState, ObjectHealth, object_health
from tasks.core.outcomes import StepOutcome
from tasks.core.ownership import is_ours, marked_as_ours
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.steps import step

METRICS_API = ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io")


@step("ensure-metrics-server")
def ensure_metrics_server(
    cluster: KubernetesCluster,
    manifests: list[Manifest],
    until: datetime,
    scope: WriteScope = EVERYTHING,
) -> StepOutcome:
    """Install the metrics server unless the cluster has one, such as the OKE add-on, and wait for its API.

    Raises:
        StalledError: The API did not become available in time; the message says what the APIService says.
    """
    client = open_cluster(cluster, Account.BOOTSTRAP)
    wanted = wanted_metrics_server(client, manifests)
    if not wanted:
        health = _wait(client, until)
        return StepOutcome(detail=f"the cluster's own metrics server is left alone ({health.state.value})")
    changes = converge_within(client, wanted, scope)
    _wait(client, until)
    return StepOutcome(written(changes), f"{METRICS_API.name} is available")


def wanted_metrics_server(client: ClusterClient, manifests: Iterable[Manifest]) -> list[Manifest]:
    """What the step would write: nothing where the cluster has a metrics server of its own."""
    live = client.get(METRICS_API)
    return [] if live is not None and not is_ours(live) else list(map(marked_as_ours, manifests))


def _wait(client: ClusterClient, until: datetime) -> ObjectHealth:
    health = wait_for(
        lambda: object_health(METRICS_API, client.get(METRICS_API)),
        lambda seen: seen.state is HealthState.HEALTHY,
        deadline_at(until),
    )
    if health.state is not HealthState.HEALTHY:
        raise StalledError(
            "make the metrics API available",
            f"{client.name}: {METRICS_API}",
            "condition Available",
            f"{health.state.value}: {health.detail}",
            "Look at the pods of Deployment kube-system/metrics-server.",
        )
    return health
