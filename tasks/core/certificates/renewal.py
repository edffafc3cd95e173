"""When to renew, and on which day what fails first.

Renewal is due when two thirds of the leaf's life are over, but always before OLM acts on its own: before
csv.status.certsRotateAt (0.20.0) and before its 24 hours (0.29.0 and later).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from tasks.core.certificates.bundles import issuer_in
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.olm import MINIMUM_FRESHNESS, OlmRule, rule_of
from tasks.core.errors import CertificateError


class MilestoneKind(StrEnum):
    """What happens on a date."""

    LEAF_EXPIRES = "LEAF_EXPIRES"
    """The API server refuses every call of the webhooks."""
    ISSUER_EXPIRES = "ISSUER_EXPIRES"
    """The same: Go checks every element of the chain, the root too."""
    OLM_REPLACES = "OLM_REPLACES"
    """OLM throws the certificate away because it, or its CA, ends within 24 hours."""
    OLM_ROTATES = "OLM_ROTATES"
    """OLM before 0.29.0 throws the certificate away because certsRotateAt has come."""


@dataclass(frozen=True, order=True)
class Milestone:
    """One date at which something happens if nobody acts.

    Attributes:
        at: When.
        kind: What.
        subject: Which certificate or object.
    """

    at: datetime
    kind: MilestoneKind
    subject: str


@dataclass(frozen=True)
class RenewalPolicy:
    """When the pipeline renews.

    Attributes:
        share: The part of the leaf's life after which renewal is due.
        margin: How long before OLM acts on its own it must be done; at most a twentieth of the leaf's life.
    """

    share: Fraction = Fraction(2, 3)
    margin: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        """Refuse a policy that never or always renews."""
        if not 0 < self.share < 1 or self.margin < timedelta(0):
            found = f"{self.share} and {self.margin}"
            raise CertificateError(
                "plan renewals", "", "a share between 0 and 1 and a margin that is not negative", found
            )


@dataclass(frozen=True)
class ServedCertificate:
    """What the renewal is computed from.

    Attributes:
        leaf: The certificate that is served.
        trust: The certificates of olmCAKey, the issuing CA first.
        olm_version: The OLM that manages the Secret.
        rotates_at: csv.status.certsRotateAt, if it is set.
    """

    leaf: Certificate
    trust: tuple[Certificate, ...]
    olm_version: str
    rotates_at: datetime | None = None


@dataclass(frozen=True)
class Renewal:
    """When a renewal is due and why then.

    Attributes:
        due: From when on the pipeline renews.
        decided_by: The milestone that is to be avoided; the leaf's own end for the rule of two thirds.
    """

    due: datetime
    decided_by: MilestoneKind


def milestones(served: ServedCertificate) -> tuple[Milestone, ...]:
    """Every date at which something happens if nobody acts, the first one first."""
    return tuple(sorted(_milestones(served)))


def first_failure(served: Sequence[ServedCertificate]) -> Milestone:
    """The first date of several certificates, for a cluster or a fleet.

    Raises:
        CertificateError: There is no certificate.
    """
    if not served:
        raise CertificateError("find the first failure date", "", "at least one served certificate", "none")
    return min(date for one in served for date in milestones(one))


def plan_renewal(
    served: ServedCertificate, policy: RenewalPolicy, jitter: timedelta = timedelta(0)
) -> Renewal:
    """When to renew.

    Args:
        served: What is there now.
        policy: The rule.
        jitter: How much earlier than the rule says; spreads a fleet. Not negative.

    Raises:
        CertificateError: The jitter is negative: renewal would come later than the rule says.
    """
    if jitter < timedelta(0):
        raise CertificateError("plan a renewal", "", "a jitter that is not negative", str(jitter))
    life = served.leaf.not_after - served.leaf.not_before
    by_share = served.leaf.not_before + life * float(policy.share)
    margin = min(policy.margin, life / 20)
    candidates = [(by_share, MilestoneKind.LEAF_EXPIRES)]
    candidates += [(milestone.at - margin, milestone.kind) for milestone in milestones(served)]
    due, kind = min(candidates)
    return Renewal(max(due - jitter, served.leaf.not_before), kind)


def _milestones(served: ServedCertificate) -> Iterator[Milestone]:
    leaf = served.leaf
    issuer = issuer_in(served.trust, leaf)
    yield Milestone(leaf.not_after, MilestoneKind.LEAF_EXPIRES, f"certificate {leaf.serial}")
    if issuer:
        yield Milestone(issuer.not_after, MilestoneKind.ISSUER_EXPIRES, f"CA {issuer.subject}")
    if rule_of(served.olm_version) is OlmRule.VERIFICATION:
        end = min(one.not_after for one in (leaf, issuer) if one)
        yield Milestone(end - MINIMUM_FRESHNESS, MilestoneKind.OLM_REPLACES, f"OLM {served.olm_version}")
    elif served.rotates_at:
        yield Milestone(served.rotates_at, MilestoneKind.OLM_ROTATES, f"OLM {served.olm_version}")
