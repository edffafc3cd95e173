"""What certificate a cluster should have, and whether it has it already."""

from datetime import UTC, datetime

from blocks.certificate_authority import CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.signers import signer_for
from tasks.certificates.staging import read_staged
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.issuing import check_issued
from tasks.core.certificates.olm import rotation_date
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.renewal import RenewalPolicy, ServedCertificate, plan_renewal
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.webhook_secrets import SecretFacts, read_webhook_secret
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import ObjectRef
from tasks.core.olm_health import installed_olm_version
from tasks.core.profiles import OperatorProfile
from tasks.core.settings import CertificateChoice
from tasks.steps import step

_OLM_V1ALPHA1 = "operators.coreos.com/v1alpha1"


def order_for(profile: OperatorProfile, namespace: str, choice: CertificateChoice) -> CertificateOrder:
    """The order of one cluster: names from the operator's profile, the rest from the run's parameters."""
    return CertificateOrder(
        namespace=namespace,
        services=profile.service_names,
        secret=profile.certificate_secret,
        request_base=profile.request_base,
        key_spec=choice.key_spec,
        validity=choice.validity,
        common_name=choice.common_name,
        signer_name=choice.signer_name,
    )


@step("check-certificate")
def why_certificate_is_needed(
    cluster: KubernetesCluster, order: CertificateOrder, authority: CertificateAuthority
) -> str:
    """Why the cluster needs a new certificate; empty when it has the right one and nothing is under way."""
    client = open_cluster(cluster)
    if read_staged(client, order) is not None:
        return "an earlier run has not finished"
    secret = client.get(ObjectRef("v1", "Secret", order.secret, order.namespace))
    if secret is None:
        return "there is none"
    facts = read_webhook_secret(secret)
    return _fault(facts, order, authority) or _renewal(client, facts, order)


@step("find-operator")
def find_operator_csv(cluster: KubernetesCluster, profile: OperatorProfile, namespace: str) -> str:
    """The name of the operator's ClusterServiceVersion in its namespace.

    Raises:
        PrerequisiteError: The operator is not installed there.
    """
    client = open_cluster(cluster)
    csvs = client.list_objects(_OLM_V1ALPHA1, "ClusterServiceVersion", namespace)
    names = [csv["metadata"]["name"] for csv in csvs if profile.version_of_csv(csv["metadata"]["name"])]
    if not names:
        raise PrerequisiteError(
            "find the operator",
            f"{client.name}: namespace {namespace}",
            f"a ClusterServiceVersion of {profile.title}",
            "none",
            "Run install-fleet first; with certificate.mode OWN it brings the certificate along.",
        )
    return str(names[0])


def describe_present(client: ClusterClient, order: CertificateOrder) -> str:
    """The certificate in the Secret in one line; empty without one."""
    secret = client.get(ObjectRef("v1", "Secret", order.secret, order.namespace))
    leaf = read_webhook_secret(secret).leaf if secret else None
    if leaf is None:
        return ""
    return f"serial {leaf.serial} by {leaf.issuer}, until {leaf.not_after:%Y-%m-%d}"


@step("read-certificate")
def fingerprint_in_use(cluster: KubernetesCluster, order: CertificateOrder) -> str:
    """The SHA-256 of the certificate in the Secret; empty without one."""
    secret = open_cluster(cluster).get(ObjectRef("v1", "Secret", order.secret, order.namespace))
    leaf = read_webhook_secret(secret).leaf if secret else None
    return leaf.sha256 if leaf else ""


def _fault(facts: SecretFacts, order: CertificateOrder, authority: CertificateAuthority) -> str:
    leaf = facts.leaf
    if leaf is None:
        return "the Secret holds no certificate"
    expectation = RequestExpectation(order.plan, facts.key_spki_sha256)
    refusals = check_issued(facts.certificate, expectation, signer_for(authority).trust, datetime.now(UTC))
    return "; ".join(str(refusal) for refusal in refusals)


def _renewal(client: ClusterClient, facts: SecretFacts, order: CertificateOrder) -> str:
    leaf = facts.leaf
    if leaf is None:
        return ""
    csvs = client.list_objects(_OLM_V1ALPHA1, "ClusterServiceVersion", "olm")
    served = ServedCertificate(
        leaf, read_certificates(facts.trust), installed_olm_version(csvs), _rotates_at(client, order)
    )
    life = leaf.not_after - leaf.not_before
    # Every certificate has its own jitter, the same at every look: a fleet does not renew in one hour.
    jitter = life * (int(leaf.sha256[:8], 16) / 0xFFFFFFFF / 20)
    renewal = plan_renewal(served, RenewalPolicy(), jitter)
    if datetime.now(UTC) < renewal.due:
        return ""
    return f"renewal is due since {renewal.due:%Y-%m-%d} ({renewal.decided_by})"


def _rotates_at(client: ClusterClient, order: CertificateOrder) -> datetime | None:
    csvs = client.list_objects(_OLM_V1ALPHA1, "ClusterServiceVersion", order.namespace)
    dates = [rotation_date(csv.get("status") or {}) for csv in csvs]
    return min((date for date in dates if date is not None), default=None)
