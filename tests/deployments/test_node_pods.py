"""Pods on a real control plane: what a user sees of pauses, crashes, missing objects, certificates."""

import socket
from collections.abc import Iterator

import pytest
import trustme

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.node import Node
from deployments.rehearsal.node.pod import PodWorker
from deployments.rehearsal.programs import Programs
from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import Manifest, ObjectRef
from tests.deployments.test_node_support import (
    OPERATOR,
    OSOK_IMAGE,
    leaf_secret,
    make_namespace,
    pod,
    secret,
    served_serial,
    wait_for,
)

pytestmark = pytest.mark.cluster

_CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the mount path inside the container


@pytest.fixture(scope="module")
def node(control_plane: ControlPlane, programs: Programs) -> Iterator[Node]:
    with Node(control_plane, programs, OPERATOR) as running:
        yield running


@pytest.fixture(scope="module")
def client(control_plane: ControlPlane, node: Node) -> ClusterClient:
    assert node.folder.is_dir()
    return control_plane.client()


@pytest.fixture
def namespace(client: ClusterClient) -> Iterator[str]:
    made = make_namespace(client)
    yield made
    client.delete(ObjectRef("v1", "Namespace", made))


def _status(client: ClusterClient, namespace: str, name: str) -> Manifest:
    found = client.get(ObjectRef("v1", "Pod", name, namespace)) or {}
    status: Manifest = found.get("status") or {}
    return status


def _container(client: ClusterClient, namespace: str, name: str) -> Manifest:
    containers: list[Manifest] = _status(client, namespace, name).get("containerStatuses") or [{}]
    return containers[0]


def _waiting(client: ClusterClient, namespace: str, name: str) -> Manifest:
    waiting: Manifest = _container(client, namespace, name).get("state", {}).get("waiting") or {}
    return waiting


def _is_ready(client: ClusterClient, namespace: str, name: str) -> bool:
    return bool(_container(client, namespace, name).get("ready"))


def _events(client: ClusterClient, namespace: str, reason: str) -> list[str]:
    found = client.list_objects("v1", "Event", namespace)
    return [each["message"] for each in found if each["reason"] == reason]


def test_a_pod_of_an_unknown_image_is_running_and_ready(client: ClusterClient, namespace: str) -> None:
    client.create(pod(namespace, "any"))

    wait_for(lambda: _is_ready(client, namespace, "any"))

    status = _status(client, namespace, "any")
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("198.18.")


def test_init_containers_end_well_at_once(client: ClusterClient, namespace: str) -> None:
    client.create(pod(namespace, "any", initContainers=[{"name": "first", "image": "example.com/init:1"}]))

    wait_for(lambda: _is_ready(client, namespace, "any"))

    (first,) = _status(client, namespace, "any")["initContainerStatuses"]
    assert first["state"]["terminated"]["reason"] == "Completed"


def test_an_image_that_does_not_exist_is_an_image_pull_back_off(
    client: ClusterClient, namespace: str
) -> None:
    client.create(pod(namespace, "broken", "example.com/does-not-exist:1"))

    wait_for(lambda: _waiting(client, namespace, "broken").get("reason") == "ImagePullBackOff")

    wait_for(lambda: _events(client, namespace, "BackOff"))
    assert not _is_ready(client, namespace, "broken")


def test_a_crashing_program_is_a_crash_loop_with_its_last_words(
    client: ClusterClient, namespace: str
) -> None:
    client.create(pod(namespace, "crash", "example.com/operator:crash"))

    waiting = wait_for(lambda: _crash_loop(client, namespace, "crash"))

    container = _container(client, namespace, "crash")
    assert waiting["message"].startswith("back-off 10s restarting failed container=main")
    assert container["restartCount"] == 1
    assert container["lastState"]["terminated"]["exitCode"] == 1
    assert "always crashes" in container["lastState"]["terminated"]["message"]
    assert _events(client, namespace, "BackOff")


def _crash_loop(client: ClusterClient, namespace: str, name: str) -> Manifest | None:
    waiting = _waiting(client, namespace, name)
    return waiting if "back-off 10s" in waiting.get("message", "") else None


def test_the_command_of_a_known_image_is_what_runs(client: ClusterClient, namespace: str) -> None:
    command = ["/bin/sh", "-c", "echo $GREETING; exit 4"]
    env = [{"name": "GREETING", "value": "hello"}]

    client.create(pod(namespace, "failing", OSOK_IMAGE, container_command=command, container_env=env))

    container = wait_for(lambda: _ended(client, namespace, "failing"))
    log = client.read_text(f"/api/v1/namespaces/{namespace}/pods/failing/log", {"previous": "true"})
    assert container["lastState"]["terminated"]["exitCode"] == 4
    assert log == "hello\n"


def _ended(client: ClusterClient, namespace: str, name: str) -> Manifest | None:
    container = _container(client, namespace, name)
    return container if container.get("lastState") and container["restartCount"] else None


def test_a_pod_that_is_never_restarted_ends(client: ClusterClient, namespace: str) -> None:
    command = ["/bin/sh", "-c", "exit 0"]

    client.create(pod(namespace, "once", OSOK_IMAGE, container_command=command, restartPolicy="Never"))

    wait_for(lambda: _status(client, namespace, "once").get("phase") == "Succeeded")
    assert _container(client, namespace, "once")["state"]["terminated"]["exitCode"] == 0


def test_a_missing_secret_for_a_variable_is_a_config_error_until_it_is_there(
    client: ClusterClient, namespace: str
) -> None:
    reference = {"secretKeyRef": {"name": "login", "key": "user"}}
    client.create(pod(namespace, "needy", container_env=[{"name": "USER", "valueFrom": reference}]))

    waiting = wait_for(lambda: _config_error(client, namespace, "needy"))
    client.create(secret(namespace, "login", user=b"anna"))

    wait_for(lambda: _is_ready(client, namespace, "needy"))
    assert waiting["message"] == 'secret "login" not found'


def _config_error(client: ClusterClient, namespace: str, name: str) -> Manifest | None:
    waiting = _waiting(client, namespace, name)
    return waiting if waiting.get("reason") == "CreateContainerConfigError" else None


def test_a_missing_secret_for_a_volume_is_a_failed_mount_until_it_is_there(
    client: ClusterClient, namespace: str
) -> None:
    volume = {"name": "certificate", "secret": {"secretName": "tls"}}
    mounts = [{"name": "certificate", "mountPath": "/certificate"}]
    client.create(pod(namespace, "needy", volumes=[volume], container_volumeMounts=mounts))

    (event,) = wait_for(lambda: _events(client, namespace, "FailedMount"))
    before = wait_for(lambda: _waiting(client, namespace, "needy"))
    client.create(secret(namespace, "tls", tls_crt=b"x"))

    wait_for(lambda: _is_ready(client, namespace, "needy"))
    assert event == 'MountVolume.SetUp failed for volume "certificate" : secret "tls" not found'
    assert before["reason"] == "ContainerCreating"


def test_a_deleted_pod_leaves_neither_object_nor_process(
    client: ClusterClient, node: Node, namespace: str
) -> None:
    command = ["/bin/sh", "-c", "while :; do sleep 1; done"]
    client.create(pod(namespace, "busy", OSOK_IMAGE, container_command=command))
    worker = wait_for(lambda: _worker_with_program(node, namespace))
    assert worker.sandbox is not None
    running = worker.sandbox

    client.delete(ObjectRef("v1", "Pod", "busy", namespace))

    wait_for(lambda: client.get(ObjectRef("v1", "Pod", "busy", namespace)) is None)
    worker.join()
    assert running.exit_code() is not None


def _worker_with_program(node: Node, namespace: str) -> PodWorker | None:
    return next((each for each in node.workers if each.ref.namespace == namespace and each.sandbox), None)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def webhook(client: ClusterClient, namespace: str, authority: trustme.CA) -> str:
    """The operator's pod with its certificate and Service; returns the Service's host name."""
    host = f"webhook.{namespace}.svc"
    client.create(leaf_secret(authority, namespace, "tls", host))
    client.create(_service(namespace))
    client.create(
        pod(
            namespace,
            "operator",
            OSOK_IMAGE,
            container_command=["/manager"],
            container_readinessProbe={"httpGet": {"path": "/readyz", "port": 8081}, "initialDelaySeconds": 5},
            container_volumeMounts=[{"name": "tls", "mountPath": _CERTIFICATES}],
            volumes=[{"name": "tls", "secret": {"secretName": "tls"}}],
        )
    )
    wait_for(lambda: _is_ready(client, namespace, "operator"))
    return host


def _service(namespace: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "webhook", "namespace": namespace},
        "spec": {"selector": {"app": "operator"}, "ports": [{"port": 443, "targetPort": 9443}]},
    }


def _address(client: ClusterClient, namespace: str) -> tuple[str, int]:
    service = client.get(ObjectRef("v1", "Service", "webhook", namespace))
    assert service is not None
    return service["spec"]["clusterIP"], 443


def test_the_operator_serves_its_certificate_at_the_services_address(
    client: ClusterClient, namespace: str, authority: trustme.CA, webhook: str
) -> None:
    address = _address(client, namespace)

    assert wait_for(lambda: served_serial(address, authority, webhook))


def test_the_pods_address_is_the_services_endpoint(
    client: ClusterClient, namespace: str, webhook: str
) -> None:
    assert webhook
    address = _status(client, namespace, "operator")["podIP"]

    assert wait_for(lambda: _endpoints(client, namespace)) == [address]


def _endpoints(client: ClusterClient, namespace: str) -> list[str]:
    slices = client.list_objects("discovery.k8s.io/v1", "EndpointSlice", namespace)
    endpoints = [each for found in slices for each in found.get("endpoints") or []]
    return [address for each in endpoints if each["conditions"]["ready"] for address in each["addresses"]]


def test_a_changed_secret_reaches_the_served_certificate(
    client: ClusterClient, namespace: str, authority: trustme.CA, webhook: str
) -> None:
    """R21: what every endpoint serves after the Secret was patched."""
    address = _address(client, namespace)
    before = wait_for(lambda: served_serial(address, authority, webhook))
    new = leaf_secret(authority, namespace, "tls", webhook)

    client.patch(ObjectRef("v1", "Secret", "tls", namespace), {"data": new["data"]})

    wait_for(lambda: served_serial(address, authority, webhook) not in ("", before))


def test_a_recreated_service_is_listened_on_at_its_new_address(
    client: ClusterClient, namespace: str, authority: trustme.CA, webhook: str
) -> None:
    """OLM 0.20 deletes and recreates its Services at every reinstall."""
    old = _address(client, namespace)
    wait_for(lambda: served_serial(old, authority, webhook))

    client.delete(ObjectRef("v1", "Service", "webhook", namespace))
    wait_for(lambda: _refuses(old))
    client.create(_service(namespace))

    new = _address(client, namespace)
    assert new != old
    assert wait_for(lambda: served_serial(new, authority, webhook))


def test_a_service_without_ready_pods_refuses_connections(
    client: ClusterClient, namespace: str, authority: trustme.CA, webhook: str
) -> None:
    address = _address(client, namespace)
    wait_for(lambda: served_serial(address, authority, webhook))

    client.delete(ObjectRef("v1", "Pod", "operator", namespace))

    wait_for(lambda: _refuses(address))


def _refuses(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


def test_each_pod_can_be_reached_by_itself(
    client: ClusterClient, node: Node, namespace: str, authority: trustme.CA, webhook: str
) -> None:
    assert client.get(ObjectRef("v1", "Pod", "operator", namespace))

    address = node.forward_port(namespace, "operator", 9443)

    assert served_serial(address, authority, webhook)


def test_the_log_is_read_through_the_api_server(client: ClusterClient, namespace: str, webhook: str) -> None:
    assert webhook
    log = client.read_text(f"/api/v1/namespaces/{namespace}/pods/operator/log", {"tailLines": "1"})

    assert log == "serving webhooks on 0.0.0.0:9443\n"
