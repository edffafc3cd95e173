"""What a started control plane is: real, complete, and known by its own address and Service range."""

from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml
from kubernetes import client as sdk
from kubernetes import config

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.controlplane.credentials import User
from deployments.rehearsal.programs import Programs
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.core.errors import ClusterForbiddenError
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.control_planes import FreshControlPlane
from tests.support.listening import listening_addresses

pytestmark = pytest.mark.cluster


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    created = control_plane.client().create(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "control-plane-test-"}}
    )
    name: str = created["metadata"]["name"]
    yield name
    control_plane.client().delete(ObjectRef("v1", "Namespace", name))


@pytest.fixture
def client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


def config_map(namespace: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def test_it_is_ready(client: ClusterClient) -> None:
    assert client.read_text("/readyz") == "ok"


def test_it_says_the_version_that_it_was_built_from(client: ClusterClient) -> None:
    version = client.read_path("/version") or {}

    assert version["gitVersion"] == "v1.36.3"
    assert (version["major"], version["minor"]) == ("1", "36")


def test_its_kubeconfig_is_all_that_the_official_client_needs(control_plane: ControlPlane) -> None:
    api = config.new_client_from_config(str(control_plane.kubeconfig), context="rehearsal")

    namespaces = sdk.CoreV1Api(api).list_namespace()

    assert "kube-system" in [each["metadata"]["name"] for each in namespaces.to_dict()["items"]]


def test_a_service_gets_a_loopback_address_of_its_own_range(
    client: ClusterClient, control_plane: ControlPlane, namespace: str
) -> None:
    metadata = {"name": "webhook", "namespace": namespace}
    spec = {"ports": [{"port": 443}]}

    service = client.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})

    address = ip_address(service["spec"]["clusterIP"])
    assert address.is_loopback
    assert address in ip_network(control_plane.service_range)


def test_the_node_names_the_address_that_is_reserved_for_its_kubelet(
    fresh_control_plane: FreshControlPlane,
) -> None:
    # Where a node program runs, it names the port that it got itself.
    control_plane = fresh_control_plane()

    node = control_plane.client().get(ObjectRef("v1", "Node", "node-0")) or {}

    assert {"type": "InternalIP", "address": control_plane.host} in node["status"]["addresses"]
    assert node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"] == control_plane.kubelet_port


def test_its_programs_listen_on_loopback_addresses_only(
    control_plane: ControlPlane, processes_of: Callable[[Path], list[int]]
) -> None:
    listening = [each for pid in processes_of(control_plane.folder) for each in listening_addresses(pid)]

    assert len(listening) >= 6
    assert [str(each) for each in listening if not each.is_loopback] == []


def test_kwok_keeps_the_node_alive_and_leaves_pods_alone(programs: Programs) -> None:
    stages = [yaml.safe_load(file.read_text()) for file in programs.files("kwok-stages")]

    assert [stage["spec"]["resourceRef"]["kind"] for stage in stages] == ["Node", "Node"]


def test_a_token_of_nobody_is_refused(control_plane: ControlPlane) -> None:
    configuration = sdk.Configuration(host=control_plane.server)
    configuration.ssl_ca_cert = str(control_plane.ca_file)
    configuration.api_key = {"authorization": "Bearer nobody"}
    stranger = ClusterClient("stranger", sdk.ApiClient(configuration))

    with pytest.raises(ClusterForbiddenError, match="401"):
        stranger.list_objects("v1", "Namespace")


def test_every_answered_request_is_in_the_audit_log(
    client: ClusterClient, control_plane: ControlPlane, namespace: str
) -> None:
    offset = control_plane.audit_log.stat().st_size

    client.create(config_map(namespace, "counted"))
    client.get(ObjectRef("v1", "ConfigMap", "counted", namespace))

    ours = [each for each in control_plane.audited_requests(offset) if each.user == User.ADMIN]
    assert [(each.verb, each.resource, each.name) for each in ours] == [
        ("create", "configmaps", "counted"),
        ("get", "configmaps", "counted"),
    ]


def test_only_a_write_that_was_carried_out_counts_as_a_change(
    client: ClusterClient, control_plane: ControlPlane, namespace: str
) -> None:
    offset = control_plane.audit_log.stat().st_size

    client.create(config_map(namespace, "rehearsed"), ApplyMode.SERVER_DRY_RUN)
    client.get(ObjectRef("v1", "ConfigMap", "rehearsed", namespace))
    client.create(config_map(namespace, "real"))

    ours = [each for each in control_plane.audited_requests(offset) if each.user == User.ADMIN]
    assert [each.name for each in ours if each.changes_something] == ["real"]


def test_the_audit_log_holds_no_secret_of_an_object(
    client: ClusterClient, control_plane: ControlPlane, namespace: str
) -> None:
    metadata = {"name": "hidden", "namespace": namespace}

    client.create(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"word": "bWlyYWJlbGxl"}}
    )

    assert "bWlyYWJlbGxl" not in control_plane.audit_log.read_text()


def test_only_we_can_read_the_credentials(control_plane: ControlPlane) -> None:
    secret_files = [
        control_plane.kubeconfig,
        control_plane.credentials.tokens_file,
        control_plane.credentials.key("ca"),
        control_plane.credentials.key("service-account"),
    ]

    assert [oct(file.stat().st_mode & 0o777) for file in secret_files] == ["0o600"] * 4


def test_no_log_holds_a_token(control_plane: ControlPlane) -> None:
    logs = "".join(file.read_text(errors="replace") for file in control_plane.folder.glob("*.log"))

    assert [user for user, token in control_plane.credentials.tokens.items() if token in logs] == []
