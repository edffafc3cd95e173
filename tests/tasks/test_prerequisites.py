"""R23: what a cluster itself needs, read from a real control plane."""

import base64
from collections.abc import Iterator
from uuid import uuid4

import pytest

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import ObjectRef
from tasks.core.prerequisites.credentials import OperatorIdentity
from tasks.core.prerequisites.findings import Finding, Status
from tasks.core.prerequisites.settings import ClusterNeeds, NoGateway, SecretGatewayCertificate
from tasks.prerequisites.clusters import (
    check_gateway_certificate,
    check_operator_credentials,
    check_operator_surroundings,
)

pytestmark = pytest.mark.cluster


@pytest.fixture
def client(control_plane: ControlPlane) -> ClusterClient:
    return control_plane.client()


@pytest.fixture
def cluster(control_plane: ControlPlane) -> KubernetesCluster:
    return KubernetesCluster(kubeconfig_file=control_plane.kubeconfig, context="rehearsal")


@pytest.fixture
def namespace(client: ClusterClient) -> Iterator[str]:
    name = f"prerequisites-{uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    client.delete(ObjectRef("v1", "Namespace", name))


def create_secret(client: ClusterClient, namespace: str, name: str, values: dict[str, str]) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    metadata = {"name": name, "namespace": namespace}
    client.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def statuses(findings: tuple[Finding, ...]) -> dict[str, Status]:
    return {finding.check: finding.status for finding in findings}


def test_without_secrets_the_operator_is_its_instance_and_has_no_configuration_yet(
    cluster: KubernetesCluster, namespace: str
) -> None:
    findings = check_operator_credentials.fn(cluster, ClusterNeeds(namespace=namespace))

    assert statuses(findings) == {
        "operator's credentials": Status.PASS,
        "operator's configuration": Status.WARN,
    }


def test_partly_filled_credentials_are_judged_where_they_are_read(
    cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    create_secret(client, namespace, "oci-service-operator-osokconfig", {"useinstanceprincipal": "false"})
    create_secret(
        client, namespace, "ocicredentials", {"user": "ocid1.user.oc1..u", "region": "eu-frankfurt-1"}
    )
    needs = ClusterNeeds(namespace=namespace, identity=OperatorIdentity.USER)

    findings = check_operator_credentials.fn(cluster, needs)

    assert statuses(findings) == {
        "operator's credentials: completeness": Status.FAIL,
        "operator's credentials: identity": Status.FAIL,
        "operator's credentials: key": Status.FAIL,
        "operator's credentials: region": Status.PASS,
        "operator's configuration": Status.PASS,
    }


def test_a_restricted_namespace_and_an_absent_metrics_server_are_named(
    cluster: KubernetesCluster, client: ClusterClient, namespace: str
) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    client.patch(ObjectRef("v1", "Namespace", namespace), {"metadata": {"labels": labels}})

    findings = check_operator_surroundings.fn(cluster, ClusterNeeds(namespace=namespace))

    assert statuses(findings)["namespace: Pod Security"] is Status.FAIL


def test_the_gateways_secret_is_looked_at_when_it_is_one(cluster: KubernetesCluster, namespace: str) -> None:
    gateway = SecretGatewayCertificate(namespace=namespace, secret="tls", hosts=["shop.example.com"])

    findings = check_gateway_certificate.fn(cluster, gateway)

    assert statuses(findings) == {"certificate: Secret": Status.FAIL}
    assert check_gateway_certificate.fn(cluster, NoGateway()) == ()


def test_a_cluster_that_does_not_answer_leaves_its_findings_unknown(
    cluster: KubernetesCluster,
) -> None:
    assert cluster.kubeconfig_file is not None
    text = cluster.kubeconfig_file.read_text()
    server = next(line for line in text.splitlines() if "server:" in line).split()[-1]
    away = KubernetesCluster.model_validate(
        {
            "source": "CONTENT",
            "kubeconfig": text.replace(server, "https://127.0.0.1:1"),
            "context": "rehearsal",
        }
    )

    findings = check_operator_surroundings.fn(away, ClusterNeeds())

    assert statuses(findings) == {"namespace: Pod Security": Status.UNKNOWN}
