"""When to renew, and what fails first (issue 4, renewal and the first failure date)."""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.renewal import (
    Milestone,
    MilestoneKind,
    RenewalPolicy,
    ServedCertificate,
    first_failure,
    milestones,
    plan_renewal,
)
from tasks.core.errors import CertificateError
from tests.core.certificates.workshop import DAY, LEAF, NOW, ROOT, ec_key, make

POLICY = RenewalPolicy()
HOUR = timedelta(hours=1)


def _served(
    leaf_end: datetime = NOW + 300 * DAY, root_end: datetime = NOW + 900 * DAY, olm: str = "0.46.0"
) -> ServedCertificate:
    root = replace(ROOT, not_after=root_end)
    leaf = replace(LEAF, not_before=NOW, not_after=leaf_end)
    return ServedCertificate(make(leaf, root), (make(root),), olm)


def test_renewal_is_due_after_two_thirds_of_the_life() -> None:
    renewal = plan_renewal(_served(), POLICY)

    assert renewal.due == NOW + 200 * DAY
    assert renewal.decided_by is MilestoneKind.LEAF_EXPIRES


def test_jitter_makes_it_earlier_only() -> None:
    assert plan_renewal(_served(), POLICY, 3 * HOUR).due == NOW + 200 * DAY - 3 * HOUR
    with pytest.raises(CertificateError, match="not negative"):
        plan_renewal(_served(), POLICY, -HOUR)


def test_olm_0_20_is_anticipated_by_the_margin() -> None:
    served = replace(_served(olm="0.20.0"), rotates_at=NOW + 100 * DAY)

    renewal = plan_renewal(served, POLICY)

    assert (renewal.due, renewal.decided_by) == (NOW + 93 * DAY, MilestoneKind.OLM_ROTATES)


def test_a_ca_that_ends_first_decides() -> None:
    renewal = plan_renewal(_served(root_end=NOW + 100 * DAY), POLICY)

    assert (renewal.due, renewal.decided_by) == (NOW + 92 * DAY, MilestoneKind.OLM_REPLACES)


def test_a_short_life_has_a_short_margin() -> None:
    """Three days: OLM acts after two, a twentieth of the life before that is the limit."""
    renewal = plan_renewal(_served(leaf_end=NOW + 3 * DAY), POLICY)

    assert renewal.due == NOW + 2 * DAY - timedelta(hours=3, minutes=36)


def test_renewal_is_never_before_the_certificate() -> None:
    assert plan_renewal(_served(leaf_end=NOW + 25 * HOUR), POLICY, 10 * DAY).due == NOW


@given(
    life=st.integers(min_value=26, max_value=20_000),
    ca_life=st.integers(min_value=26, max_value=40_000),
    jitter=st.integers(min_value=0, max_value=48),
)
def test_renewal_always_comes_before_everything_that_fails(life: int, ca_life: int, jitter: int) -> None:
    served = _served(NOW + life * HOUR, NOW + ca_life * HOUR)

    due = plan_renewal(served, POLICY, jitter * HOUR).due

    assert due == NOW or due < milestones(served)[0].at


@pytest.mark.parametrize(
    ("share", "margin"), [(Fraction(0), DAY), (Fraction(1), DAY), (Fraction(1, 2), -DAY)]
)
def test_a_policy_that_never_or_always_renews_is_refused(share: Fraction, margin: timedelta) -> None:
    with pytest.raises(CertificateError, match="plan renewals"):
        RenewalPolicy(share, margin)


def test_the_first_date_comes_first() -> None:
    served = _served(leaf_end=NOW + 300 * DAY, root_end=NOW + 200 * DAY)

    assert [milestone.kind for milestone in milestones(served)] == [
        MilestoneKind.OLM_REPLACES,
        MilestoneKind.ISSUER_EXPIRES,
        MilestoneKind.LEAF_EXPIRES,
    ]
    assert milestones(served)[0] == Milestone(NOW + 199 * DAY, MilestoneKind.OLM_REPLACES, "OLM 0.46.0")


def test_only_the_issuing_ca_counts() -> None:
    """An old CA behind it may end: Go finds the other chain."""
    old = make(replace(ROOT, name="Old", key=ec_key(40), not_after=NOW - DAY))
    served = _served()

    assert milestones(replace(served, trust=(*served.trust, old))) == milestones(served)


def test_without_the_issuing_ca_the_leafs_dates_are_left() -> None:
    served = replace(_served(), trust=())

    assert [milestone.kind for milestone in milestones(served)] == [
        MilestoneKind.OLM_REPLACES,
        MilestoneKind.LEAF_EXPIRES,
    ]


def test_olm_0_20_without_a_date_has_none() -> None:
    assert MilestoneKind.OLM_ROTATES not in {one.kind for one in milestones(_served(olm="0.20.0"))}


def test_a_fleet_has_one_first_failure_date() -> None:
    fleet = [_served(), _served(leaf_end=NOW + 30 * DAY), _served(root_end=NOW + 60 * DAY)]

    assert first_failure(fleet).at == NOW + 29 * DAY
    with pytest.raises(CertificateError, match="at least one"):
        first_failure([])
