"""R23, R28: policies and the control plane as findings, and the report's two forms."""

import json
from dataclasses import replace

import pytest

from tasks.core.iam.compartments import Compartment, Lineage
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.iam.principals import Directory, DynamicGroup, Instance, Principal, ResourcePrincipal
from tasks.core.iam.requirements import OSOK_REQUIREMENTS, Role
from tasks.core.iam.statements import Source, parse_statement
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach, check_control_plane
from tasks.core.prerequisites.findings import CheckGroup, Finding, Report, Status, worst
from tasks.core.prerequisites.policies import check_policies
from tasks.core.prerequisites.readings import Unread
from tasks.core.prerequisites.rendering import render_json, render_markdown
from tasks.core.prerequisites.vaults import check_vault
from tests.core.prerequisites.facts import NOW, VAULT

LINEAGE = Lineage((Compartment("t", "acme"), Compartment("m", "mesh")))
DIRECTORY = Directory(dynamic_groups=(DynamicGroup("dg", "nodes", "instance.compartment.id = 'm'"),))
PRINCIPALS: dict[Role, Principal] = {
    Role.OPERATOR: Instance("m"),
    Role.AUTHORITY: ResourcePrincipal("certificateauthority", "m"),
}


def policy_findings(*texts: str) -> dict[str, Finding]:
    statements = tuple(parse_statement(text, Source("osok", "t")) for text in texts)
    world = PolicyWorld(LINEAGE, statements, DIRECTORY)
    return {item.check: item for item in check_policies(world, PRINCIPALS, OSOK_REQUIREMENTS)}


def report(*findings: Finding) -> Report:
    return Report("acme in eu-frankfurt-1", "m", NOW, findings)


def test_the_three_groups_are_reported_apart() -> None:
    groups = [finding.group for finding in policy_findings().values()]

    assert [groups.count(group) for group in CheckGroup] == [0, 5, 5, 3, 0, 0, 0, 0, 0, 0]


def test_a_statement_that_is_missing_is_ready_to_paste() -> None:
    finding = policy_findings()["operator: manage service-mesh-family"]

    assert finding.status is Status.FAIL
    assert finding.fix == "Allow dynamic-group nodes to manage service-mesh-family in compartment mesh"


def test_a_recommended_right_that_is_missing_is_a_warning() -> None:
    assert policy_findings()["operator: use metrics"].status is Status.WARN


def test_a_granted_right_names_its_statement_and_policy() -> None:
    finding = policy_findings("Allow any-user to use keys in tenancy")["certificate authority: use keys"]

    assert finding.status is Status.PASS
    assert finding.evidence == "osok: Allow any-user to use keys in tenancy"


def test_a_deny_is_not_answered_with_one_more_allow() -> None:
    deny = "Deny any-user to inspect service-mesh-family in tenancy"

    finding = policy_findings(deny)["operator: manage service-mesh-family"]

    assert (finding.status, finding.fix) == (Status.FAIL, "Remove or narrow the Deny statement.")


def test_an_unknown_right_says_what_would_have_to_be_known() -> None:
    allow = "Allow any-user to use keys in tenancy where target.key.id = 'k'"

    finding = policy_findings(allow)["certificate authority: use keys"]

    assert finding.status is Status.UNKNOWN
    assert "target.key.id depends on the request" in finding.reason


def test_policies_that_cannot_be_read_leave_every_right_unknown() -> None:
    findings = check_policies(Unread("policies", "HTTP 500"), PRINCIPALS, OSOK_REQUIREMENTS)

    assert {finding.status for finding in findings} == {Status.UNKNOWN}


@pytest.mark.parametrize(
    ("reach", "http_status", "status", "word"),
    [
        (Reach.NO_SUCH_NAME, 0, Status.WARN, "retired"),
        (Reach.NO_CONNECTION, 0, Status.UNKNOWN, "blocked"),
        (Reach.ANSWERED, 404, Status.UNKNOWN, "no permission"),
        (Reach.ANSWERED, 200, Status.PASS, ""),
    ],
)
def test_the_control_plane_is_spoken_of_plainly(
    reach: Reach, http_status: int, status: Status, word: str
) -> None:
    finding = check_control_plane(ControlPlaneProbe("servicemesh.example", reach, http_status))

    assert finding.status is status
    assert word in finding.reason


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([], Status.UNKNOWN),
        ([Status.PASS, Status.PASS], Status.PASS),
        ([Status.PASS, Status.WARN], Status.WARN),
        ([Status.WARN, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.FAIL, Status.PASS], Status.FAIL),
    ],
)
def test_a_report_is_as_bad_as_its_worst_finding(statuses: list[Status], expected: Status) -> None:
    assert worst(statuses) is expected


def test_the_markdown_has_a_table_per_group_and_the_statements_to_paste() -> None:
    text = render_markdown(report(*policy_findings().values(), *check_vault(VAULT)))

    assert "# Prerequisites of acme in eu-frankfurt-1: FAIL" in text
    assert "\nAllow dynamic-group nodes to {MESH_PROXY_DETAILS_READ} in tenancy\n" in text
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## IAM policies for Service Mesh",
        "## IAM policies for Certificates",
        "## IAM policies for Vault",
        "## Vault and key",
    ]


def test_names_of_other_people_cannot_break_the_table() -> None:
    vault = replace(VAULT, name="a | b\n<img src=x>")

    rows = [line for line in render_markdown(report(*check_vault(vault))).splitlines() if "R24" in line]

    assert len(rows) == 2
    assert all("a \\| b &lt;img src=x>" in row for row in rows)


def test_the_json_has_every_field_and_the_outcome() -> None:
    document = json.loads(render_json(report(*check_vault(VAULT))))

    assert document["status"] == "PASS"
    assert document["counts"] == {"PASS": 2, "WARN": 0, "UNKNOWN": 0, "FAIL": 0}
    assert document["checked_at"] == "2026-03-01T12:00:00+00:00"
    assert document["findings"][0]["check"] == "vault: state"
