"""Signing a server's certificate, and checking one that somebody signed (runbook R17, R19).

RFC 5280 with RFC 8813: random serial, critical CA:FALSE and key usage, key identifiers, a start five minutes
ago, and an end that is never later than any issuer's: a leaf that outlives its CA fails when the CA ends.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tasks.core.certificates.authorities import (
    BACKDATE,
    Authority,
    SerialSource,
    explain_unfit,
    take_serial,
)
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.hostnames import permits
from tasks.core.certificates.keys import spec_of
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import CertificatePlan
from tasks.core.certificates.reading import read_certificate, read_certificates
from tasks.core.certificates.request_policy import (
    Refusal,
    RefusalReason,
    RequestExpectation,
    check_request,
    require_none,
)
from tasks.core.certificates.requests import alternative_names, common_name, key_usage, load_request, purposes
from tasks.core.certificates.verification import verify_chain
from tasks.core.errors import CertificateError

SHORTEST_LIFETIME = timedelta(hours=25)
"""OLM 0.29.0 and later replaces a certificate, or its CA, 24 hours before its end."""


@dataclass(frozen=True)
class Validity:
    """When a certificate is valid, and what limited it.

    Attributes:
        not_before: Its start.
        not_after: Its end.
        limited_by: The subject of the CA that ends first, empty when the plan's own lifetime stands.
    """

    not_before: datetime
    not_after: datetime
    limited_by: str = ""


def plan_validity(plan: CertificatePlan, authority: Authority, now: datetime) -> Validity:
    """When a certificate of this plan would be valid.

    Raises:
        CertificateError: The authority ends so soon that OLM would replace the certificate at once.
    """
    wished = (now + plan.validity).replace(microsecond=0)
    issuers = (authority.certificate, *authority.above)
    first = min(issuers, key=lambda issuer: issuer.not_after)
    start = max(now - BACKDATE, authority.certificate.not_before).replace(microsecond=0)
    end = min(wished, first.not_after)
    if end - now < SHORTEST_LIFETIME:
        raise CertificateError(
            "sign a certificate",
            plan.common_name,
            f"a lifetime of at least {SHORTEST_LIFETIME}",
            f"an end at {end.isoformat()} (wished lifetime {plan.validity}, CA `{first.subject}` ends at "
            f"{first.not_after.isoformat()})",
            "Renew the CA first: OLM replaces certificates that end within 24 hours.",
        )
    return Validity(start, end, first.subject if end < wished else "")


def sign_request(
    request: bytes,
    expectation: RequestExpectation,
    authority: Authority,
    now: datetime,
    serials: SerialSource = x509.random_serial_number,
) -> Certificate:
    """Sign a PEM request; only values of the plan enter the certificate, never the request's own.

    Raises:
        CertificateError: The request breaks the policy, or the authority may not sign this now.
    """
    plan = expectation.plan
    require_none(check_request(request, expectation), "sign a request", plan.common_name)
    require_fit(authority.certificate, plan, now)
    validity = plan_validity(plan, authority, now)
    key = load_request(request).public_key()
    issuer = authority.certificate.parsed
    builder = (
        x509.CertificateBuilder()
        .subject_name(common_name(plan.common_name))
        .issuer_name(issuer.subject)
        .public_key(key)
        .serial_number(take_serial(serials))
        .not_valid_before(validity.not_before)
        .not_valid_after(validity.not_after)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(plan.usages), critical=True)
        .add_extension(purposes(plan.usages), critical=False)
        .add_extension(alternative_names(plan.dns_names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key_identifier(authority), critical=False)
    )
    signed = builder.sign(authority.key.signing_key, authority.key.spec.signature_hash)
    return read_certificate(signed.public_bytes(Encoding.DER))


def require_fit(authority: Certificate, plan: CertificatePlan, now: datetime) -> None:
    """Refuse a CA that must not sign a certificate of this plan now, wherever its key is.

    Raises:
        CertificateError: The message has every reason.
    """
    faults = list(explain_unfit(authority, now))
    if not permits(authority.constraints, plan.dns_names):
        faults.append("its name constraints do not permit every name of the certificate")
    if faults:
        raise CertificateError(
            "sign a certificate",
            f"CA `{authority.subject}`",
            "a CA that may sign this certificate now",
            "; ".join(faults),
            "Choose or make another CA.",
        )


def check_issued(
    pem: bytes, expectation: RequestExpectation, trust: Sequence[Certificate], now: datetime
) -> tuple[Refusal, ...]:
    """Check a certificate that came back, whoever signed it; nothing means that it may be published.

    The API server does not compare status.certificate with the request, and OLM reads only the first block of
    olmCAKey and knows no intermediates: both are checked here.

    Args:
        pem: The certificate, PEM.
        expectation: What was asked for.
        trust: The certificates that are to be published as olmCAKey, the issuing CA first.
        now: The time, aware.
    """
    chain = read_certificates(pem)
    if not chain:
        return (Refusal(RefusalReason.UNREADABLE, "a PEM block `CERTIFICATE`", "none"),)
    leaf = chain[0]
    return (*_leaf_rules(leaf, expectation), *_trust_rules(chain, expectation.plan.target, trust, now))


def _leaf_rules(leaf: Certificate, expectation: RequestExpectation) -> Iterator[Refusal]:
    plan = expectation.plan
    if leaf.spki_sha256 != expectation.spki_sha256:
        ours = f"our public key {expectation.spki_sha256}"
        yield Refusal(RefusalReason.FOREIGN_KEY, ours, f"the public key {leaf.spki_sha256}")
    try:
        spec_of(leaf.public_key)
    except CertificateError as error:
        yield Refusal(RefusalReason.WEAK_KEY, error.expected, error.found)
    if leaf.is_authority:
        yield Refusal(RefusalReason.AUTHORITY, "a server certificate", "a CA certificate (CA:TRUE)")
    missing = [name for name in plan.dns_names if name not in leaf.dns_names]
    if missing:
        has = ", ".join(leaf.dns_names) or "no DNS name"
        yield Refusal(RefusalReason.NAMES, f"the names {', '.join(plan.dns_names)}", f"only {has}")


def _trust_rules(
    chain: Sequence[Certificate], target: WebhookTarget, trust: Sequence[Certificate], now: datetime
) -> Iterator[Refusal]:
    if not trust:
        yield Refusal(RefusalReason.CHAIN, "the issuing CA's certificate to publish", "none")
        return
    for name in target.server_names:
        verdict = verify_chain(chain, trust, name, now)
        if not verdict.valid:
            accepted = f"a certificate that the API server accepts for {name}"
            yield Refusal(RefusalReason.CHAIN, accepted, verdict.message)
    for host in target.olm_hosts:
        verdict = verify_chain(chain[:1], trust[:1], host, now)
        if not verdict.valid:
            first = f"a certificate that the first CA of olmCAKey (`{trust[0].subject}`) issued for {host}"
            yield Refusal(RefusalReason.CHAIN, first, verdict.message)
    end = min(element.not_after for element in (chain[0], trust[0]))
    if end - now < SHORTEST_LIFETIME:
        yield Refusal(
            RefusalReason.VALIDITY, f"an end more than {SHORTEST_LIFETIME} away", f"the end {end.isoformat()}"
        )


def _authority_key_identifier(authority: Authority) -> x509.AuthorityKeyIdentifier:
    """The issuer's own subject key identifier, so that verifiers find it; computed when it has none."""
    if authority.certificate.subject_key_id:
        return x509.AuthorityKeyIdentifier(authority.certificate.subject_key_id, None, None)
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key)
