"""Requests and Secrets that a run of issue-webhook-certificate left behind, or that wait (R13, R14)."""

from collections.abc import Iterator
from datetime import datetime

from tasks.core.certificates.cluster_requests import RequestState, approval_deadline, state_of
from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.objects import unexpected_object
from tasks.core.manifests import Manifest, ref_of

_WAITING = (RequestState.PENDING, RequestState.APPROVED)


def check_leftovers(
    requests: tuple[Manifest, ...], staging: Manifest | None, now: datetime
) -> Iterator[DriftItem]:
    """A request and the key that waits for it belong together; one without the other is a leftover.

    Args:
        requests: Our CertificateSigningRequests for this operator, the newest last.
        staging: The staging Secret.
        now: The time.
    """
    waiting = [one for one in requests if state_of(one) in _WAITING]
    if staging is not None and not requests:
        text = "a private key that no request waits for"
        yield unexpected_object(staging, "no staged key, since no request is under way", text)
    for request in waiting:
        if staging is None:
            text = f"{state_of(request)}, and its key is gone: nobody can publish its certificate"
            yield unexpected_object(request, "no request without a staged key", text)
        elif state_of(request) is RequestState.PENDING:
            end = approval_deadline(request)
            yield DriftItem(
                kind=DriftKind.EXPIRING,
                ref=ref_of(request),
                expected="a decision",
                found=f"none yet; the cluster collects the request at {end:%Y-%m-%d %H:%M} UTC",
                severity=DriftSeverity.NOTE if end > now else DriftSeverity.WARNING,
            )


def request_calendar(requests: tuple[Manifest, ...]) -> tuple[CalendarEntry, ...]:
    """When the cluster collects the requests that nobody decided on."""
    return tuple(
        CalendarEntry(at=approval_deadline(one), kind=EndKind.REQUEST_COLLECTED, subject=str(ref_of(one)))
        for one in requests
        if state_of(one) is RequestState.PENDING
    )
