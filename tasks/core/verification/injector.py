"""Is the sidecar injector called when a pod is created, although it fails silently (R10)?

With failurePolicy Ignore the API server lets a pod pass when it cannot call the webhook, so an unchanged
pod is no proof of anything. What proves something:
- the containers of the injection in the answer to a dry-run create, where a binding is active for the pod;
- otherwise the API server's own counters (k8s.io/apiserver v0.36, pkg/admission/metrics/metrics.go): calls
  with code 200, and calls that failed open. They count for one API server since its start, dry runs included.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.conditions import conditions_of
from tasks.core.manifests import Manifest
from tasks.core.profiles import BindingRequirement, ExpectedWebhook
from tasks.core.verification.findings import Check, Finding, FindingState
from tasks.core.verification.problems import denying_webhook, failed_call

_REQUESTS = "apiserver_admission_webhook_request_total"
_FAILED_OPEN = "apiserver_admission_webhook_fail_open_count"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ANSWERED = "200"
_REPAIR = (
    "The API server cannot call the injector and lets pods pass without a sidecar: compare its caBundle "
    "with the Secret's olmCAKey, and look at the Service and its endpoints (R22)."
)


@dataclass(frozen=True)
class WebhookCounters:
    """What one API server counted for one webhook since it started.

    Attributes:
        answered: Calls that the webhook answered with success.
        failed_open: Calls that failed and were passed over (failurePolicy Ignore).
    """

    answered: int = 0
    failed_open: int = 0


@dataclass(frozen=True)
class InjectionAttempt:
    """A dry-run create of the profile's pod, and what was seen around it.

    Attributes:
        pod: The pod that the API server answered with; None when it refused.
        message: The API server's own text when it refused.
        binding_active: Whether a binding is active for the pod, so that injection has to happen.
        before: Counters right before the call; None when they could not be read.
        after: Counters right after it.
    """

    pod: Manifest | None
    message: str = ""
    binding_active: bool = False
    before: WebhookCounters | None = None
    after: WebhookCounters | None = None


def read_counters(metrics: str, webhook: str) -> WebhookCounters:
    """Take a webhook's counters out of the API server's `/metrics` text (Prometheus exposition format)."""
    answered = failed_open = 0
    for name, labels, value in _samples(metrics):
        if labels.get("name") != webhook:
            continue
        if name == _REQUESTS and labels.get("code") == _ANSWERED and labels.get("rejected") == "false":
            answered += value
        elif name == _FAILED_OPEN:
            failed_open += value
    return WebhookCounters(answered, failed_open)


def is_binding_active(requirement: BindingRequirement, binding: Manifest) -> bool:
    """Whether a binding would make the injector change a pod: it has all its conditions, and all are True."""
    conditions = conditions_of(binding)
    return len(conditions) == requirement.condition_count and all(one.is_true for one in conditions)


def injected_containers(pod: Manifest) -> frozenset[str]:
    """The names of all containers and init containers of a pod."""
    spec: Mapping[str, Any] = pod.get("spec") or {}
    listed: Iterable[Mapping[str, Any]] = [
        *(spec.get("containers") or []),
        *(spec.get("initContainers") or []),
    ]
    return frozenset(str(container.get("name")) for container in listed)


def evaluate_injection(webhook: ExpectedWebhook, attempt: InjectionAttempt) -> Finding:
    """Judge a dry-run create of the injector's sample pod.

    Raises:
        ValueError: The webhook has no injector in the profile.
    """
    injector = webhook.injector
    if injector is None:
        raise ValueError(f"{webhook.generate_name} has no injector")
    if attempt.pod is None:
        return _judge_refusal(webhook, attempt.message)
    wanted = {*injector.containers, *injector.init_containers}
    missing = sorted(wanted - injected_containers(attempt.pod))
    expected = f"containers {', '.join(sorted(wanted))}"
    if not missing:
        return _finding(webhook, FindingState.PASS, expected, expected)
    if attempt.binding_active or injector.binding is None:
        found = f"the pod came back without {', '.join(missing)}"
        return _finding(webhook, FindingState.FAIL, expected, found, _REPAIR)
    return _judge_counters(webhook, injector.binding, attempt)


def _judge_refusal(webhook: ExpectedWebhook, message: str) -> Finding:
    expected = "the pod admitted"
    failure = failed_call(message)
    if failure is not None and failure.webhook == webhook.generate_name:
        return _finding(webhook, FindingState.FAIL, expected, message, failure.next_step)
    if denying_webhook(message) == webhook.generate_name:
        next_step = "The injector answers, but refuses a valid pod: look at the operator's log."
        return _finding(webhook, FindingState.FAIL, expected, message, next_step)
    next_step = "Choose a namespace that admits the pod: quota, PodSecurity or another webhook refused it."
    return _finding(webhook, FindingState.UNKNOWN, expected, message, next_step)


def _judge_counters(
    webhook: ExpectedWebhook, binding: BindingRequirement, attempt: InjectionAttempt
) -> Finding:
    expected = "one call more that was answered, none that failed open"
    before, after = attempt.before, attempt.after
    if before is None or after is None:
        next_step = (
            f"{binding.explanation} Allow the account to read /metrics, so that the call can be counted."
        )
        return _finding(webhook, FindingState.UNKNOWN, expected, "the counters could not be read", next_step)
    answered, failed_open = after.answered - before.answered, after.failed_open - before.failed_open
    found = f"{answered} more answered, {failed_open} more failed open"
    if answered < 0 or failed_open < 0 or answered == failed_open == 0:
        next_step = "Read the counters again: they came from two API servers, or from one that started anew."
        return _finding(webhook, FindingState.UNKNOWN, expected, found, next_step)
    if failed_open:
        return _finding(webhook, FindingState.FAIL, expected, found, _REPAIR)
    return _finding(
        webhook, FindingState.PASS, expected, f"{found}; nothing to inject without an active binding"
    )


def _finding(
    webhook: ExpectedWebhook, state: FindingState, expected: str, found: str, next_step: str = ""
) -> Finding:
    subject = f"Pod through {webhook.generate_name}"
    return Finding(Check.INJECTOR_CALL, webhook.runbook, subject, state, expected, found, next_step)


def _samples(metrics: str) -> Iterator[tuple[str, Mapping[str, str], int]]:
    for line in metrics.splitlines():
        if not line.startswith((_REQUESTS + "{", _FAILED_OPEN + "{")):
            continue
        name, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        yield name, dict(_LABEL.findall(labels)), int(float(value.split()[0]))
