"""AdmissionReview in and out (Kubernetes API reference, admission.k8s.io v1 and v1beta1); no I/O."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_SERVED_VERSIONS = ("admission.k8s.io/v1", "admission.k8s.io/v1beta1")


class MalformedReviewError(ValueError):
    """The request's body is not an AdmissionReview this server can answer; the text says why."""


@dataclass(frozen=True)
class Request:
    """What an API server asks about.

    Attributes:
        uid: Comes back in the answer.
        operation: CREATE, UPDATE, DELETE or CONNECT.
        namespace: The namespace of the request; a pod's own metadata may lack it.
        name: The object's name; empty while generateName stands.
        new: The object to be stored; empty for DELETE.
        old: The stored object; empty for CREATE.
    """

    uid: str
    operation: str
    namespace: str
    name: str
    new: Mapping[str, Any]
    old: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What comes back.

    Attributes:
        denial: Why the request is refused; empty when it is allowed.
        code: The HTTP status that the API server reports for a refusal.
        patch: RFC 6902 operations to apply to the object; only sent when allowed.
    """

    denial: str = ""
    code: int = 403
    patch: tuple[Mapping[str, Any], ...] = ()


ALLOWED = Verdict()


def answer_review(body: bytes, decide: Callable[[Request], Verdict]) -> bytes:
    """Decide one AdmissionReview and encode the answer in the version of the question.

    Raises:
        MalformedReviewError: The body is not an AdmissionReview of a served version.
    """
    review = _decode(body)
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise MalformedReviewError("an AdmissionReview needs request.uid")
    verdict = decide(
        Request(
            uid=request["uid"],
            operation=str(request.get("operation", "")),
            namespace=str(request.get("namespace") or ""),
            name=str(request.get("name") or ""),
            new=_object(request, "object"),
            old=_object(request, "oldObject"),
        )
    )
    response = {"uid": request["uid"], **_encode(verdict)}
    answer = {"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response}
    return json.dumps(answer).encode()


def _decode(body: bytes) -> dict[str, Any]:
    try:
        review = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedReviewError("the body is not JSON") from error
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise MalformedReviewError("the body is not an AdmissionReview")
    if review.get("apiVersion") not in _SERVED_VERSIONS:
        raise MalformedReviewError(f"served versions are {' and '.join(_SERVED_VERSIONS)}")
    return review


def _object(request: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = request.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedReviewError(f"request.{field} is not an object")
    return value


def _encode(verdict: Verdict) -> dict[str, Any]:
    if verdict.denial:
        return {"allowed": False, "status": {"code": verdict.code, "message": verdict.denial}}
    if not verdict.patch:
        return {"allowed": True}
    patch = base64.b64encode(json.dumps(list(verdict.patch)).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
