"""The part of the diagnosis that looks into the webhook's Secret (runbook R22 b, c, d)."""

from collections.abc import Iterator, Sequence

from tasks.core.certificates.bundles import BundleProblem, issuer_in, read_bundle
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import (
    CertificateCase,
    CertificateFinding,
    CertificateState,
    Repair,
    Severity,
)
from tasks.core.certificates.names import server_name
from tasks.core.certificates.olm import CA_KEY, OlmAction, OlmReason, is_made_by_olm
from tasks.core.certificates.pem import PemProblem, decode_blocks, find_problems
from tasks.core.certificates.profiles import missing_names
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.verification import Verdict, explain_not_current, verify_for_api_server
from tasks.core.certificates.webhook_secrets import SecretFacts

_HIDING = frozenset(
    {
        PemProblem.BYTE_ORDER_MARK,
        PemProblem.DAMAGED_BLOCK,
        PemProblem.HEADERS,
        PemProblem.BASE64_TWICE,
        BundleProblem.OTHER_BLOCK,
        BundleProblem.UNREADABLE_CERTIFICATE,
    }
)
_HARMLESS = frozenset(
    {
        PemProblem.WINDOWS_LINE_ENDS,
        PemProblem.TEXT_OUTSIDE_BLOCKS,
        PemProblem.NO_FINAL_LINE_END,
        BundleProblem.DUPLICATE,
    }
)

# Reasons of OLM that no other finding names; the others are consequences of what is found anyway.
_REPAIRS: dict[OlmReason, Repair] = {
    OlmReason.SECRET_MISSING: Repair.ISSUE_NEW_CERTIFICATE,
    OlmReason.LABEL_MISSING: Repair.RESTORE_LABEL,
    OlmReason.CA_KEY_MISSING: Repair.WRITE_TRUST,
    OlmReason.CA_MALFORMED: Repair.WRITE_TRUST,
    OlmReason.CERTIFICATE_MISSING: Repair.ISSUE_NEW_CERTIFICATE,
    OlmReason.CERTIFICATE_MALFORMED: Repair.ISSUE_NEW_CERTIFICATE,
    OlmReason.CA_NOT_FRESH: Repair.REPLACE_CA,
    OlmReason.CERTIFICATE_NOT_FRESH: Repair.ISSUE_NEW_CERTIFICATE,
    OlmReason.ROTATION_DUE: Repair.ISSUE_NEW_CERTIFICATE,
}


def find_in_secret(state: CertificateState) -> Iterator[CertificateFinding]:
    """What is wrong in the Secret, and what OLM will do with it."""
    secret = state.secret
    if secret is None:
        subject = f"namespace {state.target.namespace}"
        expected = "a Secret with the webhook's certificate"
        case, repair = CertificateCase.SECRET_MISSING, Repair.ISSUE_NEW_CERTIFICATE
        yield CertificateFinding(case, Severity.BROKEN, subject, expected, "none", repair)
        return
    yield from _file_findings(secret)
    yield from _key_findings(state, secret)
    if secret.leaf:
        yield from _identity_findings(state, secret, secret.leaf)
        yield from _trust_findings(state, secret, secret.leaf)
        yield from _content_findings(state, secret, secret.leaf)
    else:
        subject, expected = entry(secret, "tls.crt"), "a certificate in PEM"
        found, repair = _labels(secret.certificate), _publish_or_issue(state, secret)
        case = CertificateCase.CERTIFICATE_UNREADABLE
        yield CertificateFinding(case, Severity.BROKEN, subject, expected, found, repair)
    if state.prediction.action is OlmAction.REPLACE:
        yield _olm_finding(state, secret)


def entry(secret: SecretFacts, key: str) -> str:
    """How a finding names one entry of the Secret."""
    return f"Secret {secret.namespace}/{secret.name}, {key}"


def verdicts(state: CertificateState) -> tuple[tuple[str, Verdict], ...]:
    """What the API server would say to tls.crt, per webhook; without webhooks per Service under olmCAKey."""
    if state.secret is None:
        return ()
    served, namespace = state.secret.certificate, state.target.namespace
    calls = [(hook.webhook, hook.service, hook.ca_bundle) for hook in state.webhooks] or [
        (service, service, state.secret.trust) for service in state.target.services
    ]
    # All webhooks of an operator have the same Service and caBundle, as a rule.
    known = {
        (service, trust): verify_for_api_server(served, trust, server_name(service, namespace), state.now)
        for service, trust in {(service, trust) for _, service, trust in calls}
    }
    return tuple((label, known[service, trust]) for label, service, trust in calls)


def severity_now(state: CertificateState) -> Severity:
    """Broken when the API server refuses at least one webhook with this Secret."""
    return Severity.WILL_BREAK if all(one.valid for _, one in verdicts(state)) else Severity.BROKEN


def _file_findings(secret: SecretFacts) -> Iterator[CertificateFinding]:
    problems = read_bundle(secret.trust).problems
    if BundleProblem.PRIVATE_KEY in problems:
        yield exposed_key(entry(secret, CA_KEY))
    yield from pem_faults(entry(secret, CA_KEY), problems)
    yield from pem_faults(entry(secret, "tls.crt"), find_problems(secret.certificate))


def exposed_key(subject: str) -> CertificateFinding:
    """A private key where everybody may read it."""
    return CertificateFinding(
        CertificateCase.PRIVATE_KEY_EXPOSED,
        Severity.BROKEN,
        subject,
        "certificates alone",
        "a private key, which everybody may read here",
        Repair.REPLACE_CA,
    )


def pem_faults(subject: str, problems: Sequence[PemProblem | BundleProblem]) -> Iterator[CertificateFinding]:
    """A file that programs read differently, if it has such faults."""
    named = [problem for problem in problems if problem in _HIDING or problem in _HARMLESS]
    if named:
        yield CertificateFinding(
            CertificateCase.PEM_FAULT,
            Severity.WILL_BREAK if _HIDING.intersection(named) else Severity.NOTE,
            subject,
            "PEM blocks with Unix line ends and nothing else",
            ", ".join(named),
            Repair.NORMALISE_PEM,
        )


def _key_findings(state: CertificateState, secret: SecretFacts) -> Iterator[CertificateFinding]:
    """R22 (c). A running operator keeps its old certificate then, and a restarted one does not start."""
    subject, leaf = entry(secret, "tls.key"), secret.leaf
    if secret.key_problem:
        yield CertificateFinding(
            CertificateCase.KEY_UNREADABLE,
            Severity.BROKEN,
            subject,
            "a private key in PEM",
            secret.key_problem,
            Repair.ISSUE_NEW_CERTIFICATE,
        )
    elif leaf and leaf.spki_sha256 != secret.key_spki_sha256:
        yield CertificateFinding(
            CertificateCase.KEY_MISMATCH,
            Severity.BROKEN,
            subject,
            f"the key of tls.crt, public key {leaf.spki_sha256}",
            f"the key of another certificate, public key {secret.key_spki_sha256}",
            _publish_or_issue(state, secret),
        )


def _identity_findings(
    state: CertificateState, secret: SecretFacts, leaf: Certificate
) -> Iterator[CertificateFinding]:
    """R22 (d)."""
    issued = next(iter(read_certificates(state.issued)), None)
    if issued is None or issued.der == leaf.der:
        return
    yield CertificateFinding(
        CertificateCase.SECRET_OVERWRITTEN if is_made_by_olm(leaf) else CertificateCase.WRONG_CERTIFICATE,
        severity_now(state),
        entry(secret, "tls.crt"),
        f"the issued certificate {issued.serial} by `{issued.issuer}`",
        f"{'a CA certificate' if leaf.is_authority else 'certificate'} {leaf.serial} by `{leaf.issuer}`",
        _publish_or_issue(state, secret),
    )


def _trust_findings(
    state: CertificateState, secret: SecretFacts, leaf: Certificate
) -> Iterator[CertificateFinding]:
    """R22 (b)."""
    trusted, presented = read_certificates(secret.trust), read_certificates(secret.certificate)
    issuer = issuer_in(trusted, leaf)
    subject, expected = entry(secret, CA_KEY), f"the certificate of the issuing CA `{leaf.issuer}` first"
    found = ", ".join(f"`{one.subject}`" for one in trusted) or _labels(secret.trust)
    if issuer is None:
        case = CertificateCase.WRONG_CA
        if issuer_in(presented[1:], leaf):
            case, found = (
                CertificateCase.INTERMEDIATE_MISPLACED,
                f"{found}; the intermediate stands in tls.crt",
            )
        elif any(one.der == leaf.der for one in trusted):
            found = f"the server's own certificate {leaf.serial}"
        yield CertificateFinding(case, severity_now(state), subject, expected, found, Repair.WRITE_TRUST)
    elif issuer.der != trusted[0].der and state.prediction.action is OlmAction.REPLACE:
        case = CertificateCase.CA_NOT_FIRST
        yield CertificateFinding(case, Severity.WILL_BREAK, subject, expected, found, Repair.WRITE_TRUST)


def _content_findings(
    state: CertificateState, secret: SecretFacts, leaf: Certificate
) -> Iterator[CertificateFinding]:
    subject = entry(secret, "tls.crt")
    if missing := missing_names(state.target, leaf.dns_names):
        called = any(name in missing for name in state.target.server_names)
        # OLM before 0.29.0 leaves `.cluster.local` out of its own certificate; the API server calls `.svc`.
        if called or not is_made_by_olm(leaf):
            yield CertificateFinding(
                CertificateCase.NAMES_MISSING,
                Severity.BROKEN if called else Severity.WILL_BREAK,
                subject,
                f"the names {', '.join(state.target.dns_names)}",
                f"only {', '.join(leaf.dns_names) or 'no DNS name'}",
                Repair.ISSUE_NEW_CERTIFICATE,
            )
    if reason := explain_not_current(leaf, state.now):
        case, repair = CertificateCase.LEAF_NOT_CURRENT, Repair.ISSUE_NEW_CERTIFICATE
        yield CertificateFinding(case, Severity.BROKEN, subject, "a current certificate", reason, repair)
    issuer = issuer_in(read_certificates(secret.trust), leaf)
    if issuer and (reason := explain_not_current(issuer, state.now)):
        case, subject = CertificateCase.CHAIN_NOT_CURRENT, entry(secret, CA_KEY)
        found = f"`{issuer.subject}`: {reason}"
        yield CertificateFinding(
            case, Severity.BROKEN, subject, "a current issuing CA", found, Repair.REPLACE_CA
        )


def _olm_finding(state: CertificateState, secret: SecretFacts) -> CertificateFinding:
    prediction, leaf = state.prediction, secret.leaf
    repair = _REPAIRS.get(prediction.reason)
    if repair is None:
        complete = leaf is not None and not missing_names(state.target, leaf.dns_names)
        repair = Repair.WRITE_TRUST if complete else Repair.ISSUE_NEW_CERTIFICATE
    return CertificateFinding(
        CertificateCase.OLM_WILL_REPLACE,
        Severity.WILL_BREAK,
        f"Secret {secret.namespace}/{secret.name}",
        "a Secret that OLM keeps",
        f"{prediction.message} ({prediction.moment})",
        repair,
    )


def _publish_or_issue(state: CertificateState, secret: SecretFacts) -> Repair:
    """The issued certificate can be put back only while its key is still in the Secret."""
    issued = next(iter(read_certificates(state.issued)), None)
    ours = issued is not None and issued.spki_sha256 == secret.key_spki_sha256
    return Repair.PUBLISH_ISSUED if ours else Repair.ISSUE_NEW_CERTIFICATE


def _labels(content: bytes) -> str:
    labels = ", ".join(block.label for block in decode_blocks(content))
    return f"the PEM blocks {labels}" if labels else "nothing that is PEM"
