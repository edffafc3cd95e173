"""Compares an installed operator with its profile: objects, trust, and calls through the API server."""

from tasks.core.verification.calls import (
    CallResult,
    ProofCall,
    Verdict,
    evaluate_call,
    evaluate_calls,
    in_namespace,
    proof_calls,
)
from tasks.core.verification.crds import check_crds
from tasks.core.verification.findings import Check, Finding, FindingState, open_findings, worst_state
from tasks.core.verification.injector import (
    InjectionAttempt,
    WebhookCounters,
    evaluate_injection,
    is_binding_active,
    read_counters,
)
from tasks.core.verification.observation import OperatorObservation, verify_objects
from tasks.core.verification.problems import (
    CallProblem,
    FailedCall,
    classify_problem,
    denying_webhook,
    failed_call,
)
from tasks.core.verification.serving import (
    ForeignPod,
    check_deployment,
    check_required_objects,
    check_service_selectors,
    check_services,
    foreign_pods,
)
from tasks.core.verification.trust import (
    CA_KEY,
    TrustedCa,
    ca_bundle_of,
    check_ca_bundles,
    published_ca,
)
from tasks.core.verification.webhooks import RegisteredWebhook, check_webhooks, registrations_of

__all__ = [
    "CA_KEY",
    "CallProblem",
    "CallResult",
    "Check",
    "FailedCall",
    "Finding",
    "FindingState",
    "ForeignPod",
    "InjectionAttempt",
    "OperatorObservation",
    "ProofCall",
    "RegisteredWebhook",
    "TrustedCa",
    "Verdict",
    "WebhookCounters",
    "ca_bundle_of",
    "check_ca_bundles",
    "check_crds",
    "check_deployment",
    "check_required_objects",
    "check_service_selectors",
    "check_services",
    "check_webhooks",
    "classify_problem",
    "denying_webhook",
    "evaluate_call",
    "evaluate_calls",
    "evaluate_injection",
    "failed_call",
    "foreign_pods",
    "in_namespace",
    "is_binding_active",
    "open_findings",
    "proof_calls",
    "published_ca",
    "read_counters",
    "registrations_of",
    "verify_objects",
    "worst_state",
]
