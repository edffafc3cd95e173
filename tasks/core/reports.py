"""The report of an installation on one cluster: for a person as Markdown, for machines as JSON."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from tasks.core.markdown import bullets, escaped, table
from tasks.core.olm_health import OlmHealth
from tasks.core.verification import Finding, FindingState, open_findings, worst_state

_SHOWN_TEXT = 300


class StepState(StrEnum):
    """How a step ended."""

    CHANGED = "CHANGED"
    """It wrote something, and what it wanted is now true."""
    UNCHANGED = "UNCHANGED"
    """Everything was right already; nothing was written."""
    SKIPPED = "SKIPPED"
    """A parameter, or an earlier failure, left it out."""
    REFUSED = "REFUSED"
    """A precondition does not hold; nothing was written."""
    FAILED = "FAILED"


@dataclass(frozen=True)
class StepResult:
    """One step on one cluster.

    Attributes:
        step: Its stable id (`OLM_CRDS`).
        title: What a person reads.
        runbook: The runbook steps that it carries out (`R2`).
        duration: How long it took.
        changed: One line for each object that was written.
        detail: What it found, or why it failed. Plain text without secrets.
    """

    step: str
    title: str
    runbook: tuple[str, ...]
    state: StepState
    duration: timedelta
    changed: tuple[str, ...] = ()
    detail: str = ""


class InstallState(StrEnum):
    """How the installation on a cluster ended."""

    INSTALLED = "INSTALLED"
    """Every step is done and no check failed."""
    UNPROVEN = "UNPROVEN"
    """Every step is done, but a check could not be made."""
    FAILED = "FAILED"


@dataclass(frozen=True)
class InstallReport:
    """Everything that happened on one cluster.

    Attributes:
        cluster: Its name.
        versions: Label and version, in the order to show them (`Kubernetes`, `OLM`, `Operator`).
        steps: In the order in which they ran.
        findings: What the verification found, passed checks included.
        olm_health: The R3 table; None when OLM was not looked at.
        notice: What a person has to know beforehand (the retired OCI Service Mesh).
        next_step: What to do when it failed.
    """

    cluster: str
    versions: Mapping[str, str]
    steps: tuple[StepResult, ...]
    findings: tuple[Finding, ...] = ()
    olm_health: OlmHealth | None = None
    notice: str = ""
    next_step: str = ""

    @property
    def state(self) -> InstallState:
        """The verdict over steps and findings."""
        broken = any(step.state in (StepState.FAILED, StepState.REFUSED) for step in self.steps)
        worst = worst_state(self.findings)
        unknown = any(finding.state is FindingState.UNKNOWN for finding in self.findings)
        if broken or worst is FindingState.FAIL:
            return InstallState.FAILED
        return InstallState.UNPROVEN if unknown else InstallState.INSTALLED

    @property
    def duration(self) -> timedelta:
        """The time of all steps together."""
        return sum((step.duration for step in self.steps), timedelta())

    @property
    def changed(self) -> tuple[str, ...]:
        """Every object that was written, in order."""
        return tuple(line for step in self.steps for line in step.changed)

    def to_markdown(self) -> str:
        """A page for the Prefect UI."""
        parts = [
            f"# {escaped(self.cluster)}: {self.state}\n",
            f"> {escaped(self.notice)}\n" if self.notice else "",
            f"**Next step:** {escaped(self.next_step)}\n" if self.next_step else "",
            table(("", "Version"), self.versions.items()) if self.versions else "",
            _steps_section(self),
            _changes_section(self.changed),
            _findings_section(self.findings),
            _olm_section(self.olm_health),
        ]
        return "\n".join(part for part in parts if part)

    def to_json(self) -> str:
        """The same for machines; keys and their order are stable, times are in seconds."""
        return json.dumps(self.to_data(), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def to_data(self) -> dict[str, Any]:
        """The report as JSON data."""
        return {
            "changed": list(self.changed),
            "cluster": self.cluster,
            "duration_seconds": _seconds(self.duration),
            "findings": [_finding_data(finding) for finding in self.findings],
            "next_step": self.next_step,
            "notice": self.notice,
            "olm": _olm_data(self.olm_health),
            "state": self.state.value,
            "steps": [_step_data(step) for step in self.steps],
            "versions": dict(self.versions),
        }


def fleet_markdown(reports: Iterable[InstallReport]) -> str:
    """One line for each cluster."""
    rows = [
        (
            report.cluster,
            report.state.value,
            duration_text(report.duration),
            str(len(report.changed)),
            _first_problem(report),
        )
        for report in reports
    ]
    return table(("Cluster", "State", "Time", "Changed", "First problem"), rows)


def duration_text(duration: timedelta) -> str:
    """A duration as a person says it: `0.4 s`, `12 s`, `3 min 05 s`."""
    seconds = duration.total_seconds()
    if seconds < 10:  # noqa: PLR2004 - below ten seconds the tenth counts
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _first_problem(report: InstallReport) -> str:
    for step in report.steps:
        if step.state in (StepState.FAILED, StepState.REFUSED):
            return _short(f"{step.title}: {step.detail}")
    for finding in open_findings(report.findings):
        return _short(f"{finding.check} {finding.subject}: {finding.found}")
    return ""


def _steps_section(report: InstallReport) -> str:
    rows = [
        (
            step.title,
            ", ".join(step.runbook),
            step.state.value,
            duration_text(step.duration),
            str(len(step.changed)),
            _short(step.detail),
        )
        for step in report.steps
    ]
    total = ("Together", "", "", duration_text(report.duration), str(len(report.changed)), "")
    headers = ("Step", "Runbook", "State", "Time", "Changed", "Detail")
    return "## Steps\n\n" + table(headers, [*rows, total])


def _changes_section(changed: tuple[str, ...]) -> str:
    if not changed:
        return "## Changes\n\nNothing was written: everything was right already.\n"
    return f"## Changes ({len(changed)})\n\n" + bullets(changed)


def _findings_section(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return ""
    counted = Counter((finding.check, finding.state) for finding in findings)
    checks = dict.fromkeys(finding.check for finding in findings)
    states = tuple(FindingState)
    summary = [(check.value, *(str(counted[check, state]) for state in states)) for check in checks]
    parts = ["## Verification\n", table(("Check", *(state.value for state in states)), summary)]
    remaining = open_findings(findings)
    if remaining:
        parts += ["### To look at\n", table(_OPEN_HEADERS, [_open_row(finding) for finding in remaining])]
    return "\n".join(parts)


_OPEN_HEADERS = ("State", "Check", "Runbook", "Object", "Expected", "Found", "Next step")


def _open_row(finding: Finding) -> tuple[str, ...]:
    return (
        finding.state.value,
        finding.check.value,
        finding.runbook,
        str(finding.subject),
        _short(finding.expected),
        _short(finding.found),
        finding.next_step,
    )


def _olm_section(health: OlmHealth | None) -> str:
    if health is None:
        return ""
    return f"## OLM ({health.summary()})\n\n" + table(OlmHealth.HEADER, health.table())


def _step_data(step: StepResult) -> dict[str, Any]:
    return {
        "changed": list(step.changed),
        "detail": step.detail,
        "duration_seconds": _seconds(step.duration),
        "runbook": list(step.runbook),
        "state": step.state.value,
        "step": step.step,
        "title": step.title,
    }


def _finding_data(finding: Finding) -> dict[str, str]:
    return {
        "check": finding.check.value,
        "expected": finding.expected,
        "found": finding.found,
        "next_step": finding.next_step,
        "runbook": finding.runbook,
        "state": finding.state.value,
        "subject": str(finding.subject),
    }


def _olm_data(health: OlmHealth | None) -> list[dict[str, str]]:
    return [
        {
            "detail": row.detail,
            "kind": row.ref.kind,
            "name": row.ref.name,
            "namespace": row.ref.namespace,
            "state": row.state.value,
        }
        for row in (health.rows if health else ())
    ]


def _seconds(duration: timedelta) -> float:
    return round(duration.total_seconds(), 3)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_TEXT else f"{text[:_SHOWN_TEXT]}…"
