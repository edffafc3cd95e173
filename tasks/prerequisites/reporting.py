"""Publishes reports: a Markdown artifact for people, JSON for programs, and a line in the log."""

import re
from collections.abc import Sequence

from prefect.artifacts import create_markdown_artifact
from prefect.logging import get_run_logger

from tasks.core.prerequisites.findings import Report
from tasks.core.prerequisites.rendering import render_json, render_markdown

_NOT_IN_KEYS = re.compile(r"[^a-z0-9]+")


def publish_reports(reports: Sequence[Report]) -> None:
    """One artifact per report; the same subject keeps its key, so that the UI shows its history."""
    for report in reports:
        key = _NOT_IN_KEYS.sub("-", f"prerequisites-{report.subject}".lower()).strip("-")
        create_markdown_artifact(
            markdown=_body(report), key=key, description=f"{report.subject}: {report.status.value}"
        )
        get_run_logger().info("Prerequisites of %s: %s", report.subject, report.status.value)


def _body(report: Report) -> str:
    json = f"```json\n{render_json(report)}\n```"
    return f"{render_markdown(report)}\n<details><summary>JSON</summary>\n\n{json}\n</details>\n"
