"""Requests of certificates on a real API server: made once, found again, refused when foreign (R12–R14)."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from deployments.rehearsal.control_plane import ControlPlane
from tasks.certificates.requests import request_certificate
from tasks.certificates.staging import discard_staged, stage
from tasks.core.certificate_orders import PendingRequest, Shown
from tasks.core.certificates.cluster_requests import RequestState, state_of
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, sha256_hex
from tasks.core.ownership import MANAGED_BY
from tests.support.certificates import (
    HOSTILE,
    Hostile,
    RequestBench,
    approve,
    certificate_in,
    deny,
    open_bench,
    other_account,
)

pytestmark = pytest.mark.cluster


@pytest.fixture(name="bench")
def _bench(control_plane: ControlPlane) -> Iterator[RequestBench]:
    with open_bench(control_plane) as bench:
        yield bench


def request(
    bench: RequestBench, shown: Shown = Shown.NOT_YET, patience: timedelta = timedelta(hours=12)
) -> PendingRequest:
    return request_certificate.fn(
        bench.cluster, bench.order, bench.target, shown, datetime.now(UTC) + patience
    )


def spki_of(bench: RequestBench) -> str:
    staged = bench.staged()
    assert staged is not None
    return staged.key.spki_sha256


def test_key_and_request_are_made_and_described(bench: RequestBench) -> None:
    """R12 to R14."""
    pending = request(bench)

    live = bench.ours()
    assert state_of(live) is RequestState.PENDING
    assert pending.shown.uid == live["metadata"]["uid"]
    assert pending.shown.digest == sha256_hex(base64.b64decode(live["spec"]["request"]))
    assert pending.shown.requester == "admin"
    assert (pending.cluster_uid, pending.subject) == (bench.target.uid, "CN=kube.operator.cert")
    assert pending.dns_names == bench.order.plan.dns_names
    assert pending.spki_sha256 == spki_of(bench)
    assert (pending.replaces, pending.denial) == ("", "")


def test_a_second_look_finds_the_same_request(bench: RequestBench) -> None:
    first = request(bench)

    assert request(bench) == first
    assert request(bench, Shown.ALREADY) == first
    assert len(bench.requests()) == 1


def test_a_run_that_died_between_key_and_request_goes_on_with_the_key(bench: RequestBench) -> None:
    """A kill between the two creates: never two keys for one decision."""
    staged = stage(bench.client, bench.order)

    pending = request(bench)

    assert pending.spki_sha256 == staged.key.spki_sha256


def test_a_request_whose_key_is_gone_is_removed(bench: RequestBench) -> None:
    """Somebody deleted the staging Secret: nobody may approve a request that cannot be served any more."""
    first = request(bench)
    discard_staged(bench.client, bench.order)

    second = request(bench, Shown.ALREADY)

    assert second.shown.uid != first.shown.uid
    assert [one["metadata"]["uid"] for one in bench.requests()] == [second.shown.uid]


def test_a_request_whose_key_was_replaced_is_removed(bench: RequestBench) -> None:
    """Other bytes than those that were shown: they are asked for anew, under another digest."""
    first = request(bench)
    stage(bench.client, bench.order)

    second = request(bench, Shown.ALREADY)

    assert second.shown.digest != first.shown.digest
    assert [one["metadata"]["uid"] for one in bench.requests()] == [second.shown.uid]


def test_requests_of_others_are_not_tidied_up(bench: RequestBench, control_plane: ControlPlane) -> None:
    stage(bench.client, bench.order)
    other = other_account(control_plane, bench.order.namespace)
    theirs = bench.put(bench.hostile(HOSTILE["another key"]), other)
    discard_staged(bench.client, bench.order)

    pending = request(bench)

    uids = {one["metadata"]["uid"] for one in bench.requests()}
    assert uids == {theirs["metadata"]["uid"], pending.shown.uid}


def test_a_request_of_another_order_is_made_anew(bench: RequestBench) -> None:
    """The key waits for a request with other names than those that are needed now."""
    other = bench.with_services("manager")
    first = request(other)

    second = request(bench)

    assert second.spki_sha256 != first.spki_sha256
    assert second.dns_names == bench.order.plan.dns_names


def test_a_request_that_would_be_collected_before_the_decision_is_made_anew(bench: RequestBench) -> None:
    """The cluster collects a pending request after 24 hours: nobody could decide on it by then."""
    first = request(bench)

    second = request(bench, patience=timedelta(hours=25))

    assert second.shown.uid != first.shown.uid
    assert second.spki_sha256 != first.spki_sha256
    assert [one["metadata"]["uid"] for one in bench.requests()] == [second.shown.uid]


def test_a_request_that_was_shown_is_kept_however_old(bench: RequestBench) -> None:
    first = request(bench)

    assert request(bench, Shown.ALREADY, timedelta(hours=25)) == first


def test_an_old_request_that_was_approved_is_kept(bench: RequestBench) -> None:
    """An approval with kubectl is a decision; the run that reads it comes later."""
    first = request(bench)
    approve(bench.client, bench.ours())

    assert request(bench, patience=timedelta(hours=25)) == first


def test_a_request_that_was_denied_before_this_run_is_made_anew(bench: RequestBench) -> None:
    """R15: a denial ends the run that showed the request, not every later one."""
    first = request(bench)
    deny(bench.client, bench.ours())

    second = request(bench)

    assert second.spki_sha256 != first.spki_sha256
    assert second.denial == ""
    assert [one["metadata"]["uid"] for one in bench.requests()] == [second.shown.uid]


def test_a_denial_since_the_request_was_shown_is_told(bench: RequestBench) -> None:
    """R15: `kubectl certificate deny` by somebody else counts as the decision."""
    first = request(bench)
    deny(bench.client, bench.ours())

    second = request(bench, Shown.ALREADY)

    assert second.shown == first.shown
    assert "denied by kubectl certificate deny" in second.denial


def test_a_failed_request_is_made_anew(bench: RequestBench) -> None:
    first = request(bench)
    bench.fail(bench.ours())

    second = request(bench, Shown.ALREADY)

    assert second.shown.uid != first.shown.uid
    assert len(bench.requests()) == 1


def test_the_staging_secret_of_somebody_else_is_not_touched(bench: RequestBench) -> None:
    theirs = bench.create_staging_secret({})

    with pytest.raises(CertificateError, match="somebody else's Secret"):
        request(bench)

    assert bench.client.get(bench.staging_ref()) == theirs
    assert bench.requests() == []


def test_a_damaged_staging_secret_of_ours_is_replaced(bench: RequestBench) -> None:
    bench.create_staging_secret(MANAGED_BY)

    pending = request(bench)

    assert pending.spki_sha256 == spki_of(bench)


@pytest.mark.parametrize("case", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_request_under_our_name_is_not_shown(bench: RequestBench, case: Hostile) -> None:
    """R14: nobody is asked to approve a request that could never be signed."""
    stage(bench.client, bench.order)
    hostile = bench.put(bench.hostile(case))

    with pytest.raises(CertificateError, match=case.refused):
        request(bench)

    assert_left_alone(bench, hostile)


def test_our_very_bytes_requested_by_another_account_are_not_shown(
    bench: RequestBench, control_plane: ControlPlane
) -> None:
    """Whoever may create requests can copy ours; only the requester tells them apart."""
    staged = stage(bench.client, bench.order)
    other = other_account(control_plane, bench.order.namespace)
    hostile = bench.put(bench.request_for(staged.request), other)

    with pytest.raises(CertificateError, match="REQUESTER: the requester system:serviceaccount:requests-"):
        request(bench)

    assert_left_alone(bench, hostile)


def test_the_run_after_a_refusal_starts_afresh(bench: RequestBench) -> None:
    stage(bench.client, bench.order)
    hostile = bench.put(bench.hostile(HOSTILE["an additional name"]))
    with pytest.raises(CertificateError):
        request(bench)

    pending = request(bench)

    assert pending.shown.name != hostile["metadata"]["name"]
    assert pending.spki_sha256 == spki_of(bench)


def assert_left_alone(bench: RequestBench, hostile: Manifest) -> None:
    """Nothing was signed, the foreign object stays as evidence, and our key is gone."""
    assert bench.ours() == hostile
    assert certificate_in(bench.ours()) == b""
    assert bench.client.get(bench.staging_ref()) is None
