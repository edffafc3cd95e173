"""Diagnose a webhook's certificate (runbook R22): every cause with its evidence and its repair.

The page's own advice names the wrong files: server.crt for olmCAKey, ca-key.pem for tls.crt. Here (b)
olmCAKey is the issuing CA's certificate, (c) tls.key belongs to tls.crt, (d) tls.crt is the issued one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.certificates.bundles import BundleProblem, read_bundle
from tasks.core.certificates.cluster_requests import RequestState
from tasks.core.certificates.findings import (
    CertificateCase,
    CertificateFinding,
    CertificateState,
    CertManager,
    EndpointFact,
    Repair,
    Severity,
    WebhookFact,
)
from tasks.core.certificates.names import server_name
from tasks.core.certificates.olm import CA_KEY
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.secret_diagnosis import exposed_key, find_in_secret, pem_faults, verdicts
from tasks.core.certificates.verification import verify_for_api_server

_SEVERITIES = list(Severity)
_CASES = list(CertificateCase)


class Answer(StrEnum):
    """An answer to one of the page's questions."""

    YES = "YES"
    NO = "NO"
    UNKNOWN = "UNKNOWN"
    """What it would take to answer is not there any more."""


@dataclass(frozen=True)
class RunbookAnswer:
    """One of the page's four questions, answered.

    Attributes:
        letter: (a) to (d), as the page numbers them.
        question: The question, with the right file names.
        answer: Yes or no.
        evidence: What was seen.
        repair: What to do, None when the answer is yes or unknown.
    """

    letter: str
    question: str
    answer: Answer
    evidence: str
    repair: Repair | None = None


def diagnose(state: CertificateState) -> tuple[CertificateFinding, ...]:
    """What is wrong, the worst first, causes before effects; nothing when all is well."""
    findings = [
        *_request_findings(state),
        *find_in_secret(state),
        *(finding for webhook in state.webhooks for finding in _webhook_findings(state, webhook)),
        *(finding for endpoint in state.endpoints for finding in _endpoint_findings(state, endpoint)),
        *_disagreements(state),
        *_annotation_findings(state),
    ]
    if not any(finding.severity is Severity.BROKEN for finding in findings):
        findings.extend(_unexplained(state))
    return tuple(sorted(findings, key=_rank))


def answer_runbook(state: CertificateState) -> tuple[RunbookAnswer, ...]:
    """The page's questions (a) to (d) with their answers."""
    findings = diagnose(state)
    questions = [
        ("a", "Is the request Approved and Issued?", _REQUEST_CASES),
        ("b", "Does olmCAKey have the issuing CA's certificate (ca.pem) first?", _TRUST_CASES),
        ("c", "Is tls.key the key of tls.crt (server-key.pem)?", _KEY_CASES),
        ("d", "Is tls.crt the issued certificate (server.crt)?", _CERTIFICATE_CASES),
    ]
    return tuple(_answer(state, findings, *question) for question in questions)


_REQUEST_CASES = frozenset(
    {
        CertificateCase.REQUEST_UNDECIDED,
        CertificateCase.REQUEST_REFUSED,
        CertificateCase.REQUEST_NOT_SIGNED,
    }
)
_TRUST_CASES = frozenset(
    {CertificateCase.WRONG_CA, CertificateCase.INTERMEDIATE_MISPLACED, CertificateCase.CA_NOT_FIRST}
)
_KEY_CASES = frozenset({CertificateCase.KEY_UNREADABLE, CertificateCase.KEY_MISMATCH})
_CERTIFICATE_CASES = frozenset(
    {
        CertificateCase.CERTIFICATE_UNREADABLE,
        CertificateCase.WRONG_CERTIFICATE,
        CertificateCase.SECRET_OVERWRITTEN,
    }
)


def _answer(
    state: CertificateState,
    findings: tuple[CertificateFinding, ...],
    letter: str,
    question: str,
    cases: frozenset[CertificateCase],
) -> RunbookAnswer:
    finding = next((one for one in findings if one.case in cases), None)
    if finding:
        evidence = f"{finding.subject}: expected {finding.expected}, found {finding.found}"
        return RunbookAnswer(letter, question, Answer.NO, evidence, finding.repair)
    if letter == "a":
        if state.request is None:
            gone = "the request was collected: the cluster keeps issued ones for an hour"
            return RunbookAnswer(letter, question, Answer.UNKNOWN, gone)
        return RunbookAnswer(letter, question, Answer.YES, f"its state is {state.request}")
    secret = state.secret
    if secret is None or (letter == "d" and not state.issued):
        missing = "the issued certificate is not known" if secret else "there is no Secret"
        return RunbookAnswer(letter, question, Answer.UNKNOWN, missing)
    facts = {
        "b": ", ".join(f"`{one.subject}`" for one in read_certificates(secret.trust)),
        "c": f"public key {secret.key_spki_sha256}",
        "d": f"serial number {secret.leaf.serial}" if secret.leaf else "",
    }
    return RunbookAnswer(letter, question, Answer.YES, facts[letter])


def _rank(finding: CertificateFinding) -> tuple[int, int, str]:
    return _SEVERITIES.index(finding.severity), _CASES.index(finding.case), finding.subject


def _request_findings(state: CertificateState) -> Iterator[CertificateFinding]:
    """R22 (a). A request that waits is no fault while the last certificate serves."""
    repairs = {
        RequestState.PENDING: (CertificateCase.REQUEST_UNDECIDED, Repair.ASK_FOR_DECISION),
        RequestState.APPROVED: (CertificateCase.REQUEST_NOT_SIGNED, Repair.SIGN_REQUEST),
        RequestState.DENIED: (CertificateCase.REQUEST_REFUSED, Repair.ISSUE_NEW_CERTIFICATE),
        RequestState.FAILED: (CertificateCase.REQUEST_REFUSED, Repair.ISSUE_NEW_CERTIFICATE),
    }
    if state.request in repairs:
        case, repair = repairs[state.request]
        severity = Severity.NOTE if state.issued else Severity.BROKEN
        expected = "the conditions Approved, Issued"
        yield CertificateFinding(case, severity, "CertificateSigningRequest", expected, state.request, repair)


def _webhook_findings(state: CertificateState, webhook: WebhookFact) -> Iterator[CertificateFinding]:
    subject = f"{webhook.configuration}, {webhook.webhook}, caBundle"
    problems = read_bundle(webhook.ca_bundle).problems
    if BundleProblem.PRIVATE_KEY in problems:
        yield exposed_key(subject)
    secret = state.secret
    if secret is None or webhook.ca_bundle == secret.trust:
        return
    yield from pem_faults(subject, problems)
    name = server_name(webhook.service, state.target.namespace)
    verdict = verify_for_api_server(secret.certificate, webhook.ca_bundle, name, state.now)
    trusted = ", ".join(f"`{one.subject}`" for one in read_certificates(webhook.ca_bundle))
    yield CertificateFinding(
        CertificateCase.CA_BUNDLE_STALE,
        Severity.WILL_BREAK if verdict.valid else Severity.BROKEN,
        subject,
        f"the bytes of {CA_KEY}",
        f"{trusted or 'no certificate'} in other bytes; the API server says `{verdict.message or 'valid'}`",
        Repair.WRITE_CA_BUNDLES,
    )


def _endpoint_findings(state: CertificateState, endpoint: EndpointFact) -> Iterator[CertificateFinding]:
    subject = f"Service {endpoint.service}, endpoint {endpoint.address}"
    presented = next(iter(read_certificates(endpoint.presented)), None)
    leaf = state.secret.leaf if state.secret else None
    expected = f"the certificate {leaf.serial} of the Secret" if leaf else "a certificate"
    if presented is None:
        found = endpoint.problem or "no certificate"
        case, repair = CertificateCase.ENDPOINT_SILENT, Repair.CHECK_OPERATOR
        yield CertificateFinding(case, Severity.BROKEN, subject, expected, found, repair)
    elif leaf and presented.der != leaf.der:
        refusals = _refusals(state, endpoint)
        found = f"the certificate {presented.serial} by `{presented.issuer}`"
        yield CertificateFinding(
            CertificateCase.ENDPOINT_STALE,
            Severity.BROKEN if refusals else Severity.WILL_BREAK,
            subject,
            expected,
            f"{found}; the API server says `{refusals[0]}`" if refusals else found,
            Repair.RESTART_OPERATOR,
        )


def _refusals(state: CertificateState, endpoint: EndpointFact) -> list[str]:
    name = server_name(endpoint.service, state.target.namespace)
    answers = [
        verify_for_api_server(endpoint.presented, webhook.ca_bundle, name, state.now)
        for webhook in state.webhooks
        if webhook.service == endpoint.service
    ]
    return [answer.message for answer in answers if not answer.valid]


def _disagreements(state: CertificateState) -> Iterator[CertificateFinding]:
    """Two Services in front of the same operator that present different certificates."""
    served = {
        endpoint.service: leaf.serial
        for endpoint in state.endpoints
        for leaf in read_certificates(endpoint.presented)[:1]
    }
    if len(set(served.values())) > 1:
        yield CertificateFinding(
            CertificateCase.SERVICES_DISAGREE,
            Severity.WILL_BREAK,
            f"Services {', '.join(sorted(served))}",
            "one certificate behind all of them",
            ", ".join(f"{service} serves {serial}" for service, serial in sorted(served.items())),
            Repair.RESTART_OPERATOR,
        )


def _annotation_findings(state: CertificateState) -> Iterator[CertificateFinding]:
    acts = state.cert_manager is CertManager.PRESENT
    for subject, value in sorted(state.annotated.items()):
        yield CertificateFinding(
            CertificateCase.CERT_MANAGER_CLAIM,
            Severity.WILL_BREAK if acts else Severity.NOTE,
            subject,
            "no annotation by which cert-manager writes a caBundle",
            f"{value}; cert-manager is {state.cert_manager}",
            Repair.REMOVE_ANNOTATION,
        )


def _unexplained(state: CertificateState) -> Iterator[CertificateFinding]:
    for label, verdict in verdicts(state):
        if not verdict.valid:
            yield CertificateFinding(
                CertificateCase.API_SERVER_REFUSES,
                Severity.BROKEN,
                label,
                "a certificate that the API server accepts",
                verdict.message,
                Repair.ISSUE_NEW_CERTIFICATE,
            )
