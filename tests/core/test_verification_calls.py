"""What dry-run creates through the validators prove (R9), and why a call failed (R22)."""

import pytest

from tasks.core.verification import (
    CallProblem,
    CallResult,
    Check,
    FailedCall,
    FindingState,
    ProofCall,
    Verdict,
    classify_problem,
    denying_webhook,
    evaluate_call,
    evaluate_calls,
    failed_call,
    proof_calls,
)
from tests.core.verification_objects import OSOK

MESH = "mesh-validator.servicemesh.oci.oracle.cloud.com"
OBJECT = {"apiVersion": "servicemesh.oci.oracle.com/v1beta1", "kind": "Mesh", "metadata": {"name": "proof"}}
ALLOWED = ProofCall(MESH, Verdict.ALLOWED, OBJECT)
DENIED = ProofCall(MESH, Verdict.DENIED, OBJECT, "190 characters")
POST = (
    'Internal error occurred: failed calling webhook "{webhook}": failed to call webhook: Post '
    '"https://oci-service-operator-controller-manager-service.oci-service-operator-system.svc:443'
    '/validate-servicemesh-oci-oracle-com-v1beta1-mesh?timeout=10s": {reason}'
)


def failing(reason: str, webhook: str = MESH) -> str:
    return POST.format(webhook=webhook, reason=reason)


def denial(text: str, webhook: str = MESH) -> str:
    return f'admission webhook "{webhook}" denied the request: {text}'


def judge(call: ProofCall, verdict: Verdict, message: str = "") -> FindingState:
    return evaluate_call(CallResult(call, verdict, message)).state


def test_each_of_the_nine_validators_gets_an_allowed_and_a_denied_call() -> None:
    """R9."""
    calls = proof_calls(OSOK, "default")
    assert [call.check for call in calls] == [Check.CALL_ALLOWED, Check.CALL_DENIED] * 9


def test_the_calls_are_made_in_the_namespace_that_was_chosen() -> None:
    assert {call.manifest["metadata"]["namespace"] for call in proof_calls(OSOK, "mesh-test")} == {
        "mesh-test"
    }


def test_the_profile_is_not_changed_by_choosing_a_namespace() -> None:
    proof_calls(OSOK, "mesh-test")
    assert [
        w.generate_name for w in OSOK.webhooks if w.proof and "namespace" in w.proof.allowed["metadata"]
    ] == []


@pytest.mark.parametrize(
    ("call", "verdict", "message", "state"),
    [
        (ALLOWED, Verdict.ALLOWED, "", FindingState.PASS),
        (ALLOWED, Verdict.DENIED, denial("no"), FindingState.FAIL),
        (ALLOWED, Verdict.DENIED, denial("quota", "other.example.com"), FindingState.UNKNOWN),
        (ALLOWED, Verdict.DENIED, 'meshes is forbidden: User "x" cannot create', FindingState.UNKNOWN),
        (ALLOWED, Verdict.DENIED, failing("connection refused"), FindingState.FAIL),
        (ALLOWED, Verdict.DENIED, failing("connection refused", "other.example.com"), FindingState.UNKNOWN),
        (DENIED, Verdict.DENIED, denial("length should not exceed 190 characters"), FindingState.PASS),
        (DENIED, Verdict.DENIED, denial("something else"), FindingState.WARN),
        (DENIED, Verdict.DENIED, denial("190 characters", "other.example.com"), FindingState.UNKNOWN),
        (DENIED, Verdict.DENIED, 'Mesh "proof" is invalid: spec: Required value', FindingState.UNKNOWN),
        (DENIED, Verdict.DENIED, failing("EOF"), FindingState.FAIL),
        (DENIED, Verdict.ALLOWED, "", FindingState.FAIL),
    ],
)
def test_only_the_webhooks_own_decision_proves_it(
    call: ProofCall, verdict: Verdict, message: str, state: FindingState
) -> None:
    """R9."""
    assert judge(call, verdict, message) is state


def test_a_denied_sample_that_is_accepted_means_that_the_webhook_was_not_asked() -> None:
    """R9."""
    finding = evaluate_call(CallResult(DENIED, Verdict.ALLOWED))
    assert "did not ask the webhook at all" in finding.next_step


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        (
            (
                "tls: failed to verify certificate: x509: certificate signed by unknown authority "
                '(possibly because of "x509: ECDSA verification failure" while trying to verify candidate '
                'authority certificate "My Example Signer")'
            ),
            CallProblem.UNKNOWN_AUTHORITY,
        ),
        ("x509: certificate signed by unknown authority", CallProblem.UNKNOWN_AUTHORITY),
        (
            (
                "tls: failed to verify certificate: x509: certificate is valid for a.b.svc.cluster.local, "
                "c.b.svc.cluster.local, not a.b.svc"
            ),
            CallProblem.WRONG_NAME,
        ),
        ("x509: certificate is valid for 101 names, but none matched a.b.svc", CallProblem.WRONG_NAME),
        (
            "x509: certificate is not valid for any names, but wanted to match a.b.svc",
            CallProblem.NO_NAMES,
        ),
        ("x509: certificate relies on legacy Common Name field, use SANs instead", CallProblem.NO_NAMES),
        (
            (
                "x509: certificate has expired or is not yet valid: current time 2025-06-01T00:00:00Z "
                "is after 2025-05-01T00:00:00Z"
            ),
            CallProblem.EXPIRED,
        ),
        (
            (
                "x509: certificate has expired or is not yet valid: current time 2025-06-01T00:00:00Z "
                "is before 2025-07-01T00:00:00Z"
            ),
            CallProblem.NOT_YET_VALID,
        ),
        ("x509: certificate specifies an incompatible key usage", CallProblem.OTHER_CERTIFICATE_ERROR),
        ("remote error: tls: handshake failure", CallProblem.OTHER_CERTIFICATE_ERROR),
        ("dial tcp 127.66.12.3:443: connect: connection refused", CallProblem.CONNECTION_REFUSED),
        (
            'service "oci-service-operator-controller-manager-service" not found',
            CallProblem.SERVICE_NOT_FOUND,
        ),
        ('no service port 443 found for service "x"', CallProblem.SERVICE_NOT_FOUND),
        ('no endpoints available for service "x"', CallProblem.NO_ENDPOINTS),
        ("context deadline exceeded", CallProblem.TIMEOUT),
        ("dial tcp 10.0.0.1:443: i/o timeout", CallProblem.TIMEOUT),
        ("the server could not find the requested resource", CallProblem.NO_HANDLER),
        ("EOF", CallProblem.OTHER),
    ],
)
def test_the_cause_is_read_off_the_api_servers_text(reason: str, problem: CallProblem) -> None:
    """R22: each has its own repair."""
    assert classify_problem(failing(reason)) is problem


@pytest.mark.parametrize("problem", list(CallProblem))
def test_every_cause_has_a_next_step(problem: CallProblem) -> None:
    """R22."""
    assert FailedCall(MESH, problem).next_step.endswith(".")


def test_a_finding_names_the_problem_and_quotes_the_message() -> None:
    """R22."""
    message = failing("x509: certificate signed by unknown authority")
    finding = evaluate_call(CallResult(ALLOWED, Verdict.DENIED, message))
    assert finding.found == f"UNKNOWN_AUTHORITY: {message}"


def test_a_failure_of_another_webhook_is_named() -> None:
    message = failing("connection refused", "other.example.com")
    finding = evaluate_call(CallResult(ALLOWED, Verdict.DENIED, message))
    assert finding.next_step.startswith("Another webhook (other.example.com) fails")


def test_a_text_without_a_failed_call_is_none() -> None:
    assert failed_call('meshes "x" already exists') is None


def test_the_denying_webhook_is_named() -> None:
    assert denying_webhook(denial("no", "a.example.com")) == "a.example.com"


def test_findings_come_in_the_order_of_the_calls() -> None:
    """R9."""
    results = [CallResult(ALLOWED, Verdict.ALLOWED), CallResult(DENIED, Verdict.ALLOWED)]
    assert [(f.runbook, f.subject) for f in evaluate_calls(results)] == [("R9", f"Mesh through {MESH}")] * 2
