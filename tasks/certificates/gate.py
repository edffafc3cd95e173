"""The gate: the flow run is suspended until a person decides about the bytes that were shown (R14, R15).

Suspended, not paused: the run survives its worker, and a resume starts it again from the top (ADR 0006).
The decision has no default, and the gate's key holds the run's try and the digest of what was shown: a retry,
or other bytes, ask again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from prefect.artifacts import create_markdown_artifact
from prefect.input import RunInput
from pydantic import Field

from tasks.certificates.form_text import form_text
from tasks.certificates.signing import Decision
from tasks.core.certificate_orders import PendingRequest, Shown, wave_digest
from tasks.core.errors import DecisionError, InputError
from tasks.gates import Approver, Waiting, present_run, run_count, wait_for_answer

LONGEST_WAIT = timedelta(hours=23)
"""The cluster collects a pending request 24 hours after its creation."""

_ASKED_AT_MOST = 5
"""How often one gate asks when answers cannot be carried out."""
_LONGEST_PASTE = 500_000
_WORDS = r"\S"
"""Something else than spaces. The server checks it, so the run stays suspended when it is not met."""


class SigningDecision(RunInput):
    """What the person at the gate answers. There is no default for the decision."""

    decision: Decision = Field(
        description="APPROVE signs what the artifact shows; DENY ends it; CLUSTER reads what kubectl "
        "certificate approve or deny decided."
    )
    reason: str = Field(
        min_length=3, max_length=500, pattern=_WORDS, description="Why; it is kept as evidence."
    )
    approver: Approver
    denied_clusters: list[str] = Field(
        default_factory=list, description="Clusters to leave out although the decision is APPROVE or CLUSTER."
    )
    schema_title: ClassVar[str] = "Signing decision"


class ExternalSigningDecision(SigningDecision):
    """The answer where somebody else signs: what they signed comes with it."""

    certificates: str = Field(
        default="",
        max_length=_LONGEST_PASTE,
        # Checked by the server before it keeps the answer, so a key that was pasted here is not kept.
        json_schema_extra={"not": {"pattern": "PRIVATE KEY"}},
        description="The certificates that your CA signed from the requests of the artifact: PEM, all blocks "
        "one after another, in any order. Each is matched to its request by public key. Never a private key.",
    )


@dataclass(frozen=True)
class Question:
    """How to ask.

    Attributes:
        form: What the person fills in; with `ExternalSigningDecision` the requests' PEM is shown too.
        review: Why an answer cannot be carried out, empty when it can; then the person is asked again.
    """

    form: type[SigningDecision] = SigningDecision
    review: Callable[[SigningDecision], str] = lambda _: ""


def ask_for_decision(
    requests: list[PendingRequest], patience: timedelta, question: Question | None = None
) -> SigningDecision:
    """Show the requests and suspend the flow run until somebody decides.

    Only in a deployed top-level flow with `persist_result=True`: nothing else can be suspended. An answer
    that the review does not accept is asked for again, a few times; the last one is returned as it is.

    Raises:
        InputError: The wait would outlive the requests.
        DecisionError: The run was continued without an answer, or the answer names a cluster that was not
            shown.
    """
    if not timedelta(0) < patience <= LONGEST_WAIT:
        raise InputError(
            "ask for a decision",
            "decision_deadline",
            f"more than 0 and at most {LONGEST_WAIT}",
            str(patience),
        )
    answer = _ask(requests, patience, question or Question())
    unknown = set(answer.denied_clusters) - {request.cluster for request in requests}
    if unknown:
        raise DecisionError(
            "carry the decision out",
            "denied_clusters",
            "names of clusters that were shown",
            ", ".join(sorted(unknown)),
            "Nothing was signed. Run the flow again and answer with one of the names shown.",
        )
    return answer


def shown_in_this_try() -> Shown:
    """Whether this try of the flow run was suspended for a decision before; a retry is another try."""
    flow_run = present_run()
    policy = flow_run.empirical_policy if flow_run else None
    keys = (policy.pause_keys if policy else None) or set()
    return Shown.ALREADY if any(key.startswith(_key_prefix()) for key in keys) else Shown.NOT_YET


def _ask(requests: list[PendingRequest], patience: timedelta, question: Question) -> SigningDecision:
    digest, complaint = wave_digest(requests), ""
    clusters = tuple(request.cluster for request in requests)
    waiting = Waiting("carry the decision out", "the flow run", digest, patience, clusters)
    number = 1
    while True:
        shown = show_requests(requests, digest)
        if question.form is ExternalSigningDecision:
            shown += show_bytes(requests)
        if complaint:
            shown = f"**The last answer was not accepted.** {complaint}\n\n{shown}"
        create_markdown_artifact(
            shown, key="certificate-requests", description="Requests that wait for a decision"
        )
        # A run that starts again finds the answers that it refused under their keys, and refuses them again.
        key = f"{_key_prefix()}{digest[:16]}" + (f"-{number}" if number > 1 else "")
        answer = wait_for_answer(question.form, form_text(requests, digest, complaint), key, waiting)
        complaint = question.review(answer)
        if not complaint or number == _ASKED_AT_MOST:
            return answer
        number += 1


def _key_prefix() -> str:
    return f"sign-{run_count()}-"


def show_requests(requests: list[PendingRequest], digest: str) -> str:
    """Markdown for the approver: everything that will be signed, per cluster (R14)."""
    parts = [f"# Certificates to sign\n\nDecision is bound to `{digest}`.\n"]
    parts += [_show(request) for request in requests]
    return "\n".join(parts)


def show_bytes(requests: list[PendingRequest]) -> str:
    """Markdown with the requests as a CA is given them (R12)."""
    parts = [f"\n## Request of {one.cluster}, to be signed\n\n```\n{one.pem}```\n" for one in requests]
    return "".join(parts)


def _show(request: PendingRequest) -> str:
    shown = request.shown
    rows = {
        "cluster": f"{request.cluster} (kube-system uid {request.cluster_uid})",
        "request": f"{shown.name} (uid {shown.uid})",
        "request SHA-256": shown.digest,
        "subject": request.subject,
        "names": ", ".join(request.dns_names),
        "key": f"{request.key}, SPKI SHA-256 {request.spki_sha256}",
        "usages": ", ".join(shown.usages),
        "signer": shown.signer_name,
        "requester": shown.requester,
        "CA": request.authority or "not read",
        "validity": f"{request.validity.days} days, never longer than the CA's",
        "denied in the cluster": request.denial or "no",
        "replaces": request.replaces or "nothing: the operator is not installed yet",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return f"\n## {request.cluster}\n\n| | |\n|---|---|\n" + "\n".join(lines) + "\n"
