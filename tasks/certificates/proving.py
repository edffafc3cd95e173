"""The proof of a published certificate: what the API server does, not what objects say (R21)."""

from datetime import UTC, datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.webhooks import read_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.names import server_name
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.profiles import OperatorProfile
from tasks.core.verification import Check, Finding, FindingState
from tasks.steps import step
from tasks.verification import verify_once


@step("prove-certificate")
def prove_certificate(
    cluster: KubernetesCluster, profile: OperatorProfile, order: CertificateOrder
) -> tuple[Finding, ...]:
    """Every check of the installation, every call, and a handshake with every endpoint."""
    return prove(open_cluster(cluster), profile, order)


def prove(client: ClusterClient, profile: OperatorProfile, order: CertificateOrder) -> tuple[Finding, ...]:
    """Objects and calls as in the verification, and handshakes under the roots that the API server uses."""
    return (*verify_once(client, profile, order.namespace), *_handshakes(client, order))


def failed_findings(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Those that contradict the proof."""
    return tuple(finding for finding in findings if finding.state is FindingState.FAIL)


def _handshakes(client: ClusterClient, order: CertificateOrder) -> tuple[Finding, ...]:
    bundles = {
        bundle.service: bundle.ca_bundle for bundle in read_bundles(client, order.namespace, order.services)
    }
    trusted = next(iter(bundles.values()), b"")
    now = datetime.now(UTC)
    findings = []
    for fact in read_endpoint_facts(client, order.plan.target):
        name = server_name(fact.service, order.namespace)
        verdict = verify_for_api_server(fact.presented, bundles.get(fact.service, trusted), name, now)
        state = FindingState.PASS if verdict.valid else FindingState.FAIL
        found = "valid" if verdict.valid else fact.problem or verdict.message
        subject = f"{fact.service} {fact.address}"
        findings.append(Finding(Check.HANDSHAKE, "R21", subject, state, f"valid for {name}", found))
    return tuple(findings)
