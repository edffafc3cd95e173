"""What is not read again, and that nothing is lost by it."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.drift.finding import compared, find_drift
from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.drift.memory import ClusterMemory, recollect
from tasks.core.drift.observation import ClusterObservation, by_ref
from tasks.core.drift.reading import Read, plan_reads
from tasks.core.drift.unchanged import ComparedVersions
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.expectations import NAMESPACE, expectation, manifest

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
CRD = ObjectRef("apiextensions.k8s.io/v1", "CustomResourceDefinition", "streams.oci.oracle.com")


def live(version: str = "41", uid: str = "u1") -> Manifest:
    made = manifest(CRD.api_version, CRD.kind, CRD.name)
    return {**made, "metadata": {**made["metadata"], "uid": uid, "resourceVersion": version}}


def seen(*objects: Manifest, unchanged: frozenset[ObjectRef] = frozenset()) -> ClusterObservation:
    return ClusterObservation("fra-1", NOW, "v1.37.0", "uid", by_ref(objects), unchanged=unchanged)


def remembered(expected: str = "e", read_at: datetime = NOW) -> ComparedVersions:
    return ComparedVersions(expected=expected, read_at=read_at, versions={str(CRD): "u1/41"})


@pytest.mark.parametrize(
    ("found", "held"),
    [
        pytest.param(live(), True, id="the same"),
        pytest.param(live(version="42"), False, id="written"),
        pytest.param(live(uid="u2"), False, id="deleted and made again"),
        pytest.param(None, False, id="gone"),
    ],
)
def test_an_object_is_unchanged_in_the_same_version_only(found: Manifest | None, held: bool) -> None:  # noqa: FBT001 - a column of the table
    assert remembered().holds(CRD, found) is held


@pytest.mark.parametrize(
    ("expected", "later", "usable"),
    [
        pytest.param("e", timedelta(hours=23), True, id="an hour before the day is over"),
        pytest.param("e", timedelta(days=1), False, id="a day later"),
        pytest.param("e", timedelta(seconds=-1), False, id="from the future"),
        pytest.param("another release", timedelta(0), False, id="other manifests"),
    ],
)
def test_what_was_compared_counts_for_a_day_and_the_same_manifests(
    expected: str,
    later: timedelta,
    usable: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert remembered().usable(expected, NOW + later) is usable


def test_an_unchanged_object_is_not_compared_again() -> None:
    found = find_drift(expectation(), seen(live(), unchanged=frozenset({CRD})))

    assert [item for item in found if item.ref == CRD] == []


def test_an_object_that_is_not_as_it_should_be_is_read_again_the_next_time() -> None:
    item = DriftItem(kind=DriftKind.CHANGED, ref=CRD, field="/spec/group")

    assert compared(expectation(), seen(live()), [item]).versions == {}
    assert compared(expectation(), seen(live()), []).versions == {str(CRD): "u1/41"}


def test_the_day_begins_when_everything_was_read() -> None:
    yesterday = NOW - timedelta(hours=20)
    again = ClusterObservation("fra-1", NOW, "v1", "uid", by_ref([live()]), compared_at=yesterday)

    assert compared(expectation(), again, []).read_at == yesterday
    assert compared(expectation(), seen(live()), []).read_at == NOW


def test_a_verification_forgets_nothing_of_what_was_compared() -> None:
    memory = ClusterMemory(compared=remembered())

    assert recollect(memory, [], NOW, "osok-fleet").memory.compared == remembered()
    assert memory.repaired([], NOW, timedelta(0), timedelta(0)).compared == remembered()


def test_no_secret_is_listed() -> None:
    assert [read for read in plan_reads(expectation()) if read.kind == "Secret" and not read.name] == []


def test_of_the_namespaces_only_the_named_ones_are_read() -> None:
    (read,) = (read for read in plan_reads(expectation()) if read.kind == "Namespace")

    assert read.selector == f"kubernetes.io/metadata.name in (kube-system,{NAMESPACE})"
    assert {ref.name for ref in read.wanted} == {"kube-system", NAMESPACE}


def test_a_list_knows_what_it_is_to_hold() -> None:
    (read,) = (read for read in plan_reads(expectation()) if read.kind == CRD.kind)

    assert CRD in read.wanted
    assert read.is_large
    assert not Read("v1", "ConfigMap", NAMESPACE, "one").is_large
