"""What the endpoints of a webhook's Services present, seen through a real API server (R21)."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.node import Node
from deployments.rehearsal.programs import Programs
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.connection import connect
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.core.certificates.findings import EndpointFact
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.errors import ClusterForbiddenError
from tasks.core.kubeconfigs import ConnectionSettings
from tasks.core.manifests import Manifest, ObjectRef
from tests.deployments.test_node_support import (
    OPERATOR,
    OSOK_IMAGE,
    leaf_secret,
    make_namespace,
    pod,
    wait_for,
)

pytestmark = pytest.mark.cluster

_CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the mount path inside the container
_RBAC = "rbac.authorization.k8s.io"


@pytest.fixture(scope="module")
def node(control_plane: ControlPlane, programs: Programs) -> Iterator[Node]:
    with Node(control_plane, programs, OPERATOR) as running:
        yield running


@pytest.fixture(scope="module")
def client(control_plane: ControlPlane, node: Node) -> ClusterClient:
    assert node.folder.is_dir()
    return control_plane.client()


@pytest.fixture(scope="module")
def root() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def authority(root: trustme.CA) -> trustme.CA:
    """An intermediate."""
    return root.create_child_ca()


@pytest.fixture(scope="module")
def namespace(client: ClusterClient, authority: trustme.CA) -> Iterator[str]:
    """With the pod `operator`, which serves, and the Service `webhook` in front of it."""
    made = make_namespace(client)
    client.create(leaf_secret(authority, made, "operator", f"webhook.{made}.svc"))
    client.create(service(made, "webhook"))
    client.create(operator(made, "operator"))
    healthy_fact(client, made)
    yield made
    client.delete(ObjectRef("v1", "Namespace", made))


def service(namespace: str, name: str, target: int = 9443, **spec: object) -> Manifest:
    ports = [{"port": 443, "targetPort": target}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": "operator"}, "ports": ports, **spec},
    }


def operator(namespace: str, name: str, label: str = "operator", health: int = 8081) -> Manifest:
    """A pod of the operator with the certificate in the Secret of its name."""
    made = pod(
        namespace,
        name,
        OSOK_IMAGE,
        container_command=["/manager"],
        container_readinessProbe={"httpGet": {"path": "/readyz", "port": health}, "periodSeconds": 1},
        container_volumeMounts=[{"name": "tls", "mountPath": _CERTIFICATES}],
        volumes=[{"name": "tls", "secret": {"secretName": name}}],
    )
    made["metadata"]["labels"]["app"] = label
    return made


def facts(client: ClusterClient, namespace: str, *services: str) -> tuple[EndpointFact, ...]:
    return read_endpoint_facts(client, WebhookTarget(namespace, services or ("webhook",)))


def healthy_fact(client: ClusterClient, namespace: str) -> EndpointFact:
    """The fact of the only endpoint, as soon as nothing is wrong: a busy pod misses a probe at times."""
    return wait_for(lambda: next((one for one in facts(client, namespace) if not one.problem), None))


def fact_with_address(client: ClusterClient, namespace: str, name: str) -> EndpointFact:
    """The fact of a Service's only endpoint, as soon as it has one."""
    return wait_for(lambda: next((one for one in facts(client, namespace, name) if one.address), None))


def test_an_endpoint_presents_its_whole_chain(
    client: ClusterClient, namespace: str, root: trustme.CA
) -> None:
    fact = healthy_fact(client, namespace)

    assert fact.address.startswith("198.18.")
    assert fact.address.endswith(":9443")
    assert len(read_certificates(fact.presented)) == 2
    name = f"webhook.{namespace}.svc"
    assert verify_for_api_server(fact.presented, root.cert_pem.bytes(), name, datetime.now(UTC)).valid


def test_a_changed_secret_is_seen_on_the_next_connection(
    client: ClusterClient, namespace: str, authority: trustme.CA
) -> None:
    new = leaf_secret(authority, namespace, "operator", f"webhook.{namespace}.svc")
    before = facts(client, namespace)[0].presented

    client.patch(ObjectRef("v1", "Secret", "operator", namespace), {"data": new["data"]})

    after = wait_for(lambda: _other(facts(client, namespace)[0].presented, before))
    assert read_certificates(after)[0].serial != read_certificates(before)[0].serial


def _other(found: bytes, known: bytes) -> bytes:
    return b"" if found == known else found


def test_every_endpoint_of_a_service_is_asked(
    client: ClusterClient, namespace: str, authority: trustme.CA
) -> None:
    for name in ("first", "second"):
        client.create(leaf_secret(authority, namespace, name, f"pair.{namespace}.svc"))
        client.create(operator(namespace, name, label="pair"))
    client.create(service(namespace, "pair", selector={"app": "pair"}))

    one, other = wait_for(lambda: _both_serving(facts(client, namespace, "pair")))

    assert one.address != other.address
    assert read_certificates(one.presented)[0].serial != read_certificates(other.presented)[0].serial


def _both_serving(found: tuple[EndpointFact, ...]) -> tuple[EndpointFact, ...]:
    serving = tuple(one for one in found if one.presented)
    return serving if len(serving) == 2 else ()


def test_a_pod_that_is_not_ready_is_asked_and_told_apart(
    client: ClusterClient, namespace: str, authority: trustme.CA
) -> None:
    client.create(leaf_secret(authority, namespace, "unready", f"unready.{namespace}.svc"))
    client.create(operator(namespace, "unready", label="unready", health=8082))
    client.create(service(namespace, "unready", selector={"app": "unready"}))

    fact = wait_for(lambda: next((one for one in facts(client, namespace, "unready") if one.presented), None))

    assert fact.problem == "the pod is not ready"


def test_a_closed_port_is_a_refused_connection(client: ClusterClient, namespace: str) -> None:
    client.create(service(namespace, "closed", target=9999))

    fact = fact_with_address(client, namespace, "closed")

    assert fact.presented == b""
    assert "connection refused" in fact.problem


def test_a_port_without_tls_is_named(client: ClusterClient, namespace: str) -> None:
    client.create(service(namespace, "plain", target=8081))

    fact = fact_with_address(client, namespace, "plain")

    assert fact.presented == b""
    assert fact.problem.startswith("shake hands: no TLS: ")


def test_an_endpoint_that_does_not_answer_costs_the_timeout(
    client: ClusterClient, namespace: str, node: Node, authority: trustme.CA
) -> None:
    client.create(leaf_secret(authority, namespace, "hanging", f"hanging.{namespace}.svc"))
    client.create(operator(namespace, "hanging", label="hanging"))
    client.create(service(namespace, "hanging", selector={"app": "hanging"}))
    wait_for(lambda: facts(client, namespace, "hanging")[0].presented)
    program = _program_of(node, ObjectRef("v1", "Pod", "hanging", namespace))
    os.kill(program, signal.SIGSTOP)
    try:
        target = WebhookTarget(namespace, ("hanging",))
        (fact,) = read_endpoint_facts(client, target, timedelta(seconds=1))
    finally:
        os.kill(program, signal.SIGCONT)

    assert fact.presented == b""
    assert fact.problem.endswith("timed out")


def _program_of(node: Node, ref: ObjectRef) -> int:
    (sandbox,) = [worker.sandbox for worker in node.workers if worker.ref == ref]
    assert sandbox is not None
    return int(Path(f"/proc/{sandbox.pid}/task/{sandbox.pid}/children").read_text())


def test_a_service_that_is_missing_or_has_no_pods_is_a_fact_without_an_address(
    client: ClusterClient, namespace: str
) -> None:
    client.create(service(namespace, "lonely", selector={"app": "nobody"}))

    lonely, missing = facts(client, namespace, "lonely", "missing")

    assert (lonely.address, lonely.presented) == ("", b"")
    assert lonely.problem.startswith("no endpoints")
    assert missing == EndpointFact("missing", "", b"", "the Service does not exist")


def test_an_endpoint_that_is_no_pod_cannot_be_asked(client: ClusterClient, namespace: str) -> None:
    client.create(service(namespace, "outside", selector=None))
    client.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "outside",
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": "outside"},
            },
            "addressType": "IPv6",
            "endpoints": [{"addresses": ["2001:db8::1"]}],
            "ports": [{"port": 9443, "name": ""}],
        }
    )

    (fact,) = facts(client, namespace, "outside")

    assert fact.address == "[2001:db8::1]:9443"
    assert "it is no pod" in fact.problem


def test_a_client_certificate_works_as_well_as_a_token(control_plane: ControlPlane, namespace: str) -> None:
    files = control_plane.credentials
    settings = ConnectionSettings(
        server=control_plane.server,
        ca_file=str(control_plane.ca_file),
        client_certificate_pem=files.certificate("kubelet-client").read_bytes(),
        client_key_pem=files.key("kubelet-client").read_bytes(),
    )

    (fact,) = facts(connect("certificate", settings, timedelta(seconds=30)), namespace)

    assert fact.problem == ""
    assert read_certificates(fact.presented)


@pytest.mark.parametrize("verbs", [[], ["get"], ["create"]])
def test_an_account_that_may_not_forward_ports_is_told_what_it_needs(
    control_plane: ControlPlane, client: ClusterClient, namespace: str, verbs: list[str]
) -> None:
    """Kubernetes 1.35 and later ask for `create` besides `get`."""
    account = account_with(control_plane, client, namespace, verbs)

    (fact,) = facts(account, namespace)

    assert fact.presented == b""
    assert "`get` and `create` on pods/portforward" in fact.problem
    assert "HTTP 403" in fact.problem


def test_an_account_with_both_verbs_needs_nothing_else(
    control_plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    account = account_with(control_plane, client, namespace, ["get", "create"])

    (fact,) = facts(account, namespace)

    assert fact.problem == ""


def test_an_account_that_may_not_read_services_is_an_error(
    control_plane: ControlPlane, client: ClusterClient, namespace: str
) -> None:
    account = account_with(control_plane, client, "default", ["get", "create"])

    with pytest.raises(ClusterForbiddenError, match="services"):
        facts(account, namespace)


def account_with(
    control_plane: ControlPlane, client: ClusterClient, namespace: str, verbs: list[str]
) -> ClusterClient:
    """A client of a new account that may list what it has to, and has these verbs on pods/portforward."""
    rules = [
        {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": verbs or ["delete"]},
    ]
    metadata = {"generateName": "forwarding-", "namespace": namespace}
    made = client.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    name = made["metadata"]["name"]
    named = {"name": name, "namespace": namespace}
    role = {"apiGroup": _RBAC, "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", **named}
    client.create({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": named, "rules": rules})
    binding = {"apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": named}
    client.create({**binding, "roleRef": role, "subjects": [subject]})
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    ref = ObjectRef("v1", "ServiceAccount", name, namespace)
    token = client.create_subresource(ref, "token", request)["status"]["token"]
    settings = ConnectionSettings(
        server=control_plane.server, ca_file=str(control_plane.ca_file), token=token
    )
    account = connect("account", settings, timedelta(seconds=30))
    wait_for(lambda: _knows_the_role(account, namespace))
    return account


def _knows_the_role(account: ClusterClient, namespace: str) -> bool:
    """The API server learns of a new binding by a watch."""
    attributes = {"verb": "list", "resource": "services", "namespace": namespace}
    review = account.create(
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
    )
    allowed: bool = review["status"]["allowed"]
    return allowed
