"""Every object and field class, changed once on a real cluster: found, named, owned (R2–R22).

OLM is stopped meanwhile: it would put right within a second what it owns.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.core.drift.items import DriftItem
from tests.support.drift_cases import OLM_CASES, OPERATOR_CASES, WEBHOOK_CASES, Case
from tests.support.drift_certificate_cases import CERTIFICATE_CASES
from tests.support.drift_worlds import OLM_PROGRAMS, DriftBench, drift_bench
from tests.support.small_installs import tasks_outside_flows

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True),
]

STOPPED = frozenset(f"{ref}/spec/replicas" for ref in OLM_PROGRAMS)


@pytest.fixture(scope="module")
def stopped(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    """OLM's programs have no replicas, which is drift by itself."""
    with tasks_outside_flows(), drift_bench(untouched_world) as bench, bench.without_olm():
        assert bench.settled(STOPPED) == STOPPED
        yield bench


@pytest.fixture
def bench(stopped: DriftBench) -> Iterator[DriftBench]:
    yield stopped
    assert stopped.settled(STOPPED) == STOPPED


def of_object(case: Case, item: DriftItem) -> bool:
    return fnmatchcase(str(item.ref), case.object)


def is_consequence(case: Case, item: DriftItem) -> bool:
    """A status that follows, or what the case says itself."""
    followed = any(f"{item.ref}{item.field}".endswith(end) for end in case.follows)
    return followed or (of_object(case, item) and item.field.startswith("/status"))


CASES = (*OLM_CASES, *OPERATOR_CASES, *WEBHOOK_CASES, *CERTIFICATE_CASES)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.title) for case in CASES])
def test_a_single_change_is_found_with_its_kind_field_and_owner(bench: DriftBench, case: Case) -> None:
    before = bench.compared()
    with case.act(bench):
        found = bench.drift()
        beside_what_is_known = bench.drift(known=before)

    assert beside_what_is_known.keys() == found.keys()
    more = [item for key, item in found.items() if key not in STOPPED]
    (item,) = (one for one in more if of_object(case, one) and one.field == case.field)
    assert item.kind is case.kind
    assert (item.owner.manager if item.owner else None) == case.owner
    assert [one.summary for one in more if one is not item and not is_consequence(case, one)] == []
