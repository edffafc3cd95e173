"""What a diagnosis says about one cluster, for a person as Markdown and for machines as JSON (R22)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.certificates.observing import ObservedCertificate
from tasks.core.certificates.bundles import issuer_in
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.diagnosis import RunbookAnswer, answer_runbook, diagnose
from tasks.core.certificates.findings import (
    CertificateCase,
    CertificateFinding,
    CertificateState,
    Repair,
    Severity,
)
from tasks.core.certificates.olm import is_made_by_olm
from tasks.core.certificates.secret_diagnosis import entry, severity_now
from tasks.core.markdown import bullets, escaped, table

_SAFE = "Run diagnose-certificate with mode REPAIR_SAFE."
_ISSUE = "Run issue-webhook-certificate for this cluster"

NEXT_STEPS: dict[Repair, str] = {
    Repair.ASK_FOR_DECISION: "Decide on the request: at the gate of the run that waits, or with kubectl "
    "certificate approve or deny.",
    Repair.SIGN_REQUEST: f"{_ISSUE}: it finds the approved request, signs and publishes it.",
    Repair.ISSUE_NEW_CERTIFICATE: f"{_ISSUE}: it makes a key and a request, and asks for a decision.",
    Repair.REPLACE_CA: f"Choose another CA in the CA's block. {_ISSUE}: it trusts both meanwhile.",
    Repair.RESTART_OPERATOR: "Wait two minutes for the kubelet; if it stays, restart the operator's pods "
    "(kubectl rollout restart).",
    Repair.CHECK_OPERATOR: "Look at the operator's pods, their events and their log.",
    Repair.REMOVE_ANNOTATION: "Take the annotation off the object, or leave the certificate to cert-manager.",
}
"""What a person does about a repair that nobody does without them; the safe ones have `safe_step`."""


class Verdict(StrEnum):
    """How a cluster's webhook certificate is doing."""

    SOUND = "SOUND"
    """Nothing is wrong, notes aside."""
    WILL_BREAK = "WILL_BREAK"
    """It works, until OLM, a restart or a date comes."""
    BROKEN = "BROKEN"
    """The API server refuses webhooks now."""
    UNANSWERED = "UNANSWERED"
    """The cluster could not be looked at."""


@dataclass(frozen=True)
class RepairOutcome:
    """What a repair did on one cluster.

    Attributes:
        before: What was wrong before it.
        changed: One line per object that was written.
        left: What it did not do, and why.
    """

    before: tuple[CertificateFinding, ...] = ()
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClusterDiagnosis:
    """Everything that was found on one cluster. It holds public facts only.

    Attributes:
        cluster: Its name.
        observed: What was read, after a repair if there was one; None when the cluster did not answer.
        findings: What is wrong with it, the worst first.
        error: Why it was not looked at.
        repair: What was repaired; None in mode REPORT.
    """

    cluster: str
    observed: ObservedCertificate | None = None
    findings: tuple[CertificateFinding, ...] = ()
    error: str = ""
    repair: RepairOutcome | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst of the findings."""
        if self.observed is None:
            return Verdict.UNANSWERED
        found = {finding.severity for finding in self.findings}
        if Severity.BROKEN in found:
            return Verdict.BROKEN
        return Verdict.WILL_BREAK if Severity.WILL_BREAK in found else Verdict.SOUND

    @property
    def answers(self) -> tuple[RunbookAnswer, ...]:
        """The runbook's questions (a) to (d)."""
        return answer_runbook(self.observed.state) if self.observed else ()

    @property
    def next_steps(self) -> tuple[str, ...]:
        """What a person does next, the most urgent first."""
        repairs = dict.fromkeys(finding.repair for finding in self.findings)
        return tuple(dict.fromkeys(NEXT_STEPS.get(repair, _SAFE) for repair in repairs))

    def to_markdown(self) -> str:
        """A page for the Prefect UI."""
        parts = [
            f"# {escaped(self.cluster)}: {self.verdict}\n",
            f"{escaped(self.error)}\n" if self.error else "",
            _answers_section(self.answers),
            _findings_section("Findings", self.findings) if self.observed else "",
            _repair_section(self.repair),
            f"## Next steps\n\n{bullets(self.next_steps)}" if self.next_steps else "",
            _facts_section(self.observed),
        ]
        return "\n".join(part for part in parts if part)

    def to_json(self) -> str:
        """The same for machines; keys and their order are stable."""
        return json.dumps(self.to_data(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def to_data(self) -> dict[str, Any]:
        """The diagnosis as JSON data."""
        repair = self.repair or RepairOutcome()
        return {
            "answers": [_answer_data(answer) for answer in self.answers],
            "cluster": self.cluster,
            "error": self.error,
            "findings": [_finding_data(finding) for finding in self.findings],
            "next_steps": list(self.next_steps),
            "repair": {
                "before": [_finding_data(finding) for finding in repair.before],
                "changed": list(repair.changed),
                "left": list(repair.left),
            },
            "unseen": list(self.observed.unseen) if self.observed else [],
            "verdict": self.verdict.value,
        }


def findings_of(
    observed: ObservedCertificate, authorities: Sequence[Certificate] = ()
) -> tuple[CertificateFinding, ...]:
    """What is wrong, the worst first.

    Args:
        observed: What was read.
        authorities: The CA that should have signed, when the run names it. The cluster forgets an issued
            request after an hour; from then on only this tells an own certificate from one that OLM made.
    """
    state = observed.state
    findings = diagnose(state)
    foreign = tuple(_foreign_issuer(state, authorities)) if authorities else ()
    order = list(Severity)
    return tuple(sorted((*foreign, *findings), key=lambda finding: order.index(finding.severity)))


def fleet_table(diagnoses: Iterable[ClusterDiagnosis]) -> str:
    """One line for each cluster."""
    rows = [
        (one.cluster, one.verdict.value, str(len(one.findings)), first_problem(one), _changes(one))
        for one in diagnoses
    ]
    return table(("Cluster", "Verdict", "Findings", "First problem", "Repaired"), rows)


def first_problem(diagnosis: ClusterDiagnosis) -> str:
    """The worst finding in one line, or why the cluster did not answer."""
    worst = next(iter(diagnosis.findings), None)
    if worst is None or worst.severity is Severity.NOTE:
        return diagnosis.error
    return f"{worst.case} {worst.subject}: {worst.found}"


def _foreign_issuer(
    state: CertificateState, authorities: Sequence[Certificate]
) -> Iterable[CertificateFinding]:
    secret = state.secret
    leaf = secret.leaf if secret else None
    if secret is None or leaf is None or state.issued or issuer_in(authorities, leaf):
        return
    yield CertificateFinding(
        CertificateCase.SECRET_OVERWRITTEN if is_made_by_olm(leaf) else CertificateCase.WRONG_CERTIFICATE,
        severity_now(state),
        entry(secret, "tls.crt"),
        f"a certificate by `{authorities[0].subject}`",
        f"certificate {leaf.serial} by `{leaf.issuer}`",
        Repair.ISSUE_NEW_CERTIFICATE,
    )


def _changes(diagnosis: ClusterDiagnosis) -> str:
    return str(len(diagnosis.repair.changed)) if diagnosis.repair else ""


def _answers_section(answers: tuple[RunbookAnswer, ...]) -> str:
    rows = [
        (
            f"({one.letter})",
            one.question,
            one.answer.value,
            one.evidence,
            one.repair.value if one.repair else "",
        )
        for one in answers
    ]
    headers = ("", "Question", "Answer", "Evidence", "Repair")
    return f"## The runbook's questions (R22)\n\n{table(headers, rows)}" if rows else ""


def _findings_section(title: str, findings: tuple[CertificateFinding, ...]) -> str:
    if not findings:
        return f"## {title}\n\nNothing is wrong.\n"
    rows = [
        (one.severity.value, one.case.value, one.subject, one.expected, one.found, one.repair.value)
        for one in findings
    ]
    headers = ("Severity", "Case", "Object", "Expected", "Found", "Repair")
    return f"## {title}\n\n{table(headers, rows)}"


def _repair_section(repair: RepairOutcome | None) -> str:
    if repair is None:
        return ""
    parts = [
        "## Repaired\n",
        bullets(repair.changed) or "Nothing was written.\n",
        f"### Left as it is\n\n{bullets(repair.left)}" if repair.left else "",
        _findings_section("What was wrong before", repair.before) if repair.changed else "",
    ]
    return "\n".join(part for part in parts if part)


def _facts_section(observed: ObservedCertificate | None) -> str:
    if observed is None:
        return ""
    state = observed.state
    leaf = state.secret.leaf if state.secret else None
    prediction = state.prediction
    rows = [
        ("Certificate", f"serial {leaf.serial} by {leaf.issuer}" if leaf else "none"),
        ("Valid until", f"{leaf.not_after.isoformat()}" if leaf else ""),
        (f"OLM {observed.olm_version}", f"{prediction.action}: {prediction.message}"),
        *(("", warning.value) for warning in prediction.warnings),
        ("Webhooks", str(len(state.webhooks))),
        ("Endpoints", ", ".join(f"{one.service} {one.address}" for one in state.endpoints)),
        *(("Not looked at", text) for text in observed.unseen),
    ]
    return f"## What was looked at\n\n{table(('', state.now.isoformat(timespec='seconds')), rows)}"


def _answer_data(answer: RunbookAnswer) -> dict[str, str]:
    return {
        "answer": answer.answer.value,
        "evidence": answer.evidence,
        "letter": answer.letter,
        "question": answer.question,
        "repair": answer.repair.value if answer.repair else "",
    }


def _finding_data(finding: CertificateFinding) -> dict[str, str]:
    return {
        "case": finding.case.value,
        "expected": finding.expected,
        "found": finding.found,
        "repair": finding.repair.value,
        "severity": finding.severity.value,
        "subject": finding.subject,
    }
