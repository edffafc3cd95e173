"""The report for people (Markdown) and for programs (JSON)."""

import json
from dataclasses import asdict

from tasks.core.prerequisites.findings import CheckGroup, Finding, Report, Status

_HEAD = "| | runbook | check | found | reason | what to do |\n|---|---|---|---|---|---|"


def render_markdown(report: Report) -> str:
    """A heading with the outcome, the statements to paste, and one table per group."""
    counts = ", ".join(f"{count} {status.value}" for status, count in report.counts.items())
    parts = [
        f"# Prerequisites of {report.subject}: {report.status.value}",
        f"`{report.scope}`, read {report.checked_at:%Y-%m-%d %H:%M} UTC: {counts}.",
        *_statements_to_paste(report),
        *(_table(report, group) for group in CheckGroup if report.in_group(group)),
    ]
    return "\n\n".join(parts) + "\n"


def render_json(report: Report) -> str:
    """The same as JSON: `status`, `counts` and the findings with all their fields."""
    document = {**asdict(report), "status": report.status, "counts": report.counts}
    document["checked_at"] = report.checked_at.isoformat()
    return json.dumps(document, indent=2)


def _statements_to_paste(report: Report) -> list[str]:
    statements = [
        finding.fix
        for finding in report.findings
        if finding.fix.startswith("Allow ") and finding.status in (Status.FAIL, Status.WARN)
    ]
    if not statements:
        return []
    lines = "\n".join(statement.partition(" (after creating")[0] for statement in statements)
    return [
        f"Policy statements that are missing, for a policy in the root compartment:\n\n```text\n{lines}\n```"
    ]


def _table(report: Report, group: CheckGroup) -> str:
    rows = "\n".join(_row(finding) for finding in report.in_group(group))
    return f"## {group.value}\n\n{_HEAD}\n{rows}"


def _row(finding: Finding) -> str:
    cells = (
        f"**{finding.status.value}**",
        finding.runbook,
        finding.check,
        finding.evidence,
        finding.reason,
        finding.fix,
    )
    return "| " + " | ".join(_escape(cell) for cell in cells) + " |"


def _escape(text: str) -> str:
    # Names and statements come from other people: they must not open tables, tags or images.
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
