"""Publishing a certificate so that it stays and no admission call fails meanwhile (R20, R21).

On a fresh cluster the Secret is made before the operator. Where the operator runs, trust is widened first,
then the leaf is switched, and trust is narrowed last; the Secret and every caBundle hold the same bytes after
each step. Each step is found out from the cluster itself, so a run that was killed goes on where it ended.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.previous import forget_previous, keep_previous, previous_data, previous_facts
from tasks.certificates.proving import failed_findings, prove
from tasks.certificates.rollout import Rollout
from tasks.certificates.signing import IssuedCertificate
from tasks.certificates.staging import discard_staged, require_staged
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_at
from tasks.connections import open_cluster
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.bundles import TrustSteps, plan_trust_steps
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.olm import OlmAction, predict_olm
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import (
    SecretFacts,
    ServingMaterial,
    build_webhook_secret,
    read_webhook_secret,
    switch_patch,
)
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import installed_olm_version
from tasks.core.outcomes import StepOutcome
from tasks.core.profiles import OperatorProfile
from tasks.steps import step


@dataclass(frozen=True)
class Publication:
    """What to publish on one cluster.

    Attributes:
        csv: Name of the operator's ClusterServiceVersion; OLM has to leave it Succeeded after every step.
    """

    order: CertificateOrder
    certificate: IssuedCertificate
    profile: OperatorProfile
    csv: str

    @property
    def leaf(self) -> Certificate:
        """The new leaf."""
        return read_certificates(self.certificate.certificate_pem)[0]

    @property
    def authorities(self) -> tuple[Certificate, ...]:
        """The CA certificates to trust, the issuing one first."""
        return read_certificates(self.certificate.authority_pem)


@step("publish-certificate")
def publish_certificate(cluster: KubernetesCluster, publication: Publication, until: datetime) -> StepOutcome:
    """Bring the certificate into use, or find that it is.

    Raises:
        CertificateError: OLM would replace it, or the proof failed and the previous certificate serves again.
        StalledError: A step did not settle in time; trust is wide, and a later run goes on.
    """
    client = open_cluster(cluster)
    order = publication.order
    secret = client.get(_secret_ref(order))
    if secret is None:
        return _create(client, publication)
    facts = read_webhook_secret(secret)
    if client.get(_csv_ref(publication)) is None and _has_leaf(facts, publication):
        discard_staged(client, order)
        return StepOutcome(detail=_detail(publication))
    rollout = Rollout(client, order, publication.csv, deadline_at(until))
    changed: list[str] = []
    if not _has_leaf(facts, publication):
        changed += _switch(client, publication, rollout, secret)
    changed += _finish(client, publication, rollout)
    discard_staged(client, order)
    return StepOutcome(tuple(changed), _detail(publication))


def _create(client: ClusterClient, publication: Publication) -> StepOutcome:
    order = publication.order
    staged = require_staged(client, order)
    trust = publication.certificate.authority_pem
    material = ServingMaterial(publication.certificate.certificate_pem, staged.key, trust)
    manifest = build_webhook_secret(order.secret, order.namespace, material)
    _require_that_olm_keeps(client, publication, manifest)
    client.create(manifest)
    discard_staged(client, order)
    return StepOutcome((f"CREATED {_secret_ref(order)}",), _detail(publication))


def _switch(client: ClusterClient, publication: Publication, rollout: Rollout, secret: Manifest) -> list[str]:
    staged = require_staged(client, publication.order)
    steps = _plan(secret, publication)
    material = ServingMaterial(publication.certificate.certificate_pem, staged.key, steps.switched)
    facts = read_webhook_secret(secret)
    patch = switch_patch(facts, material)
    _require_that_olm_keeps(client, publication, _patched(secret, patch))
    keep_previous(client, secret)
    changed = rollout.trust(steps.widened)
    # The Secret was written by the widening: the precondition of the switch is its version from then on.
    facts = rollout.facts()
    client.patch(_secret_ref(publication.order), switch_patch(facts, material))
    changed += [f"UPDATED {_secret_ref(publication.order)}: tls.crt, tls.key, olmCAKey"]
    return changed + rollout.trust(steps.switched)


def _finish(client: ClusterClient, publication: Publication, rollout: Rollout) -> list[str]:
    """Wait until every endpoint serves the new leaf, prove it, narrow the trust and prove it again."""
    changed = rollout.trust(rollout.facts().trust)
    rollout.wait_until_served(publication.leaf)
    findings = failed_findings(prove(client, publication.profile, publication.order))
    if findings:
        changed += _roll_back(client, publication, rollout)
        raise CertificateError(
            "publish the certificate",
            f"{client.name}: {_secret_ref(publication.order)}",
            "a proof through the API server",
            "; ".join(f"{one.check} {one.subject}: {one.found}" for one in findings[:5]),
            "The previous certificate serves again. Nothing was lost; find the cause, then run again.",
        )
    changed += rollout.trust(b"".join(one.pem for one in publication.authorities))
    forget_previous(client, publication.order.namespace)
    return changed


def _roll_back(client: ClusterClient, publication: Publication, rollout: Rollout) -> list[str]:
    namespace = publication.order.namespace
    data = previous_data(client, namespace)
    kept = previous_facts(client, namespace)
    if data is None or kept is None or kept.leaf is None:
        return []
    back = plan_trust_steps(
        read_certificates(rollout.facts().trust), publication.leaf, kept.leaf, read_certificates(kept.trust)
    )
    client.patch(_secret_ref(publication.order), rollout.restoring_patch(data, back.switched))
    changed = rollout.trust(back.switched)
    rollout.wait_until_served(kept.leaf)
    changed += rollout.trust(back.narrowed)
    forget_previous(client, namespace)
    return changed


def _plan(secret: Manifest, publication: Publication) -> TrustSteps:
    facts = read_webhook_secret(secret)
    present = read_certificates(facts.trust)
    return plan_trust_steps(present, facts.leaf, publication.leaf, publication.authorities)


def _require_that_olm_keeps(client: ClusterClient, publication: Publication, secret: Manifest) -> None:
    """Refuse to write what OLM would throw away (its own rule, per version)."""
    order = publication.order
    csvs = client.list_objects("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "olm")
    version = installed_olm_version(csvs)
    status = (client.get(_csv_ref(publication)) or {}).get("status") or {}
    hosts = order.plan.target.olm_hosts
    prediction = predict_olm(secret, status, hosts, version, datetime.now(UTC))
    if prediction.action is OlmAction.REPLACE:
        raise CertificateError(
            "publish the certificate",
            f"{client.name}: {_secret_ref(order)}",
            f"a Secret that OLM {version} keeps",
            f"{prediction.reason}: {prediction.message}",
            "Nothing was written.",
        )


def _patched(secret: Manifest, patch: Manifest) -> Manifest:
    metadata = {**secret["metadata"], **patch["metadata"]}
    return {**secret, "metadata": metadata, "data": {**secret["data"], **patch["data"]}}


def _has_leaf(facts: SecretFacts, publication: Publication) -> bool:
    return facts.leaf is not None and facts.leaf.sha256 == publication.leaf.sha256


def _csv_ref(publication: Publication) -> ObjectRef:
    namespace = publication.order.namespace
    return ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", publication.csv, namespace)


def _secret_ref(order: CertificateOrder) -> ObjectRef:
    return ObjectRef("v1", "Secret", order.secret, order.namespace)


def _detail(publication: Publication) -> str:
    issued = publication.certificate
    return f"serial {issued.serial} until {issued.not_after:%Y-%m-%d}, {issued.decided}"
