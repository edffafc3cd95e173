"""What was pasted at the gate where somebody else signs, judged before anything is done (R17, R19)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks.certificates.gate import ExternalSigningDecision, SigningDecision
from tasks.certificates.signing import Decision
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.issuing import check_issued
from tasks.core.certificates.pasted import Pasted, read_pasted
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.errors import CertificateError


@dataclass(frozen=True)
class PasteReview:
    """Judges a pasted text by everything that is demanded of an issued certificate, for each request.

    Attributes:
        order: What was requested.
        requests: All that were shown.
        trust: The CA certificates of the block. What is pasted adds nothing to them.
    """

    order: CertificateOrder
    requests: Sequence[PendingRequest]
    trust: tuple[Certificate, ...]

    def explain(self, answer: SigningDecision) -> str:
        """Why the answer cannot be carried out; empty when it can, or when nothing is to be signed."""
        if answer.decision is Decision.DENY or not isinstance(answer, ExternalSigningDecision):
            return ""
        try:
            pasted = read_pasted(answer.certificates)
        except CertificateError as error:
            return str(error)
        strangers = pasted.strangers({request.spki_sha256 for request in self.requests})
        complaints = [f"{stranger}: for no request that was shown" for stranger in strangers]
        for request in self.requests:
            if request.denial or request.cluster in answer.denied_clusters:
                continue
            # With CLUSTER, whoever approved there may have put the certificate into the status, too.
            if answer.decision is Decision.CLUSTER and not pasted.leaves:
                continue
            complaints += self._complain(pasted, request)
        return "; ".join(complaints)

    def _complain(self, pasted: Pasted, request: PendingRequest) -> list[str]:
        try:
            leaf = pasted.for_key(request.spki_sha256)
        except CertificateError as error:
            return [f"{request.cluster}: expected {error.expected}, found {error.found}"]
        expectation = RequestExpectation(self.order.plan, request.spki_sha256)
        refusals = check_issued(leaf.pem, expectation, self.trust, datetime.now(UTC))
        return [f"{request.cluster}: {refusal}" for refusal in refusals]
