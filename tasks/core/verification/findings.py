"""What a check says about one object: the verdict, what was expected, what was found, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tasks.core.manifests import ObjectRef


class FindingState(StrEnum):
    """The verdict of one check, from best to worst."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    UNKNOWN = "UNKNOWN"
    """It could not be checked; the finding says what was missing."""
    WARN = "WARN"
    """The operator works, but somebody should look."""
    FAIL = "FAIL"


class Check(StrEnum):
    """The checks, as stable names for reports and for drift over time."""

    CRD = "CRD"
    WEBHOOK_PRESENT = "WEBHOOK_PRESENT"
    WEBHOOK_RULES = "WEBHOOK_RULES"
    WEBHOOK_FAILURE_POLICY = "WEBHOOK_FAILURE_POLICY"
    WEBHOOK_SIDE_EFFECTS = "WEBHOOK_SIDE_EFFECTS"
    WEBHOOK_ADDRESS = "WEBHOOK_ADDRESS"
    WEBHOOK_SCOPE = "WEBHOOK_SCOPE"
    WEBHOOK_INERT = "WEBHOOK_INERT"
    WEBHOOK_UNEXPECTED = "WEBHOOK_UNEXPECTED"
    CA_BUNDLE = "CA_BUNDLE"
    DEPLOYMENT = "DEPLOYMENT"
    SERVICE = "SERVICE"
    ENDPOINTS = "ENDPOINTS"
    SERVICE_SELECTOR = "SERVICE_SELECTOR"
    REQUIRED_OBJECT = "REQUIRED_OBJECT"
    CALL_ALLOWED = "CALL_ALLOWED"
    CALL_DENIED = "CALL_DENIED"
    INJECTOR_CALL = "INJECTOR_CALL"
    HANDSHAKE = "HANDSHAKE"


@dataclass(frozen=True)
class Finding:
    """The result of one check on one object.

    Attributes:
        check: Which check.
        runbook: The runbook step that it carries out (`R9`), empty when it goes beyond the runbook.
        subject: The object, or its description where there is none to name.
        expected: What should be there.
        found: What is there.
        next_step: What a person should do; empty when the check passed.
    """

    check: Check
    runbook: str
    subject: ObjectRef | str
    state: FindingState
    expected: str = ""
    found: str = ""
    next_step: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.state is FindingState.PASS


_BADNESS = list(FindingState)


def worst_state(findings: Iterable[Finding]) -> FindingState:
    """The verdict over all of them; PASS when there are none."""
    states = [finding.state for finding in findings]
    return max(states, key=_BADNESS.index, default=FindingState.PASS)


def open_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that did not pass, worst first."""
    remaining = [finding for finding in findings if not finding.passed]
    return tuple(sorted(remaining, key=lambda finding: -_BADNESS.index(finding.state)))
