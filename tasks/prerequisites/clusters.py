"""Prefect tasks that look at what a cluster itself needs. Secrets are judged where they are read."""

from datetime import UTC, datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.tenancy.sdk import oci
from tasks.connections import open_cluster
from tasks.core.errors import FleetError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.prerequisites.clusters import check_metrics_server, check_pod_security
from tasks.core.prerequisites.credentials import CREDENTIALS_SECRET, check_config_secret, check_credentials
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.gateway_secrets import check_gateway_secret
from tasks.core.prerequisites.settings import ClusterNeeds, GatewayCertificate, SecretGatewayCertificate
from tasks.steps import step


@step("check-operator-credentials")
def check_operator_credentials(cluster: KubernetesCluster, needs: ClusterNeeds) -> tuple[Finding, ...]:
    """R23: the Secrets that decide whom the operator calls OCI as."""
    regions = frozenset(oci().regions.REGIONS)
    try:
        client = open_cluster(cluster)
        credentials = _secret(client, needs.namespace, CREDENTIALS_SECRET)
        config = _secret(client, needs.namespace, needs.config_secret)
    except FleetError as error:
        return (_not_read("operator's credentials", f"{error}"),)
    return (
        *check_credentials(credentials, needs.namespace, needs.identity, regions),
        check_config_secret(config, needs.namespace, needs.config_secret),
    )


@step("check-operator-surroundings")
def check_operator_surroundings(cluster: KubernetesCluster, needs: ClusterNeeds) -> tuple[Finding, ...]:
    """R4, R11: Pod Security of the namespace, and the metrics API."""
    try:
        client = open_cluster(cluster)
        namespace = client.get(ObjectRef("v1", "Namespace", needs.namespace))
        metrics = client.get(ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io"))
    except FleetError as error:
        return (_not_read("namespace: Pod Security", f"{error}"),)
    return check_pod_security(namespace, needs.namespace), check_metrics_server(metrics)


@step("check-gateway-secret")
def check_gateway_certificate(cluster: KubernetesCluster, gateway: GatewayCertificate) -> tuple[Finding, ...]:
    """R27's alternative: the ingress gateway's certificate in a Secret."""
    if not isinstance(gateway, SecretGatewayCertificate):
        return ()
    try:
        client = open_cluster(cluster)
        secret = _secret(client, gateway.namespace, gateway.secret)
    except FleetError as error:
        return (_not_read("certificate: Secret", f"{error}"),)
    return check_gateway_secret(
        secret, f"{gateway.namespace}/{gateway.secret}", gateway.hosts, datetime.now(UTC)
    )


def _secret(client: ClusterClient, namespace: str, name: str) -> Manifest | None:
    return client.get(ObjectRef("v1", "Secret", name, namespace))


def _not_read(name: str, reason: str) -> Finding:
    check = Check(CheckGroup.CLUSTER, "R23", name, "not read")
    return check.unknown(reason, "Give the fleet's account the right to read it, or run the check again.")
