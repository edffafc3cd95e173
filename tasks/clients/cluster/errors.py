"""Turns what the Kubernetes API answers into the errors of this product, at the edge and only here."""

import json

from tasks.core.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterForbiddenError,
    ClusterRejectedError,
    ClusterUnavailableError,
)

_MESSAGE_LIMIT = 1500
"""Room for a webhook's URL and an x509 error that lists all names of a certificate, each of 80 characters."""
_BY_STATUS: dict[int, type[ClusterError]] = {
    400: ClusterRejectedError,
    401: ClusterForbiddenError,
    403: ClusterForbiddenError,
    409: ClusterConflictError,
    422: ClusterRejectedError,
    429: ClusterUnavailableError,
}
_NEXT_STEP: dict[type[ClusterError], str] = {
    ClusterForbiddenError: "Check the credentials of the cluster's block and the ClusterRole of its account.",
    ClusterConflictError: "The object was changed meanwhile; run the flow again.",
    ClusterUnavailableError: "Run the flow again when the API server answers.",
}


def error_from_response(status: int, body: bytes, attempted: str, subject: str) -> ClusterError:
    """Choose the error class for an HTTP status and take the message out of a `Status` object.

    A body that is not a Kubernetes `Status` is dropped: it may hold anything, secrets included.
    """
    error_type = _BY_STATUS.get(status, ClusterUnavailableError if status >= 500 else ClusterError)  # noqa: PLR2004 - HTTP
    message = _status_message(body)
    if error_type is ClusterRejectedError or _denied_by_webhook(message):
        return ClusterRejectedError(attempted, subject, found=f"HTTP {status}: {message}")
    next_step = _NEXT_STEP.get(error_type, "")
    return error_type(attempted, subject, found=f"HTTP {status}: {message}", next_step=next_step)


def _denied_by_webhook(message: str) -> bool:
    # k8s.io/apiserver pkg/admission/plugin/webhook/errors/statuserror.go: a denial may carry any code.
    return message.startswith("admission webhook ") and " denied the request" in message


def _status_message(body: bytes) -> str:
    try:
        status = json.loads(body)
    except ValueError:
        return "(no Kubernetes Status in the answer)"
    if not isinstance(status, dict) or status.get("kind") != "Status":
        return "(no Kubernetes Status in the answer)"
    return str(status.get("message", ""))[:_MESSAGE_LIMIT]
