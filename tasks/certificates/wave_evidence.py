"""What a wave of certificates keeps as evidence, step by step, and each step once however often a run starts.

Facts are what identifies a step and nothing that differs when the same step is looked at again: a run that
was suspended or killed starts from the top and finds its own records.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from prefect.runtime import flow_run

from tasks.certificates.evidence import EvidenceLog, open_evidence
from tasks.certificates.gate import SigningDecision
from tasks.certificates.signing import IssuedCertificate
from tasks.core.certificate_orders import PendingRequest, wave_digest
from tasks.core.errors import CertificateError, DecisionError, FleetError, RolledBackError
from tasks.core.evidence import EvidenceEvent, EvidenceRecord

_LONGEST = 500
GATE = "gate"
"""The subject of what is shown, answered and refused for all clusters at once."""
_WAVE = "wave"


class WaveEvidence:
    """The evidence of one wave; nothing is kept of a run that asks for nothing.

    Args:
        location: `block-type/name` of a storage block, or a folder; empty for where results go.
    """

    def __init__(self, location: str = "") -> None:
        self._location = location
        self._answers = 0
        self._opened: EvidenceLog | None = None
        self._opening = threading.Lock()

    def asked(self, authority_block: str, request: PendingRequest) -> None:
        """A request is there, made now or by an earlier try."""
        if not self._log.records:
            # A thread that comes second keeps the same record, which is kept once.
            facts = {"flow_run": str(flow_run.id), "flow": flow_run.flow_name, "authority": authority_block}
            self._log.record(EvidenceEvent.STARTED, _WAVE, facts)
        shown = request.shown
        facts = {
            "cluster_uid": request.cluster_uid,
            "request": shown.name,
            "request_uid": shown.uid,
            "request_sha256": shown.digest,
            "requester": shown.requester,
            "signer": shown.signer_name,
            "public_key_sha256": request.spki_sha256,
            "names": list(request.dns_names),
            "authority": request.authority,
        }
        self._log.record(EvidenceEvent.ASKED, request.cluster, facts)

    def shown(self, requests: list[PendingRequest]) -> None:
        """What the approver sees, by digest."""
        shown = {request.cluster: request.shown.digest for request in requests}
        facts = {"bound_to": wave_digest(requests), "requests_sha256": shown}
        self._log.record(EvidenceEvent.SHOWN, GATE, facts)
        self._log.keep_copy()

    def decided(self, requests: list[PendingRequest], decision: SigningDecision) -> None:
        """What the person answered; the approver is what they claim."""
        facts = {
            "bound_to": wave_digest(requests),
            # A retry asks anew, and may be answered in the same words.
            "start": flow_run.run_count,
            "decision": decision.decision.value,
            "claimed_approver": decision.approver,
            "reason": decision.reason,
            "denied_clusters": sorted(decision.denied_clusters),
        }
        self._log.record(EvidenceEvent.DECIDED, GATE, facts)

    def not_accepted(self, complaint: str) -> None:
        """An answer that could not be carried out; a run that starts again refuses it again, in its turn."""
        self._answers += 1
        which = {"start": flow_run.run_count, "answer": self._answers}
        known = [one for one in self._log.records if one.event is EvidenceEvent.REFUSED]
        if not any(which.items() <= one.facts.items() for one in known):
            self._log.record(EvidenceEvent.REFUSED, GATE, {**which, "found": complaint[:_LONGEST]})
            self._log.keep_copy()

    def issued(self, cluster: str, certificate: IssuedCertificate) -> None:
        """A certificate was signed, put into the request, and read back."""
        facts = {
            **_identity(certificate.serial, certificate.sha256),
            "request": certificate.request,
            "public_key_sha256": certificate.spki_sha256,
            "approval": certificate.decided,
            "not_before": _iso(certificate.not_before),
            "not_after": _iso(certificate.not_after),
        }
        self._log.record(EvidenceEvent.ISSUED, cluster, facts)

    def published(self, cluster: str) -> None:
        """What was issued for the cluster is in its Secret, and served where something serves."""
        self._record_about_issued(EvidenceEvent.PUBLISHED, cluster)

    def proven(self, cluster: str) -> None:
        """The API server was seen to accept it."""
        self._record_about_issued(EvidenceEvent.PROVEN, cluster)

    def failed(self, cluster: str, error: FleetError) -> None:
        """A refusal or a rollback; what may pass by itself is no evidence."""
        facts = {"attempted": error.attempted, "found": str(error)[:_LONGEST]}
        match error:
            case RolledBackError():
                self._log.record(EvidenceEvent.ROLLED_BACK, cluster, facts)
            case CertificateError() | DecisionError():
                self._log.record(EvidenceEvent.REFUSED, cluster, facts)
            case _:
                return

    def catch_up(self, cluster: str, fingerprint: Callable[[], str]) -> None:
        """Record a publication whose run was killed before it could be recorded.

        Args:
            cluster: Which cluster.
            fingerprint: Reads the SHA-256 of the certificate in the cluster's Secret.
        """
        issued = self._last(EvidenceEvent.ISSUED, cluster)
        published = self._last(EvidenceEvent.PUBLISHED, cluster)
        known = published.facts["sha256"] if published else ""
        if issued and issued.facts["sha256"] != known and fingerprint() == issued.facts["sha256"]:
            self.published(cluster)

    def finish(self) -> None:
        """How each cluster ended, and the chain as artifacts of the run."""
        if self._opened is None or not self._log.records:
            return
        ends = {
            record.subject: record.event.value
            for record in self._log.records
            if record.subject not in (GATE, _WAVE)
        }
        self._log.record(EvidenceEvent.FINISHED, _WAVE, ends)
        self._log.publish()

    @property
    def _log(self) -> EvidenceLog:
        with self._opening:
            if self._opened is None:
                self._opened = open_evidence(self._location)
            return self._opened

    def _record_about_issued(self, event: EvidenceEvent, cluster: str) -> None:
        if issued := self._last(EvidenceEvent.ISSUED, cluster):
            self._log.record(event, cluster, _identity(issued.facts["serial"], issued.facts["sha256"]))

    def _last(self, event: EvidenceEvent, cluster: str) -> EvidenceRecord | None:
        found = [one for one in self._log.records if (one.event, one.subject) == (event, cluster)]
        return found[-1] if found else None


def _identity(serial: str, sha256: str) -> dict[str, Any]:
    return {"serial": serial, "sha256": sha256}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
