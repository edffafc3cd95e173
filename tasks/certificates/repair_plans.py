"""Decides what the safe repairs write (R22). Pure: from an observation to bytes, or to the reasons for none.

A repair puts back what was there: it never makes the API server trust a CA that nobody trusted before, never
takes away the trust in what an endpoint serves now, and builds nothing on a certificate that is not ours.
"""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.certificates.observing import ObservedCertificate
from tasks.core.certificates.bundles import issuer_in, merge_bundles, write_bundle
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import (
    CertificateCase,
    CertificateFinding,
    CertificateState,
    CertManager,
    Repair,
    Severity,
)
from tasks.core.certificates.names import server_name
from tasks.core.certificates.olm import (
    CA_KEY,
    MANAGED_LABEL,
    TLS_TYPE,
    OlmAction,
    OlmRule,
    predict_olm,
    rule_of,
)
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.secret_diagnosis import entry
from tasks.core.certificates.verification import verify_for_api_server
from tasks.core.certificates.webhook_secrets import CERTIFICATE_ENTRY, SecretFacts
from tasks.core.manifests import Manifest

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class RepairPlan:
    """What the safe repairs write.

    Attributes:
        certificate: tls.crt as it has to be.
        trust: olmCAKey as it has to be, and every caBundle.
        writes_secret: Whether the Secret differs from that, its label included.
        writes_bundles: Whether a caBundle does.
        left: Why the safe repairs are not made.
    """

    certificate: bytes = field(default=b"", repr=False)
    trust: bytes = field(default=b"", repr=False)
    writes_secret: bool = False
    writes_bundles: bool = False
    left: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether there is anything to do."""
        return self.writes_secret or self.writes_bundles


def plan_repair(
    observed: ObservedCertificate,
    findings: Sequence[CertificateFinding],
    authorities: Sequence[Certificate] = (),
) -> RepairPlan:
    """Decide what the safe repairs write, if it is certain that they help.

    Args:
        observed: What was read.
        findings: What is wrong with it.
        authorities: The CA that signs, when the run names it.
    """
    state, secret = observed.state, observed.state.secret
    safe = [finding for finding in findings if finding.repair.safe]
    if secret is None or not safe:
        return RepairPlan()
    if reason := _forbidden(state, findings):
        return RepairPlan(left=(reason,))
    certificate = _planned_certificate(state, secret, safe)
    leaf = next(iter(read_certificates(certificate)), None)
    if leaf is None:
        return RepairPlan(left=("tls.crt has no certificate that anything could be built on",))
    moves = certificate != secret.certificate or any(_is_about_trust(finding, secret) for finding in safe)
    trust = _planned_trust(state, secret, leaf, authorities) if moves else secret.trust
    if not trust:
        text = f"the certificate of the issuing CA `{leaf.issuer}` is trusted nowhere in the cluster"
        return RepairPlan(left=(f"{text}: name its block in `authority`",))
    plan = RepairPlan(
        certificate,
        trust,
        writes_secret=not has_label(secret) or (secret.certificate, secret.trust) != (certificate, trust),
        writes_bundles=any(hook.ca_bundle != trust for hook in state.webhooks),
    )
    objections = (
        *_objections(observed, secret, plan),
        *_endpoints_in_the_way(state, plan),
        *_untimely(observed, safe, plan),
    )
    return RepairPlan(left=objections) if objections else plan


def has_label(secret: SecretFacts) -> bool:
    """Whether OLM sees the Secret."""
    return secret.labels.get(MANAGED_LABEL) == "true"


def _forbidden(state: CertificateState, findings: Sequence[CertificateFinding]) -> str:
    cases = {finding.case for finding in findings}
    repairs = {finding.repair for finding in findings}
    if CertificateCase.PRIVATE_KEY_EXPOSED in cases:
        return (
            "a private key stands where everybody may read it: it is not written over before somebody looked"
        )
    foreign = cases & {CertificateCase.SECRET_OVERWRITTEN, CertificateCase.WRONG_CERTIFICATE}
    if foreign and Repair.PUBLISH_ISSUED not in repairs:
        return "tls.crt has another certificate than was issued: the API server is not made to trust it"
    claimed = sorted(subject for subject in state.annotated if "WebhookConfiguration" in subject)
    if claimed and state.cert_manager is CertManager.PRESENT:
        return f"cert-manager writes the same caBundles: {', '.join(claimed)}"
    return ""


def _planned_certificate(
    state: CertificateState, secret: SecretFacts, safe: Sequence[CertificateFinding]
) -> bytes:
    if any(finding.repair is Repair.PUBLISH_ISSUED for finding in safe):
        return read_certificates(state.issued)[0].pem
    subject = entry(secret, CERTIFICATE_ENTRY)
    if any((finding.repair, finding.subject) == (Repair.NORMALISE_PEM, subject) for finding in safe):
        return write_bundle(_recovered(secret.certificate))
    return secret.certificate


def _is_about_trust(finding: CertificateFinding, secret: SecretFacts) -> bool:
    subject = entry(secret, CA_KEY)
    return finding.repair is Repair.WRITE_TRUST or (
        (finding.repair, finding.subject) == (Repair.NORMALISE_PEM, subject)
    )


def _planned_trust(
    state: CertificateState, secret: SecretFacts, leaf: Certificate, authorities: Sequence[Certificate]
) -> bytes:
    """The issuing CA first; nothing when its certificate is not to be had from a trusted place."""
    present = _recovered(secret.trust)
    elsewhere = [one for hook in state.webhooks for one in _recovered(hook.ca_bundle)]
    trusted = merge_bundles([*present, *authorities], elsewhere)
    # What came along in tls.crt is trusted only when somebody trusted vouches for it.
    between = [one for one in _recovered(secret.certificate)[1:] if issuer_in(trusted, one)]
    issuer = issuer_in(trusted, leaf) or issuer_in(between, leaf)
    if issuer is None:
        return b""
    if issuer_in(present, leaf):
        kept = [one for one in present if one.is_authority]
    else:
        kept = [one for one in present if one.is_authority and _is_needed(state, one, issuer)]
    return write_bundle(merge_bundles([issuer], kept))


def _is_needed(state: CertificateState, authority: Certificate, issuer: Certificate) -> bool:
    """Of an olmCAKey without the issuer: whether this CA vouches for it, or for what is served right now."""
    served = [leaf for one in state.endpoints for leaf in read_certificates(one.presented)[:1]]
    return any(issuer_in([authority], one) for one in (issuer, *served))


def _recovered(content: bytes) -> tuple[Certificate, ...]:
    """The certificates of a file, also where a byte order mark or one base64 too many hides them from Go."""
    plain = content.removeprefix(_BYTE_ORDER_MARK)
    found = read_certificates(plain)
    if found:
        return found
    try:
        return read_certificates(base64.b64decode(b"".join(plain.split()), validate=True))
    except ValueError:
        return ()


def _objections(observed: ObservedCertificate, secret: SecretFacts, plan: RepairPlan) -> Iterator[str]:
    """Why the plan would not help."""
    state, version = observed.state, observed.olm_version
    leaf = read_certificates(plan.certificate)[0]
    if plan.writes_secret and secret.kind != TLS_TYPE:
        yield f"the Secret has the type {secret.kind}, which OLM can never update: delete it and issue anew"
    if plan.certificate != secret.certificate and leaf.spki_sha256 != secret.key_spki_sha256:
        yield "tls.key is not the key of the certificate"
    manifest = _planned_secret(secret, plan)
    prediction = predict_olm(manifest, observed.csv_status, state.target.olm_hosts, version, state.now)
    if prediction.action is OlmAction.REPLACE:
        yield f"OLM {version} would replace the Secret all the same: {prediction.message}"
    called = {hook.service for hook in state.webhooks} or set(state.target.services)
    for name in sorted(server_name(service, state.target.namespace) for service in called):
        verdict = verify_for_api_server(plan.certificate, plan.trust, name, state.now)
        if not verdict.valid:
            yield f"the API server would still refuse {name}: {verdict.message}"


def _endpoints_in_the_way(state: CertificateState, plan: RepairPlan) -> Iterator[str]:
    """Endpoints that work now and would not with the planned trust: the kubelet brings a Secret late."""
    for endpoint in state.endpoints:
        bundles = [hook.ca_bundle for hook in state.webhooks if hook.service == endpoint.service]
        works = any(_accepts(state, endpoint.presented, endpoint.service, bundle) for bundle in bundles)
        if works and not _accepts(state, endpoint.presented, endpoint.service, plan.trust):
            place = f"{endpoint.service} {endpoint.address}"
            yield f"{place} still serves a certificate of another CA: run again in two minutes"


def _untimely(
    observed: ObservedCertificate, safe: Sequence[CertificateFinding], plan: RepairPlan
) -> Iterator[str]:
    """OLM before 0.29.0 recreates the Service for caBundles with new bytes: not for what works."""
    known = any(hook.ca_bundle == plan.trust for hook in observed.state.webhooks)
    recreates = rule_of(observed.olm_version) is OlmRule.ROTATION_DATE and not known
    if recreates and not any(finding.severity is Severity.BROKEN for finding in safe):
        yield (
            f"OLM {observed.olm_version} would delete and recreate the Service for it, and nothing is "
            "broken: the next certificate puts it right"
        )


def _accepts(state: CertificateState, presented: bytes, service: str, trust: bytes) -> bool:
    name = server_name(service, state.target.namespace)
    return verify_for_api_server(presented, trust, name, state.now).valid


def _planned_secret(secret: SecretFacts, plan: RepairPlan) -> Manifest:
    """The Secret as the plan leaves it, as far as OLM's rule looks at it."""
    entries = {CA_KEY: plan.trust, CERTIFICATE_ENTRY: plan.certificate}
    return {
        "type": secret.kind,
        "metadata": {"labels": {**secret.labels, MANAGED_LABEL: "true"}},
        "data": {name: base64.b64encode(content).decode() for name, content in entries.items()},
    }
