"""Puts all readings of a tenancy together: facts in, the whole list of findings out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tasks.core.errors import PrerequisiteError
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.iam.principals import Instance, Principal, ResourcePrincipal, User, Workload
from tasks.core.iam.requirements import OSOK_REQUIREMENTS, Role
from tasks.core.prerequisites.authorities import check_authority
from tasks.core.prerequisites.certificates import check_certificate
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, check_control_plane
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding, Report, Status
from tasks.core.prerequisites.policies import check_policies
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)
from tasks.core.prerequisites.settings import (
    NodeInstances,
    OciGatewayCertificate,
    OperatorPrincipal,
    OperatorUser,
    OperatorWorkload,
    PrerequisiteNeeds,
    UnknownFindings,
)
from tasks.core.prerequisites.vaults import check_key, check_vault


@dataclass(frozen=True)
class TenancyReadings:
    """Everything that was read from a tenancy for one report."""

    access: Finding
    policies: PolicyWorld | Unread
    vault: VaultFacts | NotSeen | Unread
    key: KeyFacts | NotSeen | Unread
    authority: AuthorityFacts | NotSeen | Unread
    certificate: CertificateFacts | NotSeen | Unread | None
    control_plane: ControlPlaneProbe


def principals_of(operator: OperatorPrincipal, compartment_id: str) -> dict[Role, Principal]:
    """Who stands in each role; the authority lies in the compartment that is checked."""
    authority = ResourcePrincipal("certificateauthority", compartment_id)
    return {Role.OPERATOR: _operator(operator, compartment_id), Role.AUTHORITY: authority}


def assemble(
    readings: TenancyReadings, needs: PrerequisiteNeeds, principals: dict[Role, Principal], now: datetime
) -> tuple[Finding, ...]:
    """All findings about a tenancy, in the order of their groups."""
    key_id = readings.key.id if isinstance(readings.key, KeyFacts) else ""
    hosts = needs.gateway.hosts if isinstance(needs.gateway, OciGatewayCertificate) else []
    certificate = readings.certificate
    return (
        readings.access,
        *check_policies(readings.policies, principals, OSOK_REQUIREMENTS),
        *_live_reads(readings),
        *check_vault(readings.vault),
        *check_key(readings.key),
        *check_authority(readings.authority, key_id, now),
        *(check_certificate(certificate, hosts, now) if certificate is not None else ()),
        check_control_plane(readings.control_plane),
    )


def refuse_unmet(reports: Iterable[Report], unknown: UnknownFindings) -> None:
    """Stop a run whose prerequisites are not met.

    The control plane of Service Mesh never stops one: it is retired, and the report says so.

    Raises:
        PrerequisiteError: A finding is FAIL, or UNKNOWN without anybody having accepted that.
    """
    refused = {Status.FAIL} | ({Status.UNKNOWN} if unknown is UnknownFindings.REFUSE else set())
    found = [
        f"{report.subject}: {finding.check}: {finding.reason}"
        for report in reports
        for finding in report.findings
        if finding.status in refused and finding.group is not CheckGroup.CONTROL_PLANE
    ]
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise PrerequisiteError(
            "go on",
            expected="prerequisites without FAIL" + ("" if Status.UNKNOWN not in refused else " or UNKNOWN"),
            found="; ".join(found[:_SHOWN]) + more,
            next_step="The report says what to do about each; flow create-prerequisites does a part of it.",
        )


_SHOWN = 5


def _operator(operator: OperatorPrincipal, compartment_id: str) -> Principal:
    match operator:
        case NodeInstances():
            return Instance(operator.compartment_id or compartment_id)
        case OperatorUser():
            return User(operator.user_id, operator.user_id)
        case OperatorWorkload():
            return Workload(operator.cluster_id, operator.namespace, operator.service_account)


def _live_reads(readings: TenancyReadings) -> tuple[Finding, ...]:
    """R23's second evidence: what this run could read itself, with its own identity."""
    return (
        _live_read(CheckGroup.IAM_CERTIFICATES, "certificate authority", readings.authority),
        _live_read(CheckGroup.IAM_VAULT, "vault", readings.vault),
        _live_read(CheckGroup.IAM_VAULT, "key", readings.key),
    )


def _live_read(
    group: CheckGroup, name: str, reading: AuthorityFacts | VaultFacts | KeyFacts | NotSeen | Unread
) -> Finding:
    if isinstance(reading, NotSeen | Unread):
        check = Check(group, "R23", f"this run: read the {name}", f"{reading.what}: not read")
        reason = "this run's own identity did not see it, which says nothing about the operator's"
        return check.warned(reason, "See the findings about policies and about the object.")
    return Check(group, "R23", f"this run: read the {name}", f"read {reading.id}").passed()
