"""The report of an installation (R3, R8-R10 in tables) as Markdown and JSON."""

import json
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tasks.core.manifests import ObjectRef
from tasks.core.markdown import bullets, escaped, table
from tasks.core.olm_health import HealthState, ObjectHealth, OlmHealth
from tasks.core.reports import (
    InstallReport,
    InstallState,
    StepResult,
    StepState,
    duration_text,
    fleet_markdown,
)
from tasks.core.verification import Check, Finding, FindingState

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def rendered(token: Token) -> str:
    """The text that a reader sees, line breaks included."""
    parts = [
        "\n" if child.type == "html_inline" and child.content == "<br>" else child.content
        for child in token.children or []
    ]
    return "".join(parts)


def cells(markdown: str) -> list[str]:
    return [rendered(token) for token in MARKDOWN.parse(markdown) if token.type == "inline"]


def normalised(text: str) -> str:
    """How the writer folds white space: lines are trimmed, empty ones dropped."""
    lines = (line.strip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return "\n".join(line for line in lines if line)


PRINTABLE = st.text(
    st.characters(min_codepoint=32, max_codepoint=126) | st.sampled_from("\né…→"), max_size=60
)


@settings(deadline=None)
@example("a|b", "c\\|d")
@example("<service>.<namespace>.svc", "**bold** _x_ `code` ~~gone~~")
@example("[link](http://example.com)", "![image](x) <!-- comment -->")
@example("&lt;", "line one\nline two")
@given(PRINTABLE, PRINTABLE)
def test_what_a_cell_says_is_what_a_reader_sees(first: str, second: str) -> None:
    """Escaping round trip through a CommonMark parser: nothing formats, nothing is lost."""
    seen = cells(table(("A", "B"), [(first, second)]))
    assert seen[2:] == [normalised(first), normalised(second)]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("a|b", "a\\|b"),
        ("one\ntwo", "one<br>two"),
        ("CALL_ALLOWED", "CALL_ALLOWED"),
        ("<name>", "&lt;name&gt;"),
        ("oci-service-operator.v1.1.9", "oci-service-operator.v1.1.9"),
    ],
)
def test_plain_names_stay_readable_in_the_source(text: str, markdown: str) -> None:
    assert escaped(text) == markdown


def test_a_list_escapes_its_items() -> None:
    assert bullets(["a", "*b*"]) == "- a\n- \\*b\\*\n"


STEP = StepResult(
    "OLM_CRDS",
    "OLM: CRDs",
    ("R2",),
    StepState.CHANGED,
    timedelta(seconds=1.25),
    ("CREATED CustomResourceDefinition operators.operators.coreos.com",),
    "8 CRDs | established",
)
CSV = StepResult("CSV", "CSV succeeded", ("R7",), StepState.UNCHANGED, timedelta(seconds=65))
BROKEN = StepResult("CSV", "CSV succeeded", ("R7",), StepState.FAILED, timedelta(), (), "IMAGE_PULL: 401")
PASSED = Finding(Check.CRD, "R8", ObjectRef("v1", "CustomResourceDefinition", "meshes"), FindingState.PASS)
FAILED = Finding(
    Check.CALL_DENIED, "R9", "Mesh through mesh-validator", FindingState.FAIL, "denied: x", "allowed", "Look."
)
UNKNOWN = Finding(Check.INJECTOR_CALL, "R10", "Pod", FindingState.UNKNOWN, "a", "b", "Allow /metrics.")
WARNED = Finding(Check.WEBHOOK_SCOPE, "R9", "Webhook", FindingState.WARN, "a", "b", "c")
HEALTH = OlmHealth(
    (
        ObjectHealth(ObjectRef("v1", "Namespace", "olm"), HealthState.HEALTHY, "Active"),
        ObjectHealth(ObjectRef("apps/v1", "Deployment", "olm-operator", "olm"), HealthState.MISSING),
    )
)


def report(*steps: StepResult, findings: tuple[Finding, ...] = ()) -> InstallReport:
    versions = {"Kubernetes": "v1.36.3", "OLM": "0.46.0"}
    return InstallReport("fra-1", versions, steps, findings, HEALTH, "Retired.", "Do | this.")


@pytest.mark.parametrize(
    ("steps", "findings", "state"),
    [
        ((STEP,), (PASSED,), InstallState.INSTALLED),
        ((STEP,), (PASSED, WARNED), InstallState.INSTALLED),
        ((STEP,), (PASSED, WARNED, UNKNOWN), InstallState.UNPROVEN),
        ((STEP,), (UNKNOWN, FAILED), InstallState.FAILED),
        ((STEP, BROKEN), (), InstallState.FAILED),
    ],
)
def test_the_verdict_is_the_worst_of_steps_and_findings(
    steps: tuple[StepResult, ...], findings: tuple[Finding, ...], state: InstallState
) -> None:
    assert report(*steps, findings=findings).state is state


def test_the_page_shows_every_part() -> None:
    """R3, R8, R9."""
    page = report(STEP, CSV, findings=(PASSED, FAILED)).to_markdown()
    assert (
        page
        == """\
# fra-1: FAILED

> Retired.

**Next step:** Do \\| this.

|  | Version |
| --- | --- |
| Kubernetes | v1.36.3 |
| OLM | 0.46.0 |

## Steps

| Step | Runbook | State | Time | Changed | Detail |
| --- | --- | --- | --- | --- | --- |
| OLM: CRDs | R2 | CHANGED | 1.2 s | 1 | 8 CRDs \\| established |
| CSV succeeded | R7 | UNCHANGED | 1 min 05 s | 0 |  |
| Together |  |  | 1 min 06 s | 1 |  |

## Changes (1)

- CREATED CustomResourceDefinition operators.operators.coreos.com

## Verification

| Check | PASS | UNKNOWN | WARN | FAIL |
| --- | --- | --- | --- | --- |
| CRD | 1 | 0 | 0 | 0 |
| CALL_DENIED | 0 | 0 | 0 | 1 |

### To look at

| State | Check | Runbook | Object | Expected | Found | Next step |
| --- | --- | --- | --- | --- | --- | --- |
| FAIL | CALL_DENIED | R9 | Mesh through mesh-validator | denied: x | allowed | Look. |

## OLM (1/2 healthy)

| NAME | NAMESPACE | KIND | STATUS |
| --- | --- | --- | --- |
| olm |  | Namespace | HEALTHY: Active |
| olm-operator | olm | Deployment | MISSING |
"""
    )


def test_a_run_that_wrote_nothing_says_so() -> None:
    page = InstallReport("fra-1", {}, (CSV,)).to_markdown()
    assert "Nothing was written: everything was right already." in page


def test_long_texts_are_cut_on_the_page_but_not_in_the_data() -> None:
    long = StepResult("CSV", "CSV", (), StepState.FAILED, timedelta(), (), "x" * 500)
    whole = InstallReport("fra-1", {}, (long,))
    assert ("x" * 301 in whole.to_markdown(), "x" * 500 in whole.to_json()) == (False, True)


def test_the_json_has_stable_keys() -> None:
    data = json.loads(report(STEP, findings=(FAILED,)).to_json())
    assert data == {
        "changed": ["CREATED CustomResourceDefinition operators.operators.coreos.com"],
        "cluster": "fra-1",
        "duration_seconds": 1.25,
        "findings": [
            {
                "check": "CALL_DENIED",
                "expected": "denied: x",
                "found": "allowed",
                "next_step": "Look.",
                "runbook": "R9",
                "state": "FAIL",
                "subject": "Mesh through mesh-validator",
            }
        ],
        "next_step": "Do | this.",
        "notice": "Retired.",
        "olm": [
            {"detail": "Active", "kind": "Namespace", "name": "olm", "namespace": "", "state": "HEALTHY"},
            {
                "detail": "",
                "kind": "Deployment",
                "name": "olm-operator",
                "namespace": "olm",
                "state": "MISSING",
            },
        ],
        "state": "FAILED",
        "steps": [
            {
                "changed": ["CREATED CustomResourceDefinition operators.operators.coreos.com"],
                "detail": "8 CRDs | established",
                "duration_seconds": 1.25,
                "runbook": ["R2"],
                "state": "CHANGED",
                "step": "OLM_CRDS",
                "title": "OLM: CRDs",
            }
        ],
        "versions": {"Kubernetes": "v1.36.3", "OLM": "0.46.0"},
    }


def test_a_report_without_olm_has_an_empty_table() -> None:
    assert json.loads(InstallReport("fra-1", {}, ()).to_json())["olm"] == []


def test_the_fleet_is_one_line_for_each_cluster() -> None:
    page = fleet_markdown(
        [report(STEP, BROKEN), report(STEP, findings=(FAILED,)), InstallReport("ams-1", {}, (CSV,))]
    )
    assert (
        page
        == """\
| Cluster | State | Time | Changed | First problem |
| --- | --- | --- | --- | --- |
| fra-1 | FAILED | 1.2 s | 1 | CSV succeeded: IMAGE_PULL: 401 |
| fra-1 | FAILED | 1.2 s | 1 | CALL_DENIED Mesh through mesh-validator: allowed |
| ams-1 | INSTALLED | 1 min 05 s | 0 |  |
"""
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.99, "10.0 s"),
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
    ],
)
def test_durations_are_told_as_people_say_them(seconds: float, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text
