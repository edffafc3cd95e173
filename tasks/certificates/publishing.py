"""Publishing a certificate so that it stays and no admission call fails meanwhile (R20, R21).

On a fresh cluster the Secret is made before the operator. Where the operator runs, trust is widened first,
then the leaf is switched, and trust is narrowed last; the Secret and every caBundle hold the same bytes after
each step. Then OLM takes the new CA over. Each step is found out from the cluster itself, so a run that was
killed goes on where it ended.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NoReturn

from prefect import get_run_logger

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.previous import forget_previous, keep_previous, previous_data, previous_facts
from tasks.certificates.proving import failed_findings, prove
from tasks.certificates.rollout import Rollout
from tasks.certificates.signing import IssuedCertificate
from tasks.certificates.staging import discard_staged, require_staged
from tasks.certificates.takeover import Takeover
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, deadline_at, wait_for
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
from tasks.core.deadlines import Deadline
from tasks.core.errors import CertificateError, FleetError, RolledBackError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import HealthState, installed_olm_version, object_health
from tasks.core.outcomes import StepOutcome
from tasks.core.profiles import OperatorProfile
from tasks.core.verification import Finding
from tasks.olm import OLM_NAMESPACE
from tasks.steps import step

_PROOF = timedelta(seconds=15)
"""How long a proof that fails is tried again: right after a change, views of the cluster may lag."""
_ROLLBACK = timedelta(minutes=5)
"""How long putting the previous certificate back may take, whatever is left of the publication's time."""

_NOTHING_BEFORE = (
    "There is no previous certificate to go back to, so this one goes on serving. Find the cause."
)


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
        CertificateError: OLM would replace it, or the proof failed; the message says what serves now.
        ClusterConflictError: Somebody else changed the Secret; another try starts from what is there then.
        StalledError: A step did not settle in time; what serves is trusted, and a later run goes on.
    """
    return Publishing(open_cluster(cluster), publication, deadline_at(until)).run()


class Publishing:
    """One publication on one cluster."""

    def __init__(self, client: ClusterClient, publication: Publication, deadline: Deadline) -> None:
        self._client = client
        self._publication = publication
        self._order = publication.order
        self._deadline = deadline
        self._rollout = Rollout(client, self._order, publication.csv, deadline)
        csvs = client.list_objects("operators.coreos.com/v1alpha1", "ClusterServiceVersion", OLM_NAMESPACE)
        self._olm_version = installed_olm_version(csvs)

    def run(self) -> StepOutcome:
        """See `publish_certificate`."""
        secret, csv = self._client.get(self._secret), self._client.get(self._rollout.csv)
        changed: list[str] = []
        if csv is None:
            changed += self._put(secret, self._publication.certificate.authority_pem, {})
        else:
            status = csv.get("status") or {}
            if secret is None:
                changed += self._put(secret, self._overlapping(self._registered(), None).switched, status)
            elif not self._is_ours(secret):
                changed += self._switch(secret, status)
            changed += self._finish()
        discard_staged(self._client, self._order)
        issued = self._publication.certificate
        detail = f"serial {issued.serial} until {issued.not_after:%Y-%m-%d}, {issued.decided}"
        return StepOutcome(tuple(changed), detail)

    @property
    def _secret(self) -> ObjectRef:
        return ObjectRef("v1", "Secret", self._order.secret, self._order.namespace)

    def _put(self, secret: Manifest | None, trust: bytes, csv_status: Manifest) -> list[str]:
        """Write the whole Secret at once where nothing serves with it."""
        if secret is not None and self._is_ours(secret):
            return []
        material = self._material(trust)
        manifest = build_webhook_secret(self._order.secret, self._order.namespace, material)
        self._require_that_olm_keeps(manifest, csv_status)
        if secret is None:
            self._client.create(manifest)
            return [f"CREATED {self._secret}"]
        return [self._rollout.write_secret(switch_patch(read_webhook_secret(secret), material))]

    def _switch(self, secret: Manifest, csv_status: Manifest) -> list[str]:
        """Widen the trust, then put certificate, key and CA into the Secret with one patch."""
        facts = read_webhook_secret(secret)
        steps = self._overlapping(read_certificates(facts.trust), facts.leaf)
        material = self._material(steps.switched)
        self._require_that_olm_keeps(_patched(secret, switch_patch(facts, material)), csv_status)
        keep_previous(self._client, secret)
        changed = [] if steps.widened == facts.trust else self._go_round(facts)
        changed += self._rollout.trust(steps.widened, facts.leaf)
        # The widening wrote the Secret: the precondition of the switch is its version from then on.
        now = self._rollout.unchanged_facts(facts.leaf)
        return [*changed, self._rollout.write_secret(switch_patch(now, material))]

    def _go_round(self, facts: SecretFacts) -> list[str]:
        """Be prepared for a look of OLM while the trust is wide: it reinstalls then."""
        if facts.leaf is None:
            return []
        takeover = self._takeover(facts.trust, facts.leaf)
        if risk := takeover.risk:
            get_run_logger().warning("%s: %s", self._client.name, risk)
        return takeover.go_round()

    def _finish(self) -> list[str]:
        """Wait until every endpoint serves the new leaf, prove it, narrow the trust, prove it again."""
        leaf, narrow = self._publication.leaf, b"".join(one.pem for one in self._publication.authorities)
        wide = self._rollout.unchanged_facts(leaf).trust
        changed = self._rollout.trust(wide, leaf, held=0)
        self._rollout.wait_until_served(leaf)
        # The proof wants the webhooks called where OLM has them called.
        self._rollout.called_service = self._rollout.olm_service
        changed += self._rollout.trust(wide, leaf, held=0)
        self._require_proof()
        settled = [] if wide == narrow else self._rollout.trust(narrow, leaf, held=0)
        takeover = self._takeover(narrow, leaf)
        if window := takeover.window:
            get_run_logger().warning("%s: %s", self._client.name, window)
        settled += takeover.carry_out()
        if settled:
            self._rollout.wait_until_served(leaf)
            self._require_proof()
        forget_previous(self._client, self._order.namespace)
        return changed + settled

    def _require_proof(self) -> None:
        # OLM's reinstall rolls the pods, which contradicts nothing: the proof begins when that is over.
        wait_for(self._rollout_state, lambda state: state is not HealthState.PROGRESSING, self._deadline)
        findings = wait_for(self._contradictions, lambda found: not found, deadline_after(_PROOF))
        if findings:
            self._refuse(findings)

    def _rollout_state(self) -> HealthState:
        name, namespace = self._publication.profile.deployment, self._order.namespace
        ref = ObjectRef("apps/v1", "Deployment", name, namespace)
        return object_health(ref, self._client.get(ref)).state

    def _contradictions(self) -> tuple[Finding, ...]:
        return failed_findings(prove(self._client, self._publication.profile, self._order))

    def _refuse(self, findings: tuple[Finding, ...]) -> NoReturn:
        """Put the previous certificate back and say why.

        Raises:
            RolledBackError: The previous certificate serves again.
            CertificateError: It does not.
        """
        kind: type[CertificateError] = CertificateError
        try:
            previous = self._roll_back()
        except FleetError as error:
            state = f"Going back to the previous certificate was not finished: {error} Run again to go on."
        else:
            state = _NOTHING_BEFORE if previous is None else _put_back(previous)
            kind = CertificateError if previous is None else RolledBackError
        raise kind(
            "publish the certificate",
            f"{self._client.name}: {self._secret}",
            "a proof through the API server",
            "; ".join(f"{one.check} {one.subject}: {one.found}" for one in findings[:5]),
            state,
        )

    def _roll_back(self) -> Certificate | None:
        """Put the previous certificate back; returns it, or None when there is none."""
        namespace = self._order.namespace
        data, kept = previous_data(self._client, namespace), previous_facts(self._client, namespace)
        if data is None or kept is None or kept.leaf is None:
            return None
        self._rollout = Rollout(self._client, self._order, self._publication.csv, deadline_after(_ROLLBACK))
        leaf, before = self._publication.leaf, read_certificates(kept.trust)
        now = self._rollout.unchanged_facts(leaf)
        back = plan_trust_steps(read_certificates(now.trust), leaf, kept.leaf, before)
        self._rollout.trust(back.widened, leaf)
        self._rollout.write_secret(self._rollout.restoring_patch(data, back.switched))
        self._rollout.trust(back.switched, kept.leaf, held=0)
        self._rollout.wait_until_served(kept.leaf)
        self._rollout.trust(kept.trust, kept.leaf)
        self._takeover(kept.trust, kept.leaf).carry_out()
        forget_previous(self._client, namespace)
        return kept.leaf

    def _takeover(self, trust: bytes, leaf: Certificate) -> Takeover:
        return Takeover(self._rollout, self._publication.profile.deployment, self._olm_version, trust, leaf)

    def _material(self, trust: bytes) -> ServingMaterial:
        staged = require_staged(self._client, self._order)
        return ServingMaterial(self._publication.certificate.certificate_pem, staged.key, trust)

    def _overlapping(self, present: Sequence[Certificate], serving: Certificate | None) -> TrustSteps:
        return plan_trust_steps(present, serving, self._publication.leaf, self._publication.authorities)

    def _registered(self) -> list[Certificate]:
        """The CAs of the caBundles: what the API server trusts when there is no Secret to tell."""
        return [one for bundle in self._rollout.bundles() for one in read_certificates(bundle.ca_bundle)]

    def _is_ours(self, secret: Manifest) -> bool:
        leaf = read_webhook_secret(secret).leaf
        return leaf is not None and leaf.sha256 == self._publication.leaf.sha256

    def _require_that_olm_keeps(self, secret: Manifest, csv_status: Manifest) -> None:
        """Refuse to write what OLM would throw away (its own rule, per version)."""
        hosts = self._order.plan.target.olm_hosts
        prediction = predict_olm(secret, csv_status, hosts, self._olm_version, datetime.now(UTC))
        if prediction.action is OlmAction.REPLACE:
            raise CertificateError(
                "publish the certificate",
                f"{self._client.name}: {self._secret}",
                f"a Secret that OLM {self._olm_version} keeps",
                f"{prediction.reason}: {prediction.message}",
                "Nothing was written.",
            )


def _put_back(leaf: Certificate) -> str:
    return (
        f"The previous certificate (serial {leaf.serial}) serves again, and nothing was lost. Find the "
        "cause, then run again: the new certificate is kept in its request."
    )


def _patched(secret: Manifest, patch: Manifest) -> Manifest:
    metadata = {**secret["metadata"], **patch["metadata"]}
    return {**secret, "metadata": metadata, "data": {**secret["data"], **patch["data"]}}
