"""R23-R28: all readings together, and what refuses a run."""

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from tasks.core.errors import PrerequisiteError
from tasks.core.iam.principals import Instance, ResourcePrincipal, User, Workload
from tasks.core.iam.requirements import Role
from tasks.core.prerequisites.assembling import TenancyReadings, assemble, principals_of, refuse_unmet
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding, Report, Status
from tasks.core.prerequisites.readings import NotSeen, Unread
from tasks.core.prerequisites.settings import (
    NodeInstances,
    NoGateway,
    OciGatewayCertificate,
    OperatorPrincipal,
    OperatorUser,
    OperatorWorkload,
    PrerequisiteNeeds,
    UnknownFindings,
)
from tests.core.prerequisites.facts import AUTHORITY, CERTIFICATE, KEY, NOW, VAULT

PASSED = Check(CheckGroup.ACCESS, "R23", "sign in", "").passed()
READINGS = TenancyReadings(
    access=PASSED,
    policies=Unread("the policies", "HTTP 500"),
    vault=VAULT,
    key=KEY,
    authority=AUTHORITY,
    certificate=CERTIFICATE,
    control_plane=ControlPlaneProbe("servicemesh", Reach.NO_SUCH_NAME),
)
NEEDS = PrerequisiteNeeds(
    vault="mesh",
    key="mesh",
    certificate_authority="mesh",
    gateway=OciGatewayCertificate(certificate="gateway", hosts=["shop.example.com"]),
)
PRINCIPALS = principals_of(NEEDS.operator, "c")


def groups_of(findings: tuple[Finding, ...]) -> list[CheckGroup]:
    return list(dict.fromkeys(finding.group for finding in findings))


def test_every_group_of_the_tenancy_has_its_findings() -> None:
    findings = assemble(READINGS, NEEDS, PRINCIPALS, NOW)

    assert set(groups_of(findings)) == set(CheckGroup) - {CheckGroup.REGISTRY, CheckGroup.CLUSTER}
    assert {finding.runbook for finding in findings} >= {"R23", "R24", "R25", "R26", "R27", "R28"}


def test_without_a_gateway_nothing_is_said_about_its_certificate() -> None:
    needs = NEEDS.model_copy(update={"gateway": NoGateway()})

    findings = assemble(replace(READINGS, certificate=None), needs, PRINCIPALS, NOW)

    assert CheckGroup.CERTIFICATE not in groups_of(findings)


def test_a_key_that_was_not_read_leaves_the_authoritys_key_unknown() -> None:
    unread = replace(READINGS, key=NotSeen("the key", "here", None))

    findings = assemble(unread, NEEDS, PRINCIPALS, NOW)

    (about_key,) = [item for item in findings if item.check == "certificate authority: key"]
    assert about_key.status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("operator", "principal"),
    [
        (NodeInstances(), Instance("c")),
        (NodeInstances(compartment_id="nodes"), Instance("nodes")),
        (OperatorUser(user_id="ocid1.user.oc1..u"), User("ocid1.user.oc1..u", "ocid1.user.oc1..u")),
        (
            OperatorWorkload(cluster_id="ocid1.cluster.oc1..x", namespace="ns", service_account="sa"),
            Workload("ocid1.cluster.oc1..x", "ns", "sa"),
        ),
    ],
)
def test_each_kind_of_operator_is_a_principal(operator: OperatorPrincipal, principal: object) -> None:
    assert principals_of(operator, "c") == {
        Role.OPERATOR: principal,
        Role.AUTHORITY: ResourcePrincipal("certificateauthority", "c"),
    }


def test_the_kinds_are_told_apart_by_their_kind() -> None:
    adapter: TypeAdapter[OperatorPrincipal] = TypeAdapter(OperatorPrincipal)

    parsed = adapter.validate_python({"kind": "user", "user_id": "ocid1.user.oc1..u"})

    assert parsed == OperatorUser(user_id="ocid1.user.oc1..u")


def report(*findings: Finding) -> Report:
    return Report("acme", "c", NOW, findings)


FAILED = Check(CheckGroup.VAULT, "R24", "vault", "").failed("it is gone", "Make one.")
UNDECIDED = Check(CheckGroup.VAULT, "R24", "vault", "").unknown("no answer", "Again.")
WARNED = Check(CheckGroup.VAULT, "R24", "vault", "").warned("soon", "Look.")
RETIRED = Check(CheckGroup.CONTROL_PLANE, "R23", "mesh", "").unknown("no answer", "Nothing.")


@pytest.mark.parametrize("unknown", UnknownFindings)
def test_passes_and_warnings_let_a_run_go_on(unknown: UnknownFindings) -> None:
    refuse_unmet([report(PASSED, WARNED, RETIRED)], unknown)


@pytest.mark.parametrize("unknown", UnknownFindings)
def test_a_failure_always_refuses(unknown: UnknownFindings) -> None:
    with pytest.raises(PrerequisiteError, match="acme: vault: it is gone"):
        refuse_unmet([report(PASSED), report(FAILED)], unknown)


def test_unknown_refuses_unless_it_is_accepted() -> None:
    refuse_unmet([report(UNDECIDED)], UnknownFindings.ACCEPT)
    with pytest.raises(PrerequisiteError, match="without FAIL or UNKNOWN"):
        refuse_unmet([report(UNDECIDED)], UnknownFindings.REFUSE)


def test_many_failures_are_counted_instead_of_listed() -> None:
    with pytest.raises(PrerequisiteError, match="and 3 more"):
        refuse_unmet([report(*[FAILED] * 8)], UnknownFindings.REFUSE)
