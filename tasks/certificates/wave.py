"""One wave of certificates: asked for on every cluster, decided once, then signed and published per cluster.

It runs inside a flow and calls tasks; install-fleet and issue-webhook-certificate share it.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.expiry import UndecidedRequest, cleared_if_nobody_decides
from tasks.certificates.gate import (
    ExternalSigningDecision,
    Question,
    SigningDecision,
    ask_for_decision,
    shown_in_this_try,
)
from tasks.certificates.orders import fingerprint_in_use, order_for, why_certificate_is_needed
from tasks.certificates.pasting import PasteReview
from tasks.certificates.proving import failed_findings, prove_certificate
from tasks.certificates.publishing import Publication, publish_certificate
from tasks.certificates.requests import request_certificate
from tasks.certificates.signers import signer_for
from tasks.certificates.signing import (
    Decision,
    check_authority,
    discard_denied_request,
    sign_certificate,
)
from tasks.certificates.wave_evidence import GATE, WaveEvidence
from tasks.connections import load_block
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.errors import DecisionError, FleetError
from tasks.core.outcomes import StepOutcome
from tasks.core.profiles import OperatorProfile
from tasks.core.settings import CertificateChoice, GatePolicy
from tasks.core.verification import Finding
from tasks.target import Target


@dataclass
class CertificateWave:
    """The certificates of one run.

    Args:
        profile: The operator.
        namespace: Where it runs.
        choice: The run's parameters.
        csvs: Name of the operator's ClusterServiceVersion by cluster; filled before `carry_out`.
    """

    profile: OperatorProfile
    namespace: str
    choice: CertificateChoice
    csvs: dict[str, str] = field(default_factory=dict)
    requests: dict[str, PendingRequest] = field(default_factory=dict)
    decision: SigningDecision | None = None
    evidence: WaveEvidence = field(init=False)

    def __post_init__(self) -> None:
        """Know where the evidence goes; it is opened when there is something to keep."""
        self.evidence = WaveEvidence(self.choice.evidence)

    @property
    def order(self) -> CertificateOrder:
        """What is requested on every cluster."""
        return order_for(self.profile, self.namespace, self.choice)

    @property
    def authority(self) -> CertificateAuthority:
        """The block of the CA."""
        return load_block(CertificateAuthority, self.choice.authority)

    def request(self, cluster: KubernetesCluster, target: Target) -> StepOutcome:
        """Make or find the request of one cluster, unless it has the right certificate already."""
        block = self.authority
        reason = why_certificate_is_needed(cluster, self.order, block)
        if not reason:
            return StepOutcome(detail="the right certificate is in use")
        authority = check_authority(cluster, self.order, block)
        decide_by = datetime.now(UTC) + self.choice.decision_deadline
        pending = request_certificate(cluster, self.order, target, shown_in_this_try(), decide_by)
        self.requests[target.name] = replace(pending, authority=authority)
        self.evidence.asked(self.choice.authority, self.requests[target.name])
        return StepOutcome(detail=f"{pending.shown.name} waits for a decision: {reason}")

    def decide(self) -> None:
        """Suspend the flow run until a person decides; at once when nothing is asked for."""
        if self.requests:
            requests = [self.requests[name] for name in sorted(self.requests)]
            self.evidence.shown(requests)
            patience = self.choice.decision_deadline
            undecided = [
                UndecidedRequest(
                    cluster=one.cluster, namespace=self.namespace, name=one.shown.name, uid=one.shown.uid
                )
                for one in requests
            ]
            try:
                with cleared_if_nobody_decides(undecided, patience):
                    self.decision = ask_for_decision(requests, patience, self._question(requests))
            except FleetError as error:
                # The run ends here: an answer that names nobody, or none at all.
                self.evidence.failed(GATE, error)
                self.finish()
                raise
            self.evidence.decided(requests, self.decision)

    def carry_out(self, cluster: KubernetesCluster, name: str, until: datetime) -> StepOutcome:
        """Sign and publish on one cluster as decided.

        Raises:
            DecisionError: It was denied; nothing was published, request and staged key are gone.
            CertificateError: The request, or the certificate that came back, is not what was shown.
        """
        pending = self.requests.get(name)
        if pending is None or self.decision is None:
            self.evidence.catch_up(name, lambda: fingerprint_in_use(cluster, self.order))
            return StepOutcome(detail="the right certificate is in use")
        try:
            return self._sign_and_publish(cluster, pending, self.decision, until)
        except FleetError as error:
            self.evidence.failed(name, error)
            raise

    def prove(self, cluster: KubernetesCluster, name: str) -> tuple[Finding, ...]:
        """What the API server does with the certificate that is in use now (R21)."""
        findings = prove_certificate(cluster, self.profile, self.order)
        if not failed_findings(findings):
            self.evidence.proven(name)
        return findings

    def finish(self) -> None:
        """End the evidence of this run, whatever became of its clusters."""
        self.evidence.finish()

    def _sign_and_publish(
        self, cluster: KubernetesCluster, pending: PendingRequest, decision: SigningDecision, until: datetime
    ) -> StepOutcome:
        name = pending.cluster
        denial = self._denial(name, decision)
        if denial:
            discard_denied_request(cluster, self.order, pending)
            raise DecisionError(
                "sign the certificate",
                f"{name}: {pending.shown.name}",
                "an approval",
                denial,
                "Nothing was published. Run again when the reason is settled; it asks anew.",
            )
        if isinstance(decision, ExternalSigningDecision):
            pending = replace(pending, signed=decision.certificates)
        issued = sign_certificate(cluster, self.order, pending, decision.decision, self.authority)
        self.evidence.issued(name, issued)
        publication = Publication(self.order, issued, self.profile, self.csvs[name])
        outcome = publish_certificate(cluster, publication, until)
        self.evidence.published(name)
        return outcome

    def _question(self, requests: list[PendingRequest]) -> Question:
        """Where somebody else signs, what they signed is asked for, and judged before anything is done."""
        authority = self.authority
        if authority.kind is not AuthorityKind.EXTERNAL:
            return Question()
        review = PasteReview(self.order, requests, signer_for(authority).trust)

        def explain(answer: SigningDecision) -> str:
            complaint = review.explain(answer)
            if complaint:
                self.evidence.not_accepted(complaint)
            return complaint

        return Question(ExternalSigningDecision, explain)

    def _denial(self, name: str, decision: SigningDecision) -> str:
        """Why a cluster gets no certificate; empty when it gets one."""
        own = self._own_denial(name, decision)
        if own or self.choice.denied_cluster is GatePolicy.CONTINUE:
            return own
        denied = [other for other in sorted(self.requests) if self._own_denial(other, decision)]
        return f"a denial of {', '.join(denied)}, which stops all clusters of the gate" if denied else ""

    def _own_denial(self, name: str, decision: SigningDecision) -> str:
        if denial := self.requests[name].denial:
            return f"a denial in the cluster: {denial}"
        if decision.decision is Decision.DENY or name in decision.denied_clusters:
            return f"a denial by {decision.approver} (claimed): {decision.reason}"
        return ""
