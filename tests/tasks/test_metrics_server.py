"""The metrics server: installed where there is none, left alone where there is one (R11)."""

from collections.abc import Callable, Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.accounts import BOOTSTRAP_CONTEXT, FLEET_CONTEXT, make_accounts
from deployments.rehearsal.control_plane import ControlPlane, start_first_free
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS
from deployments.rehearsal.node.node import Node
from deployments.rehearsal.programs import GoModule, OlmVersion, Programs, cache_folder, ensure_programs
from deployments.rehearsal.releases.metrics_server import metrics_server_objects
from deployments.rehearsal.world import OPERATOR_COMMAND
from tasks.clients.cluster import ClusterClient
from tasks.core.errors import StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.metrics_server import METRICS_API, ensure_metrics_server
from tests.support.small_installs import patiently, shortly, tasks_outside_flows

pytestmark = pytest.mark.cluster

BUILT = any((cache_folder() / "programs").glob("metrics-server-*/metrics-server"))
DEPLOYMENT = ObjectRef("apps/v1", "Deployment", "metrics-server", "kube-system")


@pytest.fixture(scope="module")
def plane(
    programs: Programs, prefect_server: SyncPrefectClient, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    """A control plane of this file alone: an API without a server disturbs everybody on a cluster."""
    folder = tmp_path_factory.mktemp("metrics")
    with start_first_free(programs, folder, ALL_NUMBERS[60:]) as running, tasks_outside_flows():
        yield running


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> KubernetesCluster:
    """The cluster as the shipped accounts see it."""
    return KubernetesCluster(
        kubeconfig_file=make_accounts(plane), context=FLEET_CONTEXT, bootstrap_context=BOOTSTRAP_CONTEXT
    )


@pytest.fixture(scope="module")
def client(plane: ControlPlane) -> ClusterClient:
    return plane.client()


@pytest.fixture
def node(plane: ControlPlane, report: Callable[[str], None]) -> Iterator[Node]:
    """The node with the metrics server's program."""
    programs = ensure_programs(OlmVersion.V0_46_0, report, [GoModule.METRICS_SERVER])
    with Node(plane, programs, OPERATOR_COMMAND) as running:
        yield running


@pytest.fixture
def other_api(client: ClusterClient) -> Iterator[Manifest]:
    """The API of somebody else; without a Service it is the API server's own, and available at once."""
    manifest = {
        "apiVersion": METRICS_API.api_version,
        "kind": METRICS_API.kind,
        "metadata": {"name": METRICS_API.name, "labels": {"app.kubernetes.io/managed-by": "oke"}},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 1,
        },
    }
    yield client.create(manifest)
    client.delete(METRICS_API)


def test_the_clusters_own_metrics_server_is_left_alone(
    cluster: KubernetesCluster, client: ClusterClient, other_api: Manifest
) -> None:
    """R11: an add-on of OKE, for example."""
    outcome = ensure_metrics_server(cluster, metrics_server_objects(), patiently())

    live = client.get(METRICS_API)
    assert live is not None
    assert live["spec"] == other_api["spec"]
    assert client.get(DEPLOYMENT) is None
    assert outcome.changed == ()
    assert outcome.detail == "the cluster's own metrics server is left alone (HEALTHY)"


def test_an_api_that_does_not_come_is_told_in_the_words_of_the_api_service(
    cluster: KubernetesCluster,
) -> None:
    """R11: no node runs the pods here."""
    with pytest.raises(StalledError) as caught:
        ensure_metrics_server(cluster, metrics_server_objects(), shortly())

    assert "UNHEALTHY: " in caught.value.found
    assert "kube-system" in caught.value.found


@pytest.mark.skipif(not BUILT, reason="not built: python -m deployments.rehearsal.programs metrics-server")
@pytest.mark.usefixtures("node")
def test_it_is_installed_until_its_api_answers_and_then_left_as_it_is(
    cluster: KubernetesCluster, client: ClusterClient
) -> None:
    """R11."""
    ensure_metrics_server(cluster, metrics_server_objects(), patiently())
    again = ensure_metrics_server(cluster, metrics_server_objects(), patiently())

    assert client.read_path("/apis/metrics.k8s.io/v1beta1/nodes") is not None
    assert client.get(DEPLOYMENT) is not None
    assert (again.changed, again.detail) == ((), "v1beta1.metrics.k8s.io is available")
