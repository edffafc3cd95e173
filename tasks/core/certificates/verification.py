"""Verify a server's certificate the way kube-apiserver does: Go's crypto/x509 with the caBundle as roots.

`cryptography.x509.verification` follows the rules of the web PKI (it insists on key identifiers, on a
critical SAN when the subject is empty, on CA fields of the trust anchors) and answers in other words, so this
module follows Go's `Certificate.Verify`: any certificate of the caBundle may be the trust anchor, self-signed
or not; every element must be current; the extended key usage must admit serverAuth; the common name never
counts. Certificate policies are not evaluated: a webhook's CA has none.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto

from cryptography.x509 import Version
from cryptography.x509.oid import ExtendedKeyUsageOID

from tasks.core.certificates.certificate import Certificate, check_signature
from tasks.core.certificates.der import name_attributes
from tasks.core.certificates.hostnames import explain_constraint_violation, explain_host_mismatch
from tasks.core.certificates.reading import read_certificates

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
_ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
_SIGNATURE_CHECKS = 100
_CANNOT_SIGN = "x509: invalid signature: parent certificate cannot sign this kind of certificate"


class VerdictKind(StrEnum):
    """The classes of Go's answers."""

    VALID = "VALID"
    UNREADABLE = "UNREADABLE"
    """No certificate can be read from what the server or the Secret presents."""
    NO_ROOTS = "NO_ROOTS"
    """The caBundle is empty or unreadable."""
    NAME_MISMATCH = "NAME_MISMATCH"
    NOT_CURRENT = "NOT_CURRENT"
    """An element of the chain has expired or is not yet valid."""
    UNKNOWN_AUTHORITY = "UNKNOWN_AUTHORITY"
    NAME_CONSTRAINT = "NAME_CONSTRAINT"
    INCOMPATIBLE_USAGE = "INCOMPATIBLE_USAGE"
    NOT_AN_AUTHORITY = "NOT_AN_AUTHORITY"
    PATH_TOO_LONG = "PATH_TOO_LONG"
    UNKNOWN_EXTENSION = "UNKNOWN_EXTENSION"
    """A critical extension that verifiers do not know."""
    TOO_MANY_CANDIDATES = "TOO_MANY_CANDIDATES"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one verification.

    Attributes:
        kind: Its class.
        message: What Go says, empty when valid.
        blamed: SHA-256 of the certificate that the message is about, empty when none is.
    """

    kind: VerdictKind
    message: str = ""
    blamed: str = ""

    @property
    def valid(self) -> bool:
        """Whether the API server would talk to this server."""
        return self.kind is VerdictKind.VALID


VALID = Verdict(VerdictKind.VALID)


class _Place(Enum):
    """Where in the chain a candidate would stand."""

    BETWEEN = auto()
    ROOT = auto()


def verify_for_api_server(presented: bytes, ca_bundle: bytes, name: str, now: datetime) -> Verdict:
    """Verify what a webhook presents.

    Args:
        presented: PEM of the server's chain, the leaf first: tls.crt, or what a handshake returned.
        ca_bundle: The decoded caBundle of the webhook configuration.
        name: The ServerName, `<service>.<namespace>.svc`.
        now: The time of the verification, aware.
    """
    chain = read_certificates(presented)
    if not chain:
        return Verdict(VerdictKind.UNREADABLE, "tls: failed to find any certificate in the PEM data")
    if not ca_bundle:
        return Verdict(VerdictKind.NO_ROOTS, "empty caBundle: the API server would use its host's own roots")
    roots = read_certificates(ca_bundle)
    if not roots:
        return Verdict(VerdictKind.NO_ROOTS, "unable to load root certificates: the caBundle has none")
    return verify_chain(chain, roots, name, now)


def verify_chain(
    presented: Sequence[Certificate], roots: Sequence[Certificate], name: str, now: datetime
) -> Verdict:
    """Verify a leaf, helped by the certificates presented after it, against trust anchors.

    Args:
        presented: The leaf, then intermediates in any order; at least the leaf.
        roots: The trust anchors.
        name: The DNS name that was called.
        now: The time of the verification, aware.
    """
    leaf = presented[0]
    problem = _problem_of(leaf, [], now)
    if problem:
        return problem
    if reason := explain_host_mismatch(leaf, name):
        return Verdict(VerdictKind.NAME_MISMATCH, reason, leaf.sha256)
    # A leaf that is itself a trust anchor needs no signature: Go looks it up in the pool first.
    if any(leaf.der == root.der for root in roots):
        return _judge([[leaf]])
    chains, failure = _Search(roots, presented[1:], now).extend([leaf])
    return failure or _judge(chains)


def explain_not_current(certificate: Certificate, now: datetime) -> str:
    """Nothing when a certificate is valid now, else Go's words; both ends are inclusive."""
    start, end = certificate.not_before, certificate.not_after
    if now < start:
        relation = f"before {_stamp(start)}"
    elif now > end:
        relation = f"after {_stamp(end)}"
    else:
        return ""
    return f"x509: certificate has expired or is not yet valid: current time {_stamp(now)} is {relation}"


def _judge(chains: Sequence[list[Certificate]]) -> Verdict:
    """The first chain that may be used for servers and keeps all constraints wins."""
    violations: list[str] = []
    for chain in chains:
        if not _serves(chain):
            continue
        reason = explain_constraint_violation(chain)
        if not reason:
            return VALID
        violations.append(reason)
    leaf = chains[0][0].sha256
    if violations:
        return Verdict(VerdictKind.NAME_CONSTRAINT, violations[0], leaf)
    return Verdict(
        VerdictKind.INCOMPATIBLE_USAGE, "x509: certificate specifies an incompatible key usage", leaf
    )


def _serves(chain: Sequence[Certificate]) -> bool:
    """Whether every element that lists purposes lists serverAuth or any (nested, as Go does it)."""
    listed = [element.purposes for element in chain if element.purposes is not None]
    return all(SERVER_AUTH in purposes or _ANY_PURPOSE in purposes for purposes in listed)


def _problem_of(certificate: Certificate, below: Sequence[Certificate], now: datetime) -> Verdict | None:
    """What keeps a certificate from its place above `below` in a chain (Go's isValid), or nothing."""
    blamed = certificate.sha256
    if certificate.unhandled:
        return Verdict(VerdictKind.UNKNOWN_EXTENSION, "x509: unhandled critical extension", blamed)
    if reason := explain_not_current(certificate, now):
        return Verdict(VerdictKind.NOT_CURRENT, reason, blamed)
    limit = certificate.path_length
    if limit is not None and len(below) - 1 > limit:
        reason = "x509: too many intermediates for path length constraint"
        return Verdict(VerdictKind.PATH_TOO_LONG, reason, blamed)
    return None


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Search:
    """One search for chains; counts signature checks over all its branches, as Go does."""

    def __init__(self, roots: Sequence[Certificate], helpers: Sequence[Certificate], now: datetime) -> None:
        self._roots = roots
        self._helpers = helpers
        self._now = now
        self._checks_left = _SIGNATURE_CHECKS

    def extend(self, chain: list[Certificate]) -> tuple[list[list[Certificate]], Verdict | None]:
        """Every chain that continues `chain` up to a trust anchor, or why there is none.

        As in Go, the last candidate that signed but was not usable (expired) decides the answer; candidates
        that did not sign are only a hint inside "unknown authority".
        """
        found: list[list[Certificate]] = []
        failure: Verdict | None = None
        hint = ""
        for candidate, place in self._candidates(chain):
            reason = _CANNOT_SIGN if _must_not_sign(candidate) else check_signature(chain[-1], candidate)
            if not reason:
                failure = _problem_of(candidate, chain, self._now) or _problem_between(candidate, place)
                reason = failure.message if failure else ""
            if reason:
                hint = hint or _hint(reason, candidate)
                continue
            longer = [*chain, candidate]
            chains, failure = ([longer], None) if place is _Place.ROOT else self.extend(longer)
            found.extend(chains)
        if found:
            return found, None
        if self._checks_left < 0:
            reason = "x509: signature check attempts limit reached while verifying certificate chain"
            return [], Verdict(VerdictKind.TOO_MANY_CANDIDATES, reason)
        reason = f"x509: certificate signed by unknown authority{hint}"
        return [], failure or Verdict(VerdictKind.UNKNOWN_AUTHORITY, reason, chain[-1].sha256)

    def _candidates(self, chain: Sequence[Certificate]) -> Iterator[tuple[Certificate, _Place]]:
        """Possible parents of the chain's last element while signature checks are left."""
        parents = [
            *((parent, _Place.ROOT) for parent in _parents(chain[-1], self._roots)),
            *((parent, _Place.BETWEEN) for parent in _parents(chain[-1], self._helpers)),
        ]
        for parent, place in parents:
            self._checks_left -= 1
            if self._checks_left < 0:
                return
            if not any(_same_entity(parent, element) for element in chain):
                yield parent, place


def _parents(child: Certificate, pool: Sequence[Certificate]) -> list[Certificate]:
    """Certificates of a pool with the issuer's name, those with the right key identifier first."""
    wanted = child.authority_key_id
    named = {one.der: one for one in pool if one.subject_raw == child.issuer_raw}

    def likelihood(certificate: Certificate) -> int:
        if certificate.subject_key_id == wanted:
            return 0
        return 1 if not certificate.subject_key_id or not wanted else 2

    return sorted(named.values(), key=likelihood)


def _problem_between(candidate: Certificate, place: _Place) -> Verdict | None:
    """A certificate between leaf and root must call itself a CA; a trust anchor of version 1 need not."""
    if place is _Place.ROOT or candidate.is_authority:
        return None
    reason = "x509: certificate is not authorized to sign other certificates"
    return Verdict(VerdictKind.NOT_AN_AUTHORITY, reason, candidate.sha256)


def _must_not_sign(candidate: Certificate) -> bool:
    """RFC 5280 section 4.2.1.9 and 4.2.1.3 for the certificate whose key would have signed."""
    unmarked = candidate.parsed.version is Version.v3 and candidate.is_authority is None
    return unmarked or candidate.is_authority is False or candidate.may_sign is False


def _hint(reason: str, candidate: Certificate) -> str:
    attributes = dict(name_attributes(candidate.subject_raw))
    name = attributes.get("CN") or attributes.get("O") or f"serial:{candidate.parsed.serial_number}"
    cause = reason.replace('"', '\\"')
    return f' (possibly because of "{cause}" while trying to verify candidate authority certificate "{name}")'


def _same_entity(one: Certificate, other: Certificate) -> bool:
    same_name = one.subject_raw == other.subject_raw and one.names == other.names
    return same_name and one.spki_sha256 == other.spki_sha256
