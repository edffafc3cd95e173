"""Do the validators decide when the API server asks them (R9)? Judged from server-side dry-run creates."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.manifests import Manifest
from tasks.core.profiles import OperatorProfile
from tasks.core.verification.findings import Check, Finding, FindingState
from tasks.core.verification.problems import denying_webhook, failed_call


class Verdict(StrEnum):
    """What the API server did with a dry-run create."""

    ALLOWED = "ALLOWED"
    DENIED = "DENIED"
    """Any error: by the webhook, on the way to it, or before it was asked."""


@dataclass(frozen=True)
class ProofCall:
    """One dry-run create to send.

    Attributes:
        webhook: The validator that it asks, by generateName.
        expected: What the validator should say.
        manifest: The object, with its namespace.
        denial: Text that a denial has to contain; empty when ALLOWED is expected.
    """

    webhook: str
    expected: Verdict
    manifest: Manifest
    denial: str = ""

    @property
    def check(self) -> Check:
        """Under which check its finding stands."""
        return Check.CALL_ALLOWED if self.expected is Verdict.ALLOWED else Check.CALL_DENIED


@dataclass(frozen=True)
class CallResult:
    """What came back.

    Attributes:
        message: The API server's own text when it was an error.
    """

    call: ProofCall
    verdict: Verdict
    message: str = ""


def proof_calls(profile: OperatorProfile, namespace: str) -> tuple[ProofCall, ...]:
    """The two dry-run creates for each validator that the runbook asks for.

    Args:
        profile: The operator.
        namespace: An existing namespace to create the objects in; nothing is stored there.
    """
    return tuple(
        call
        for webhook in profile.required_webhooks
        if webhook.proof is not None
        for call in (
            ProofCall(webhook.generate_name, Verdict.ALLOWED, in_namespace(webhook.proof.allowed, namespace)),
            ProofCall(
                webhook.generate_name,
                Verdict.DENIED,
                in_namespace(webhook.proof.denied, namespace),
                webhook.proof.denial,
            ),
        )
    )


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """The same object in a namespace."""
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}}


def evaluate_calls(results: Iterable[CallResult]) -> tuple[Finding, ...]:
    """One finding for each call."""
    return tuple(evaluate_call(result) for result in results)


def evaluate_call(result: CallResult) -> Finding:
    """Judge one call.

    Only a denial by the very webhook, with the expected text, proves that it was asked and that it decided.
    An allowed object proves that the API server reached it, because failurePolicy Fail refuses what cannot be
    asked, but only beside the denied one: a webhook that nobody registered lets everything pass.
    """
    failure = failed_call(result.message)
    if failure is not None:
        own = failure.webhook == result.call.webhook
        state = FindingState.FAIL if own else FindingState.UNKNOWN
        other = "" if own else f"Another webhook ({failure.webhook}) fails: "
        return _finding(result, state, f"{failure.problem}: {result.message}", other + failure.next_step)
    if result.call.expected is Verdict.ALLOWED:
        return _judge_allowed(result)
    return _judge_denied(result)


def _judge_allowed(result: CallResult) -> Finding:
    if result.verdict is Verdict.ALLOWED:
        return _finding(result, FindingState.PASS, "allowed")
    if denying_webhook(result.message) == result.call.webhook:
        next_step = (
            "The webhook answers, but refuses a valid object: compare the operator's version with the "
            "profile."
        )
        return _finding(result, FindingState.FAIL, result.message, next_step)
    return _not_asked(result)


def _judge_denied(result: CallResult) -> Finding:
    if result.verdict is Verdict.ALLOWED:
        next_step = (
            "The API server did not ask the webhook at all: look at the rules and selectors of its "
            "configuration."
        )
        return _finding(result, FindingState.FAIL, "allowed", next_step)
    if denying_webhook(result.message) != result.call.webhook:
        return _not_asked(result)
    if result.call.denial not in result.message:
        next_step = (
            "The webhook answers, but for another reason: compare the operator's version with the profile."
        )
        return _finding(result, FindingState.WARN, result.message, next_step)
    return _finding(result, FindingState.PASS, result.message)


def _not_asked(result: CallResult) -> Finding:
    other = denying_webhook(result.message)
    if other:
        next_step = (
            f"Another webhook ({other}) refused the sample: exempt the namespace, or choose another one."
        )
    else:
        next_step = (
            "The API server refused the sample before it asked the webhook: check the permissions of the "
            "account, and that the CRD is the profile's."
        )
    return _finding(result, FindingState.UNKNOWN, result.message, next_step)


def _finding(result: CallResult, state: FindingState, found: str, next_step: str = "") -> Finding:
    call = result.call
    expected = "allowed" if call.expected is Verdict.ALLOWED else f"denied: {call.denial}"
    subject = f"{call.manifest['kind']} through {call.webhook}"
    return Finding(call.check, "R9", subject, state, expected, found, next_step)
