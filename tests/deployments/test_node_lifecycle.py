"""A node's own life, and the API that it has as a kubelet."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployments.rehearsal.control_plane import ControlPlane, start_first_free
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS
from deployments.rehearsal.node import Node
from deployments.rehearsal.programs import GoModule, OlmVersion, Programs, ensure_programs
from deployments.rehearsal.releases.metrics_server import metrics_server_objects
from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import Manifest, ObjectRef
from tests.deployments.test_node_support import OPERATOR, OSOK_IMAGE, make_namespace, pod, wait_for

pytestmark = pytest.mark.cluster

_SLEEPER = ["/bin/sh", "-c", "echo up; while :; do sleep 1; done"]


@pytest.fixture(scope="module")
def all_programs(report: Callable[[str], None]) -> Programs:
    return ensure_programs(OlmVersion.V0_46_0, report, [GoModule.METRICS_SERVER])


@pytest.fixture(scope="module")
def own_control_plane(
    all_programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ControlPlane]:
    folder = tmp_path_factory.mktemp("lifecycle")
    with start_first_free(all_programs, folder, ALL_NUMBERS[60:]) as running:
        yield running


@pytest.fixture
def node(own_control_plane: ControlPlane, all_programs: Programs) -> Iterator[Node]:
    with Node(own_control_plane, all_programs, OPERATOR) as running:
        yield running


@pytest.fixture
def client(own_control_plane: ControlPlane) -> ClusterClient:
    return own_control_plane.client()


def _container(client: ClusterClient, ref: ObjectRef) -> Manifest:
    status = (client.get(ref) or {}).get("status") or {}
    containers: list[Manifest] = status.get("containerStatuses") or [{}]
    return containers[0]


def test_a_stopped_node_leaves_no_process_and_a_new_one_takes_its_pods_over(
    own_control_plane: ControlPlane, all_programs: Programs, client: ClusterClient
) -> None:
    namespace = make_namespace(client)
    ref = ObjectRef("v1", "Pod", "sleeper", namespace)
    with Node(own_control_plane, all_programs, OPERATOR) as first:
        client.create(pod(namespace, "sleeper", OSOK_IMAGE, container_command=_SLEEPER))
        wait_for(lambda: _container(client, ref).get("ready"))
        started = _container(client, ref)["state"]["running"]["startedAt"]
        processes = _processes(first)
    assert processes
    assert [each for each in processes if each.exists()] == []

    with Node(own_control_plane, all_programs, OPERATOR) as second:
        worker = next(each for each in second.workers if each.ref == ref)
        wait_for(lambda: worker.ready)
        wait_for(lambda: _container(client, ref)["state"]["running"]["startedAt"] >= started)
        client.delete(ref)
        wait_for(lambda: client.get(ref) is None)


def _processes(node: Node) -> list[Path]:
    """The entries in /proc of all programs of a node and of their sandboxes."""
    sandboxes = [each.sandbox.pid for each in node.workers if each.sandbox]
    programs = [Path(f"/proc/{pid}/task/{pid}/children").read_text().split() for pid in sandboxes]
    return [Path("/proc") / str(pid) for pid in [*sandboxes, *(each for found in programs for each in found)]]


def test_a_pod_that_was_deleted_while_the_node_was_down_goes(
    own_control_plane: ControlPlane, all_programs: Programs, client: ClusterClient
) -> None:
    namespace = make_namespace(client)
    ref = ObjectRef("v1", "Pod", "any", namespace)
    with Node(own_control_plane, all_programs, OPERATOR):
        client.create(pod(namespace, "any"))
        wait_for(lambda: _container(client, ref).get("ready"))
    client.delete(ref)

    with Node(own_control_plane, all_programs, OPERATOR):
        wait_for(lambda: client.get(ref) is None)


def test_goes_on_after_a_restart_of_the_api_server(
    own_control_plane: ControlPlane, node: Node, client: ClusterClient
) -> None:
    namespace = make_namespace(client)
    own_control_plane.restart("kube-apiserver")

    client.create(pod(namespace, "late"))

    wait_for(lambda: _container(client, ObjectRef("v1", "Pod", "late", namespace)).get("ready"))
    assert [each.ref.name for each in node.workers if each.ref.namespace == namespace] == ["late"]


def test_the_metrics_server_becomes_available(client: ClusterClient, node: Node) -> None:
    """R11: it is ready only after it has scraped the node, twice."""
    assert node.folder.is_dir()
    for manifest in metrics_server_objects():
        client.create(manifest)
    service = ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io")

    wait_for(lambda: _is_available(client, service))
    pods = wait_for(lambda: _pods_with_metrics(client))

    assert "metrics-server" in {container["name"] for each in pods for container in each["containers"]}


def _is_available(client: ClusterClient, service: ObjectRef) -> bool:
    status = (client.get(service) or {}).get("status") or {}
    conditions: list[Manifest] = status.get("conditions") or []
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def _pods_with_metrics(client: ClusterClient) -> list[Manifest]:
    answer = client.read_path("/apis/metrics.k8s.io/v1beta1/pods") or {}
    items: list[Manifest] = answer.get("items") or []
    return items


@pytest.mark.parametrize(
    ("token", "status"), [("", 401), ("nonsense", 401), ("plain", 403), ("metrics", 200)]
)
def test_the_kubelets_metrics_are_for_those_who_may_read_them(
    token: str, status: int, own_control_plane: ControlPlane, client: ClusterClient, node: Node
) -> None:
    assert node.folder.is_dir()
    namespace = make_namespace(client)
    if token == "metrics":
        _allow_metrics(client, namespace)
    bearer = token if token in ("", "nonsense") else _token_of_default(own_control_plane, namespace)

    assert _ask_for_metrics(own_control_plane, client, bearer) == status


def _allow_metrics(client: ClusterClient, namespace: str) -> None:
    group = "rbac.authorization.k8s.io"
    rule = {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}
    name = f"metrics-{namespace}"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]}
    client.create(role)
    client.create(
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": namespace}],
        }
    )


def _request(url: str, token: str, body: Manifest | None, control_plane: ControlPlane) -> bytes:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - always https
    context = ssl.create_default_context(cafile=str(control_plane.ca_file))
    with urllib.request.urlopen(request, context=context) as response:  # noqa: S310 - always https
        content: bytes = response.read()
    return content


def _token_of_default(control_plane: ControlPlane, namespace: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    answer = json.loads(_request(control_plane.server + path, control_plane.token, body, control_plane))
    token: str = answer["status"]["token"]
    return token


def _ask_for_metrics(control_plane: ControlPlane, client: ClusterClient, token: str) -> int:
    found = client.get(ObjectRef("v1", "Node", "node-0"))
    assert found is not None
    port = found["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    url = f"https://{control_plane.host}:{port}/metrics/resource"
    try:
        content = _request(url, token, None, control_plane)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    assert b"node_cpu_usage_seconds_total " in content
    return 200
