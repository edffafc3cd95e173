"""AdmissionReviews in and out of the operator stand-in."""

import base64
import json
from typing import Any

import pytest

from deployments.rehearsal.operator.admission import (
    ALLOWED,
    MalformedReviewError,
    Request,
    Verdict,
    answer_review,
)


def _review(version: str = "v1", **request: Any) -> bytes:  # noqa: ANN401 - any JSON
    body = {"uid": "u-1", "operation": "CREATE", "namespace": "ns", "name": "x", **request}
    review = {"apiVersion": f"admission.k8s.io/{version}", "kind": "AdmissionReview", "request": body}
    return json.dumps(review).encode()


def _answer(body: bytes, verdict: Verdict) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(answer_review(body, lambda _request: verdict))
    return answer


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_answers_in_the_version_of_the_question(version: str) -> None:
    answer = _answer(_review(version), ALLOWED)

    assert answer["apiVersion"] == f"admission.k8s.io/{version}"
    assert answer["kind"] == "AdmissionReview"
    assert answer["response"] == {"uid": "u-1", "allowed": True}


def test_a_denial_carries_its_reason_and_code() -> None:
    response = _answer(_review(), Verdict(denial="no"))["response"]

    assert response == {"uid": "u-1", "allowed": False, "status": {"code": 403, "message": "no"}}


def test_a_patch_is_a_base64_encoded_json_patch() -> None:
    operation = {"op": "add", "path": "/spec/containers/-", "value": {"name": "proxy"}}

    response = _answer(_review(), Verdict(patch=(operation,)))["response"]

    assert response["patchType"] == "JSONPatch"
    assert json.loads(base64.b64decode(response["patch"])) == [operation]


def test_the_handler_sees_both_objects() -> None:
    seen: list[Request] = []

    def decide(request: Request) -> Verdict:
        seen.append(request)
        return ALLOWED

    answer_review(_review(operation="UPDATE", object={"a": 1}, oldObject={"a": 0}), decide)

    assert seen == [Request("u-1", "UPDATE", "ns", "x", {"a": 1}, {"a": 0})]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b'{"kind": "Pod"}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v2", "request": {"uid": "1"}}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}',
        b'{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": 7}}',
        b'{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","object":3}}',
        b"[" * 100_000,
    ],
)
def test_refuses_what_is_no_review(body: bytes) -> None:
    with pytest.raises(MalformedReviewError):
        answer_review(body, lambda _request: ALLOWED)
