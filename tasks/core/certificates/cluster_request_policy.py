"""The policy for a CertificateSigningRequest object: ours, unchanged since it was shown, as planned.

Anybody who may create such objects can make one that looks like ours, and a person may approve whatever
stands there: it is read again by its uid before it is signed, and everything is compared (R15, R19).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.certificates.cluster_requests import (
    LONGEST_EXPIRATION,
    SHORTEST_EXPIRATION,
    RequestState,
    ShownRequest,
    request_bytes,
    show_request,
    state_of,
)
from tasks.core.certificates.request_policy import (
    Refusal,
    RefusalReason,
    RequestExpectation,
    check_request,
)
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest


@dataclass(frozen=True)
class ClusterExpectation:
    """Whose request it must be and for whom.

    Attributes:
        request: What its bytes must ask for.
        signer_name: spec.signerName.
        requester: The user name of the pipeline's account, from a SelfSubjectReview.
        requester_uid: That user's uid, empty when it has none.
    """

    request: RequestExpectation
    signer_name: str
    requester: str
    requester_uid: str = ""


def check_cluster_request(
    manifest: Manifest, expectation: ClusterExpectation, shown: ShownRequest | None = None
) -> tuple[Refusal, ...]:
    """Check an object as the API server returned it; nothing means that it may be shown or signed.

    A certificate that already stands in the status is judged by `issuing.check_issued`, not here.

    Args:
        manifest: The object.
        expectation: What it must be.
        shown: What the approver saw; None before anything was shown.
    """
    try:
        now = show_request(manifest)
        content = request_bytes(manifest)
    except CertificateError as error:
        return (Refusal(RefusalReason.UNREADABLE, error.expected, error.found),)
    return (
        *(_changes(shown, now) if shown else ()),
        *_state_rules(manifest),
        *_spec_rules(now, expectation),
        *check_request(content, expectation.request),
    )


def _changes(shown: ShownRequest, now: ShownRequest) -> Iterator[Refusal]:
    pairs = [
        (RefusalReason.OTHER_OBJECT, "object", f"{shown.name} {shown.uid}", f"{now.name} {now.uid}"),
        (RefusalReason.OTHER_BYTES, "request digest", shown.digest, now.digest),
        (RefusalReason.SIGNER, "signer", shown.signer_name, now.signer_name),
        (RefusalReason.USAGE, "usages", ", ".join(shown.usages), ", ".join(now.usages)),
        (RefusalReason.REQUESTER, "requester", shown.requester, now.requester),
        (RefusalReason.REQUESTER, "requester's uid", shown.requester_uid, now.requester_uid),
        (
            RefusalReason.EXPIRATION,
            "expirationSeconds",
            str(shown.expiration_seconds),
            str(now.expiration_seconds),
        ),
    ]
    for reason, label, expected, found in pairs:
        if expected != found:
            yield Refusal(reason, f"{label} {expected} as shown", f"{label} {found}")


def _state_rules(manifest: Manifest) -> Iterator[Refusal]:
    refused = {
        RequestState.DENIED: (RefusalReason.DENIED, "a request that is not denied"),
        RequestState.FAILED: (RefusalReason.FAILED, "a request that has not failed"),
    }
    state = state_of(manifest)
    if state in refused:
        reason, expected = refused[state]
        yield Refusal(reason, expected, _condition_text(manifest))


def _condition_text(manifest: Manifest) -> str:
    return "; ".join(
        f"condition {one.get('type')}: {one.get('reason', '')} {one.get('message', '')}".strip()[:300]
        for one in (manifest.get("status") or {}).get("conditions") or ()
    )


def _spec_rules(now: ShownRequest, expectation: ClusterExpectation) -> Iterator[Refusal]:
    usages = expectation.request.plan.usages
    if now.signer_name != expectation.signer_name:
        yield Refusal(RefusalReason.SIGNER, f"signer {expectation.signer_name}", f"signer {now.signer_name}")
    wanted = (expectation.requester, expectation.requester_uid)
    if (now.requester, now.requester_uid) != wanted:
        yield Refusal(
            RefusalReason.REQUESTER,
            f"the requester {' '.join(wanted).strip()}",
            f"the requester {now.requester} {now.requester_uid}".strip(),
        )
    if sorted(now.usages) != sorted(usages):
        yield Refusal(RefusalReason.USAGE, f"usages {', '.join(usages)}", f"usages {', '.join(now.usages)}")
    seconds = now.expiration_seconds or LONGEST_EXPIRATION
    if not SHORTEST_EXPIRATION <= seconds <= LONGEST_EXPIRATION:
        allowed = f"{SHORTEST_EXPIRATION} to {LONGEST_EXPIRATION} seconds"
        yield Refusal(RefusalReason.EXPIRATION, allowed, str(seconds))
