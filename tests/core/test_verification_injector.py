"""The injector fails silently, so an unchanged pod has to be told from a pod nobody was asked about (R10)."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.manifests import Manifest
from tasks.core.profiles import ExpectedWebhook
from tasks.core.verification import (
    FindingState,
    InjectionAttempt,
    WebhookCounters,
    evaluate_injection,
    is_binding_active,
    read_counters,
)
from tests.core.verification_objects import webhook_named

INJECTOR = webhook_named("proxy-injector")
NAME = "proxy-injector.servicemesh.oci.oracle.com"


def pod(*containers: str, init: tuple[str, ...] = ()) -> Manifest:
    return {
        "kind": "Pod",
        "spec": {
            "containers": [{"name": name} for name in containers],
            "initContainers": [{"name": name} for name in init],
        },
    }


PLAIN = pod("proof")
INJECTED = pod("proof", "oci-sm-proxy", init=("init",))
ZERO = WebhookCounters()


def judge(attempt: InjectionAttempt, webhook: ExpectedWebhook = INJECTOR) -> FindingState:
    return evaluate_injection(webhook, attempt).state


@pytest.mark.parametrize("active", [True, False])
def test_a_pod_with_the_sidecar_proves_the_injector(active: bool) -> None:  # noqa: FBT001 - a test case
    """R10."""
    assert judge(InjectionAttempt(INJECTED, binding_active=active)) is FindingState.PASS


@pytest.mark.parametrize("answer", [PLAIN, pod("proof", "oci-sm-proxy"), pod("proof", init=("init",))])
def test_a_pod_without_the_sidecar_fails_where_a_binding_is_active(answer: Manifest) -> None:
    """R10: fail-open detection."""
    finding = evaluate_injection(INJECTOR, InjectionAttempt(answer, binding_active=True))
    assert (finding.state, "lets pods pass without a sidecar" in finding.next_step) == (
        FindingState.FAIL,
        True,
    )


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (None, None, FindingState.UNKNOWN),
        (ZERO, None, FindingState.UNKNOWN),
        (ZERO, WebhookCounters(answered=1), FindingState.PASS),
        (WebhookCounters(7, 2), WebhookCounters(9, 2), FindingState.PASS),
        (ZERO, WebhookCounters(failed_open=1), FindingState.FAIL),
        (ZERO, WebhookCounters(answered=3, failed_open=1), FindingState.FAIL),
        (WebhookCounters(7, 2), WebhookCounters(7, 2), FindingState.UNKNOWN),
        (WebhookCounters(7, 2), WebhookCounters(1, 2), FindingState.UNKNOWN),
        (WebhookCounters(7, 2), WebhookCounters(9, 0), FindingState.UNKNOWN),
    ],
)
def test_without_a_binding_the_api_servers_counters_decide(
    before: WebhookCounters | None, after: WebhookCounters | None, state: FindingState
) -> None:
    """R10."""
    assert judge(InjectionAttempt(PLAIN, before=before, after=after)) is state


def test_without_any_evidence_the_finding_says_what_a_binding_is_for() -> None:
    """R10."""
    finding = evaluate_injection(INJECTOR, InjectionAttempt(PLAIN))
    assert "Only OCI Service Mesh makes a binding active" in finding.next_step


@pytest.mark.parametrize(
    ("message", "state"),
    [
        (f'admission webhook "{NAME}" denied the request: No sidecar image found', FindingState.FAIL),
        (f'Internal error occurred: failed calling webhook "{NAME}": EOF', FindingState.FAIL),
        ('admission webhook "policy.example.com" denied the request: no', FindingState.UNKNOWN),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": …', FindingState.UNKNOWN),
        ('Internal error occurred: failed calling webhook "policy.example.com": EOF', FindingState.UNKNOWN),
    ],
)
def test_a_refused_pod_is_judged_by_who_refused_it(message: str, state: FindingState) -> None:
    """R10."""
    assert judge(InjectionAttempt(None, message)) is state


def test_an_injector_that_needs_no_binding_always_has_to_inject() -> None:
    assert INJECTOR.injector is not None
    always = INJECTOR.model_copy(update={"injector": INJECTOR.injector.model_copy(update={"binding": None})})
    assert judge(InjectionAttempt(PLAIN), always) is FindingState.FAIL


def test_a_webhook_without_an_injector_cannot_be_judged_so() -> None:
    with pytest.raises(ValueError, match="has no injector"):
        judge(InjectionAttempt(PLAIN), webhook_named("mesh-validator"))


METRICS = """\
# HELP apiserver_admission_webhook_request_total [ALPHA] Admission webhook request total
# TYPE apiserver_admission_webhook_request_total counter
apiserver_admission_webhook_request_total{code="200",name="proxy-injector.servicemesh.oci.oracle.com",\
operation="CREATE",rejected="false",type="admit"} 12
apiserver_admission_webhook_request_total{code="500",name="proxy-injector.servicemesh.oci.oracle.com",\
operation="CREATE",rejected="false",type="admit"} 4
apiserver_admission_webhook_request_total{code="200",name="mesh-validator.servicemesh.oci.oracle.cloud.com",\
operation="CREATE",rejected="false",type="validating"} 99
apiserver_admission_webhook_fail_open_count{name="proxy-injector.servicemesh.oci.oracle.com",type="admit"} 4
apiserver_admission_webhook_fail_open_count{name="other",type="admit"} 1e+06
apiserver_requested_deprecated_apis{group="x"} 1
"""


def test_the_counters_of_one_webhook_are_taken_out_of_the_metrics() -> None:
    """R10: a call that failed open is counted as a request too, with another code."""
    assert read_counters(METRICS, NAME) == WebhookCounters(answered=12, failed_open=4)


@pytest.mark.parametrize("metrics", ["", "# nothing\n", METRICS.replace("proxy-injector", "other-injector")])
def test_a_webhook_that_was_never_called_counts_zero(metrics: str) -> None:
    assert read_counters(metrics, NAME) == WebhookCounters()


def test_counters_with_a_timestamp_are_read_too() -> None:
    line = f'apiserver_admission_webhook_fail_open_count{{name="{NAME}",type="admit"}} 3 1700000000000\n'
    assert read_counters(line, NAME) == WebhookCounters(failed_open=3)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_counters_that_are_written_are_read(answered: int, failed_open: int) -> None:
    text = (
        f'apiserver_admission_webhook_request_total{{code="200",name="{NAME}",rejected="false"}} {answered}\n'
        f'apiserver_admission_webhook_fail_open_count{{name="{NAME}"}} {failed_open}\n'
    )
    assert read_counters(text, NAME) == WebhookCounters(answered, failed_open)


def binding(*statuses: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": f"c{i}", "status": s} for i, s in enumerate(statuses)]}}


@pytest.mark.parametrize(
    ("statuses", "active"),
    [
        (("True", "True"), True),
        (("True",), False),
        ((), False),
        (("True", "False"), False),
        (("True", "Unknown"), False),
        (("True", "True", "True"), False),
    ],
)
def test_a_binding_is_active_when_it_has_all_its_conditions(
    statuses: tuple[str, ...],
    active: bool,  # noqa: FBT001 - a test case
) -> None:
    assert INJECTOR.injector is not None
    assert INJECTOR.injector.binding is not None
    assert is_binding_active(INJECTOR.injector.binding, binding(*statuses)) is active
