"""What a prerequisite check says: findings, and the report that they make up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """The outcome of one check, from good to bad; the report is as bad as its worst finding."""

    PASS = "PASS"  # noqa: S105 - an outcome, not a password
    WARN = "WARN"
    """It works today; somebody should look at it."""
    UNKNOWN = "UNKNOWN"
    """It could not be read or decided. Never the same as PASS."""
    FAIL = "FAIL"


class CheckGroup(StrEnum):
    """The tables of the report, in the order of the runbook."""

    ACCESS = "Access"
    IAM_SERVICE_MESH = "IAM policies for Service Mesh"
    IAM_CERTIFICATES = "IAM policies for Certificates"
    IAM_VAULT = "IAM policies for Vault"
    VAULT = "Vault and key"
    AUTHORITY = "Certificate authority"
    CERTIFICATE = "Certificate of the ingress gateway"
    CONTROL_PLANE = "Service Mesh control plane"
    REGISTRY = "Images"
    CLUSTER = "Operator's credentials and namespace"


@dataclass(frozen=True)
class Finding:
    """One check and its outcome.

    Attributes:
        group: The table it belongs to.
        runbook: The runbook step it stands for (R23 … R28).
        check: What was checked, as a noun phrase.
        status: The outcome.
        evidence: What was read, with the OCID or name of the object.
        reason: Why it is not PASS; empty when it is.
        fix: What to do, ready to carry out; empty when nothing has to be done.
    """

    group: CheckGroup
    runbook: str
    check: str
    status: Status
    evidence: str
    reason: str = ""
    fix: str = ""


@dataclass(frozen=True)
class Check:
    """A check that is about to have an outcome: its group, runbook step, name and evidence."""

    group: CheckGroup
    runbook: str
    name: str
    evidence: str

    def passed(self) -> Finding:
        """It is as it has to be."""
        return self._finding(Status.PASS)

    def warned(self, reason: str, fix: str) -> Finding:
        """It works, but somebody should look at it."""
        return self._finding(Status.WARN, reason, fix)

    def failed(self, reason: str, fix: str) -> Finding:
        """It is not as it has to be."""
        return self._finding(Status.FAIL, reason, fix)

    def unknown(self, reason: str, fix: str) -> Finding:
        """It could not be decided."""
        return self._finding(Status.UNKNOWN, reason, fix)

    def _finding(self, status: Status, reason: str = "", fix: str = "") -> Finding:
        return Finding(self.group, self.runbook, self.name, status, self.evidence, reason, fix)


@dataclass(frozen=True)
class Report:
    """All findings about one compartment of a tenancy in a region, or about one cluster.

    Attributes:
        subject: What was checked: `acme in eu-frankfurt-1`, or `cluster fra-1`.
        scope: Where: the compartment's OCID, or the namespace.
        checked_at: When the facts were read.
        findings: The findings in the order of their groups.
    """

    subject: str
    scope: str
    checked_at: datetime
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst status of all findings; UNKNOWN when nothing was checked."""
        return worst(finding.status for finding in self.findings)

    @property
    def counts(self) -> dict[Status, int]:
        """How many findings have each status."""
        counted = Counter(finding.status for finding in self.findings)
        return {status: counted[status] for status in Status}

    def in_group(self, group: CheckGroup) -> tuple[Finding, ...]:
        """The findings of one table."""
        return tuple(finding for finding in self.findings if finding.group is group)


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of some statuses; UNKNOWN for none, because nothing was looked at."""
    order = list(Status)
    return max(statuses, key=order.index, default=Status.UNKNOWN)
