"""The CertificateSigningRequest object: made, shown, decided, filled, never trusted (runbook R13-R19)."""

import base64
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.certificates.cluster_request_policy import ClusterExpectation, check_cluster_request
from tasks.core.certificates.cluster_requests import (
    RequestState,
    approval_deadline,
    approved,
    build_cluster_request,
    check_signer_name,
    denied,
    issued,
    issued_certificate,
    request_bytes,
    request_name,
    show_request,
    state_of,
)
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import documented_plan, recommended_plan
from tasks.core.certificates.request_policy import RefusalReason, RequestExpectation
from tasks.core.certificates.requests import build_request
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, sha256_hex
from tests.core.certificates.workshop import LEAF, NOW, ROOT, ec_key, make

TARGET = WebhookTarget("mesh", ("manager", "webhook"))
PLAN = recommended_plan(TARGET)
KEY = PrivateKey(ec_key(1))
REQUEST = build_request(KEY, PLAN)
REQUESTER = "system:serviceaccount:osok-fleet:pipeline"
EXPECTATION = ClusterExpectation(RequestExpectation(PLAN, KEY.spki_sha256), "oci.com/osok", REQUESTER, "u-1")
CERTIFICATE = make(LEAF, ROOT).pem
OTHER_CERTIFICATE = make(LEAF, ROOT).pem


def _object(**changes: object) -> Manifest:
    """The object as an API server returns it."""
    made = build_cluster_request("osok.mesh.1", REQUEST, PLAN, "oci.com/osok", {"fleet": "x"})
    made["metadata"].update(uid="o-1", creationTimestamp="2026-11-20T10:00:00Z")
    made["spec"].update({"username": REQUESTER, "uid": "u-1", **changes})
    return made


SHOWN = show_request(_object())


def test_the_object_asks_our_signer_for_the_planned_usages() -> None:
    made = build_cluster_request("osok.mesh.1", REQUEST, PLAN, "oci.com/osok", {"fleet": "x"})

    assert made["spec"] == {
        "request": base64.b64encode(REQUEST).decode(),
        "signerName": "oci.com/osok",
        "usages": ["digital signature", "server auth"],
        "expirationSeconds": 397 * 24 * 3600,
    }
    assert made["metadata"]["annotations"] == {"osok-fleet.io/request-sha256": sha256_hex(REQUEST)}


def test_876000_hours_are_cut_to_what_the_api_can_say() -> None:
    """R17: expirationSeconds is an int32."""
    made = build_cluster_request("x", REQUEST, documented_plan(TARGET), "oci.com/osok", {})

    assert made["spec"]["expirationSeconds"] == 2_147_483_647


def test_the_name_changes_with_the_request() -> None:
    one = request_name("oci-service-operator-controller", "mesh", REQUEST)
    other = request_name("oci-service-operator-controller", "mesh", build_request(KEY, PLAN))

    assert one.startswith("oci-service-operator-controller.mesh.")
    assert one != other


def test_a_name_that_no_object_can_have_is_refused() -> None:
    with pytest.raises(CertificateError, match="at most 253"):
        request_name("b" * 240, "mesh", REQUEST)


@pytest.mark.parametrize("name", ["oci.com/osok", "osok.example.com/webhook", "a.b/c.d"])
def test_a_domain_and_a_path_are_a_signer(name: str) -> None:
    assert check_signer_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "oci.com",
        "",
        "/osok",
        "oci.com/",
        "oci/osok",
        "oci.com/a/b",
        "Oci.com/osok",
        "oci.com/Osok",
        "oci..com/x",
    ],
)
def test_what_the_api_server_refuses_is_refused_before(name: str) -> None:
    """R13: the documented `oci.com` is one of them."""
    with pytest.raises(CertificateError, match="fully qualified domain and path"):
        check_signer_name(name)


@pytest.mark.parametrize("name", ["kubernetes.io/kube-apiserver-client", "beta.kubernetes.io/x"])
def test_the_clusters_own_signers_are_never_asked(name: str) -> None:
    with pytest.raises(CertificateError, match="a signer of your own"):
        check_signer_name(name)


def test_what_is_shown_is_what_the_object_says() -> None:
    assert SHOWN.digest == sha256_hex(REQUEST)
    assert (SHOWN.name, SHOWN.uid, SHOWN.requester, SHOWN.requester_uid) == (
        "osok.mesh.1",
        "o-1",
        REQUESTER,
        "u-1",
    )
    assert (SHOWN.signer_name, SHOWN.usages) == ("oci.com/osok", ("digital signature", "server auth"))
    assert SHOWN.expiration_seconds == 397 * 24 * 3600


def test_a_pending_request_is_collected_after_a_day() -> None:
    assert approval_deadline(_object()) == datetime(2026, 11, 21, 10, tzinfo=UTC)


def test_an_object_without_an_age_was_not_read_from_a_cluster() -> None:
    with pytest.raises(CertificateError, match="creationTimestamp"):
        approval_deadline(build_cluster_request("x", REQUEST, PLAN, "oci.com/osok", {}))


@pytest.mark.parametrize(
    ("conditions", "certificate", "state"),
    [
        ([], b"", RequestState.PENDING),
        (["Approved"], b"", RequestState.APPROVED),
        (["Approved"], CERTIFICATE, RequestState.ISSUED),
        ([], CERTIFICATE, RequestState.PENDING),
        (["Denied"], b"", RequestState.DENIED),
        (["Approved", "Failed"], b"", RequestState.FAILED),
        (["Approved", "Failed"], CERTIFICATE, RequestState.FAILED),
        (["Approved", "Denied"], CERTIFICATE, RequestState.DENIED),
    ],
)
def test_the_state_follows_from_conditions_and_certificate(
    conditions: list[str], certificate: bytes, state: RequestState
) -> None:
    made = _object()
    made["status"] = {"conditions": [{"type": kind, "status": "True"} for kind in conditions]}

    assert state_of(issued(made, certificate) if certificate else made) is state


def test_an_approval_adds_the_condition() -> None:
    done = approved(_object(), "approved by Ada: planned change", NOW + timedelta(seconds=1))

    assert done["status"]["conditions"] == [
        {
            "type": "Approved",
            "status": "True",
            "reason": "OsokFleet",
            "message": "approved by Ada: planned change",
            "lastUpdateTime": "2026-11-20T12:00:01Z",
        }
    ]
    assert state_of(done) is RequestState.APPROVED


def test_a_decision_of_somebody_else_stays_as_it_is() -> None:
    theirs = approved(_object(), "kubectl", NOW)

    assert approved(theirs, "ours", NOW + timedelta(hours=1)) == theirs


def test_decisions_exclude_each_other() -> None:
    with pytest.raises(CertificateError, match="decisions cannot be taken back"):
        denied(approved(_object(), "yes", NOW), "no", NOW)
    with pytest.raises(CertificateError, match="the condition Denied"):
        approved(denied(_object(), "no", NOW), "yes", NOW)


def test_the_object_itself_is_not_changed() -> None:
    made = _object()
    before = deepcopy(made)

    issued(approved(made, "yes", NOW), CERTIFICATE)

    assert made == before


def test_the_certificate_goes_into_the_status() -> None:
    """R18."""
    done = issued(approved(_object(), "yes", NOW), CERTIFICATE)

    assert issued_certificate(done) == CERTIFICATE
    assert state_of(done) is RequestState.ISSUED
    assert issued(done, CERTIFICATE) == done


def test_the_certificate_is_written_once() -> None:
    done = issued(_object(), CERTIFICATE)

    with pytest.raises(CertificateError, match="write-once"):
        issued(done, OTHER_CERTIFICATE)


def test_our_own_object_may_be_shown_and_signed() -> None:
    assert check_cluster_request(_object(), EXPECTATION) == ()
    assert check_cluster_request(approved(_object(), "yes", NOW), EXPECTATION, SHOWN) == ()


def _renamed(**metadata: str) -> Manifest:
    made = _object()
    made["metadata"].update(metadata)
    return made


OTHER_REQUEST = base64.b64encode(build_request(KEY, PLAN)).decode()
FOREIGN_REQUEST = base64.b64encode(build_request(PrivateKey(ec_key(2)), PLAN)).decode()
CHANGED = {
    "replaced by another object": (_renamed(uid="o-2"), {RefusalReason.OTHER_OBJECT}),
    "other bytes of the same key": (_object(request=OTHER_REQUEST), {RefusalReason.OTHER_BYTES}),
    "other bytes of another key": (
        _object(request=FOREIGN_REQUEST),
        {RefusalReason.OTHER_BYTES, RefusalReason.FOREIGN_KEY},
    ),
    "no bytes": (_object(request=""), {RefusalReason.OTHER_BYTES, RefusalReason.UNREADABLE}),
    "another signer": (_object(signerName="kubernetes.io/kube-apiserver-client"), {RefusalReason.SIGNER}),
    "a usage added": (
        _object(usages=["digital signature", "server auth", "client auth"]),
        {RefusalReason.USAGE},
    ),
    "a usage missing": (_object(usages=["server auth"]), {RefusalReason.USAGE}),
    "another requester": (_object(username="eve"), {RefusalReason.REQUESTER}),
    "a requester of the same name": (_object(uid="u-2"), {RefusalReason.REQUESTER}),
    "another lifetime": (_object(expirationSeconds=2_147_483_647), {RefusalReason.EXPIRATION}),
    "a lifetime that the API does not take": (_object(expirationSeconds=60), {RefusalReason.EXPIRATION}),
    "denied": (denied(_object(), "no", NOW), {RefusalReason.DENIED}),
    "failed": (
        {**_object(), "status": {"conditions": [{"type": "Failed", "status": "True", "message": "m"}]}},
        {RefusalReason.FAILED},
    ),
}


@pytest.mark.parametrize(("made", "reasons"), CHANGED.values(), ids=CHANGED)
def test_an_object_that_changed_since_it_was_shown_is_refused(
    made: Manifest, reasons: set[RefusalReason]
) -> None:
    refusals = check_cluster_request(made, EXPECTATION, SHOWN)

    assert {refusal.reason for refusal in refusals} == reasons


@pytest.mark.parametrize(
    "label", ["other bytes of another key", "another signer", "a usage added", "another requester"]
)
def test_a_foreign_object_is_refused_before_it_is_shown(label: str) -> None:
    made, _ = CHANGED[label]

    assert check_cluster_request(made, EXPECTATION) != ()


def test_the_usages_may_come_in_another_order() -> None:
    assert check_cluster_request(_object(usages=["server auth", "digital signature"]), EXPECTATION) == ()


def test_a_requester_without_a_uid_is_matched_by_name() -> None:
    made = _object(uid=None)

    assert check_cluster_request(made, replace(EXPECTATION, requester_uid="")) == ()


@pytest.mark.parametrize("content", ["***", "QUJ"])
def test_bytes_that_are_no_base64_are_unreadable(content: str) -> None:
    refusals = check_cluster_request(_object(request=content), EXPECTATION, SHOWN)

    assert [refusal.reason for refusal in refusals] == [RefusalReason.UNREADABLE]
    with pytest.raises(CertificateError, match=r"read status\.certificate"):
        issued_certificate({"status": {"certificate": content}})


def test_the_bytes_of_the_object_are_the_request() -> None:
    assert request_bytes(_object()) == REQUEST
