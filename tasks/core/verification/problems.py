"""Why the API server could not call a webhook, read off the text that it answers with.

Sources of the texts: k8s.io/apiserver v0.36 pkg/util/webhook/error.go ("failed calling webhook"),
pkg/admission/plugin/webhook/errors/statuserror.go ("denied the request"), pkg/util/proxy/proxy.go
(Services and endpoints), and Go's crypto/x509/verify.go and net.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class CallProblem(StrEnum):
    """What stands between the API server and the webhook."""

    UNKNOWN_AUTHORITY = "UNKNOWN_AUTHORITY"
    WRONG_NAME = "WRONG_NAME"
    NO_NAMES = "NO_NAMES"
    EXPIRED = "EXPIRED"
    NOT_YET_VALID = "NOT_YET_VALID"
    OTHER_CERTIFICATE_ERROR = "OTHER_CERTIFICATE_ERROR"
    CONNECTION_REFUSED = "CONNECTION_REFUSED"
    TIMEOUT = "TIMEOUT"
    SERVICE_NOT_FOUND = "SERVICE_NOT_FOUND"
    NO_ENDPOINTS = "NO_ENDPOINTS"
    NO_HANDLER = "NO_HANDLER"
    OTHER = "OTHER"


# In this order: the first text that occurs decides.
_TEXTS: tuple[tuple[str, CallProblem], ...] = (
    (r"certificate signed by unknown authority", CallProblem.UNKNOWN_AUTHORITY),
    (r"certificate has expired or is not yet valid: .* is before", CallProblem.NOT_YET_VALID),
    (r"certificate has expired", CallProblem.EXPIRED),
    (r"certificate is valid for .*, not |names, but none matched", CallProblem.WRONG_NAME),
    (r"not valid for any names|relies on legacy Common Name", CallProblem.NO_NAMES),
    (r"x509: |tls: ", CallProblem.OTHER_CERTIFICATE_ERROR),
    (r"connection refused", CallProblem.CONNECTION_REFUSED),
    (r"service \"[^\"]*\" not found|no service port \d+ found", CallProblem.SERVICE_NOT_FOUND),
    (r"no endpoints available for service", CallProblem.NO_ENDPOINTS),
    (r"could not find the requested resource", CallProblem.NO_HANDLER),
    (r"deadline exceeded|i/o timeout|Client.Timeout|no route to host", CallProblem.TIMEOUT),
)

_NEXT_STEPS: dict[CallProblem, str] = {
    CallProblem.UNKNOWN_AUTHORITY: (
        "The served certificate does not chain to the caBundle: compare olmCAKey in the Secret with the "
        "caBundle, and see whether the pod serves the Secret's certificate already (R22)."
    ),
    CallProblem.WRONG_NAME: (
        "The certificate lacks the name <service>.<namespace>.svc, which the API server asks for: issue "
        "it with all three names of each Service (R12)."
    ),
    CallProblem.NO_NAMES: (
        "The certificate has no DNS names; the common name is not looked at: issue it anew (R12)."
    ),
    CallProblem.EXPIRED: "Issue a new certificate (R12).",
    CallProblem.NOT_YET_VALID: "Compare the clocks of the control plane and of the issuer.",
    CallProblem.OTHER_CERTIFICATE_ERROR: (
        "Look at the certificate in the Secret and at the one that is served (R22)."
    ),
    CallProblem.CONNECTION_REFUSED: (
        "Nothing listens behind the Service: look at the operator's pod and its log."
    ),
    CallProblem.TIMEOUT: (
        "The webhook does not answer in time: look at the pod, at NetworkPolicies, and whether the "
        "control plane may reach the nodes on port 9443."
    ),
    CallProblem.SERVICE_NOT_FOUND: (
        "The Service is gone or has no such port; OLM 0.20 deletes and recreates it while it reinstalls. "
        "If it stays so, look at the ClusterServiceVersion."
    ),
    CallProblem.NO_ENDPOINTS: "No pod of the operator is ready: look at its waiting reason.",
    CallProblem.NO_HANDLER: "The server behind the Service does not know the path: look whose pod answers.",
    CallProblem.OTHER: "Look at the operator's log.",
}


@dataclass(frozen=True)
class FailedCall:
    """A webhook that the API server could not call.

    Attributes:
        webhook: The webhook's name in the configuration.
    """

    webhook: str
    problem: CallProblem

    @property
    def next_step(self) -> str:
        """What a person should do about it."""
        return _NEXT_STEPS[self.problem]


def failed_call(message: str) -> FailedCall | None:
    """What the API server's message says about a call that failed; None when no call failed."""
    match = re.search(r'failed calling webhook "([^"]+)"', message)
    return FailedCall(match.group(1), classify_problem(message)) if match else None


def denying_webhook(message: str) -> str:
    """The webhook that denied a request; empty when none did."""
    match = re.search(r'admission webhook "([^"]+)" denied the request', message)
    return match.group(1) if match else ""


def classify_problem(message: str) -> CallProblem:
    """What kind of failure a text of the API server, or of a TLS client written in Go, describes."""
    for pattern, problem in _TEXTS:
        if re.search(pattern, message, re.DOTALL):
            return problem
    return CallProblem.OTHER
