"""The policy for signing requests: a request is signed only when it asks for exactly what was planned.

Runbook R14, R19. Everything is checked again before the signature: the object that a person approved may have
been replaced, approved by hand with other bytes, or made by somebody else.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override

from tasks.core.certificates.keys import describe_key, spec_of
from tasks.core.certificates.profiles import CertificatePlan
from tasks.core.certificates.requests import RequestFacts, read_request
from tasks.core.errors import CertificateError

_GOOD_HASHES = frozenset({"sha256", "sha384", "sha512"})


class RefusalReason(StrEnum):
    """Why a request, its cluster object or an issued certificate is refused."""

    UNREADABLE = "UNREADABLE"
    SIGNATURE = "SIGNATURE"
    """The requester does not prove the key, or with a broken hash."""
    SUBJECT = "SUBJECT"
    NAMES = "NAMES"
    """A name is missing, is too many, or is no DNS name."""
    WEAK_KEY = "WEAK_KEY"
    FOREIGN_KEY = "FOREIGN_KEY"
    AUTHORITY = "AUTHORITY"
    """CA:TRUE is asked for or given."""
    EXTENSION = "EXTENSION"
    USAGE = "USAGE"
    OTHER_OBJECT = "OTHER_OBJECT"
    """The object has another uid or name than the one that was shown."""
    OTHER_BYTES = "OTHER_BYTES"
    """The request's bytes are not those that were shown."""
    SIGNER = "SIGNER"
    REQUESTER = "REQUESTER"
    EXPIRATION = "EXPIRATION"
    DENIED = "DENIED"
    FAILED = "FAILED"
    ALREADY_ISSUED = "ALREADY_ISSUED"
    """A certificate stands in the status that is not ours; it can never be changed."""
    CHAIN = "CHAIN"
    """The certificate does not verify under the trust that is published with it."""
    VALIDITY = "VALIDITY"


@dataclass(frozen=True)
class Refusal:
    """One broken rule.

    Attributes:
        reason: Which rule.
        expected: What it demands.
        found: What is there instead.
    """

    reason: RefusalReason
    expected: str
    found: str

    @override
    def __str__(self) -> str:
        """One line for people."""
        return f"{self.reason}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True)
class RequestExpectation:
    """What a request must ask for.

    Attributes:
        plan: Names, subject, usages and key type.
        spki_sha256: The fingerprint of our own public key.
    """

    plan: CertificatePlan
    spki_sha256: str


def check_request(pem: bytes, expectation: RequestExpectation) -> tuple[Refusal, ...]:
    """Compare a PEM request with what was planned; nothing means that it may be signed."""
    try:
        facts = read_request(pem)
    except CertificateError as error:
        return (Refusal(RefusalReason.UNREADABLE, error.expected, error.found),)
    return tuple(_broken_rules(facts, expectation))


def require_none(refusals: tuple[Refusal, ...], attempted: str, subject: str) -> None:
    """Raise for refusals.

    Raises:
        CertificateError: There is at least one; the message lists all.
    """
    if refusals:
        raise CertificateError(
            attempted,
            subject,
            "; ".join(refusal.expected for refusal in refusals),
            "; ".join(f"{refusal.reason}: {refusal.found}" for refusal in refusals),
            "Nothing was signed or published. Find out who made this, then start again with a new request.",
        )


def _broken_rules(facts: RequestFacts, expectation: RequestExpectation) -> Iterator[Refusal]:
    plan = expectation.plan
    if not facts.signature_valid:
        yield Refusal(RefusalReason.SIGNATURE, "a signature by the requested key", "one that does not verify")
    if facts.signature_hash not in _GOOD_HASHES:
        yield Refusal(RefusalReason.SIGNATURE, "a SHA-2 signature", facts.signature_hash or "an unknown hash")
    if facts.subject != (("CN", plan.common_name),):
        shown = ", ".join(f"{kind}={value}" for kind, value in facts.subject) or "an empty subject"
        yield Refusal(RefusalReason.SUBJECT, f"CN={plan.common_name} alone", shown)
    yield from _key_rules(facts, expectation)
    yield from name_rules(facts.dns_names, facts.other_names, plan.dns_names)
    if facts.wants_authority:
        yield Refusal(RefusalReason.AUTHORITY, "a server certificate", "a request for a CA (CA:TRUE)")
    if foreign := [*facts.other_extensions, *facts.other_attributes]:
        yield Refusal(RefusalReason.EXTENSION, "names, key usage and purposes alone", ", ".join(foreign))
    if added := [usage for usage in facts.usages if usage not in plan.usages]:
        yield Refusal(RefusalReason.USAGE, ", ".join(plan.usages), ", ".join(added))


def _key_rules(facts: RequestFacts, expectation: RequestExpectation) -> Iterator[Refusal]:
    found = describe_key(facts.public_key)
    try:
        if spec_of(facts.public_key) is not expectation.plan.key_spec:
            yield Refusal(RefusalReason.WEAK_KEY, f"a key {expectation.plan.key_spec}", found)
    except CertificateError as error:
        yield Refusal(RefusalReason.WEAK_KEY, error.expected, found)
    if facts.spki_sha256 != expectation.spki_sha256:
        yield Refusal(
            RefusalReason.FOREIGN_KEY,
            f"our public key {expectation.spki_sha256}",
            f"the public key {facts.spki_sha256}",
        )


def name_rules(
    dns_names: tuple[str, ...], other_names: tuple[str, ...], wanted: tuple[str, ...]
) -> Iterator[Refusal]:
    """Exactly the wanted DNS names, in any order, each once, and no name of another type."""
    expected = f"exactly the names {', '.join(wanted)}"
    missing = [name for name in wanted if name not in dns_names]
    added = [name for name in dns_names if name not in wanted] + list(other_names)
    if missing:
        yield Refusal(RefusalReason.NAMES, expected, f"no {', '.join(missing)}")
    if added:
        yield Refusal(RefusalReason.NAMES, expected, f"also {', '.join(added)}")
    if len(set(dns_names)) != len(dns_names):
        yield Refusal(RefusalReason.NAMES, expected, "a name twice")
