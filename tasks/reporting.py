"""What a run tells: a log of steps per cluster, and the reports that people read in the Prefect UI."""

import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import ParamSpec, TypeVar

from prefect.artifacts import create_markdown_artifact

from tasks.core.errors import FleetError, InstallError, Reaction
from tasks.core.olm_health import OlmHealth
from tasks.core.outcomes import StepOutcome
from tasks.core.reports import InstallReport, InstallState, StepResult, StepState, fleet_markdown
from tasks.core.steps import InstallStep
from tasks.core.verification import Finding, FindingState, open_findings
from tasks.target import Target

P = ParamSpec("P")
R = TypeVar("R")


class StepLog:
    """Collects what happens on one cluster and turns it into its report.

    Args:
        cluster: The cluster's name.
        notice: What a person has to know beforehand.
    """

    def __init__(self, cluster: str, notice: str = "") -> None:
        self.cluster = cluster
        self._notice = notice
        self._versions: dict[str, str] = {}
        self._steps: list[StepResult] = []
        self._findings: tuple[Finding, ...] = ()
        self._olm_health: OlmHealth | None = None
        self._next_step = ""
        self._guard: Callable[[], None] = lambda: None
        self._error: FleetError | None = None

    @property
    def error(self) -> FleetError | None:
        """Why the last step failed; None while every step was right."""
        return self._error

    @property
    def last_step(self) -> InstallStep | None:
        """The step that was recorded last; None before the first."""
        return InstallStep[self._steps[-1].step] if self._steps else None

    def watch(self, guard: Callable[[], None]) -> None:
        """From now on a step begins only after this returned; its FleetError becomes that of the step."""
        self._guard = guard

    def record(self, step: InstallStep, run: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run a step, keep what it said, and return its result; an error is kept and raised again."""
        started = time.monotonic()
        try:
            self._guard()
            result = run(*args, **kwargs)
        except FleetError as error:
            self._failed(step, error, started)
            raise
        self._keep(step, result, started)
        return result

    def skip(self, step: InstallStep, reason: str) -> None:
        """Note that a step is left out, and why."""
        self._append(step, StepState.SKIPPED, time.monotonic(), reason)

    def version(self, name: str, version: str) -> None:
        """Note a version for the report."""
        self._versions[name] = version

    def absorb(self, report: InstallReport) -> None:
        """Go on after what was done on the cluster in another flow run, as if it had been recorded here."""
        self._versions.update(report.versions)
        self._steps += report.steps
        self._findings = report.findings or self._findings
        self._olm_health = report.olm_health or self._olm_health
        self._next_step = report.next_step or self._next_step
        self._notice = self._notice or report.notice

    def report(self) -> InstallReport:
        """The report of what was recorded so far."""
        return InstallReport(
            cluster=self.cluster,
            versions=dict(self._versions),
            steps=tuple(self._steps),
            findings=self._findings,
            olm_health=self._olm_health,
            notice=self._notice,
            next_step=self._next_step,
        )

    def _keep(self, step: InstallStep, result: object, started: float) -> None:
        changed: tuple[str, ...] = ()
        match result:
            case StepOutcome():
                changed, detail = result.changed, result.detail
            case OlmHealth():
                self._olm_health, detail = result, result.summary()
            case Target():
                self.version("Kubernetes", result.version)
                detail = f"kube-system uid {result.uid}, account {result.user}"
            case tuple():
                # The proof repeats the verification and adds to it, so the last findings count.
                self._findings, detail = result, _summary(result)
            case _:
                detail = ""
        state = StepState.CHANGED if changed else StepState.UNCHANGED
        self._append(step, state, started, detail, changed)

    def _failed(self, step: InstallStep, error: FleetError, started: float) -> None:
        self._error = error
        self._next_step = error.next_step
        state = StepState.FAILED if error.reaction is Reaction.RETRY else StepState.REFUSED
        self._append(step, state, started, str(error))

    def _append(
        self,
        step: InstallStep,
        state: StepState,
        started: float,
        detail: str,
        changed: tuple[str, ...] = (),
    ) -> None:
        duration = timedelta(seconds=time.monotonic() - started)
        self._steps.append(StepResult(step.name, step.title, step.runbook, state, duration, changed, detail))


def publish_reports(reports: Iterable[InstallReport]) -> None:
    """Make artifacts of a run: one line per cluster, and a page (Markdown and JSON) for each cluster."""
    reports = list(reports)
    create_markdown_artifact(
        fleet_markdown(reports), key="install-fleet", description="install-fleet: all clusters of the run"
    )
    for report in reports:
        key = f"install-{report.cluster}"
        create_markdown_artifact(report.to_markdown(), key=key, description=f"Report of {report.cluster}")
        create_markdown_artifact(
            f"```json\n{report.to_json()}```\n", key=f"{key}-json", description="The same for machines"
        )


def raise_unless_all_installed(reports: Iterable[InstallReport]) -> None:
    """End the flow run as failed when a cluster is not installed and proven.

    Raises:
        InstallError: It names every such cluster with its first problem.
    """
    bad = [report for report in reports if report.state is not InstallState.INSTALLED]
    if bad:
        raise InstallError(
            "install the operator on every cluster",
            ", ".join(report.cluster for report in bad),
            "state INSTALLED",
            "; ".join(f"{report.cluster} {report.state}: {_problem(report)}" for report in bad),
            "Read the artifacts of this run, and run it again: what is right is left alone.",
        )


def _problem(report: InstallReport) -> str:
    failed = [step for step in report.steps if step.state in (StepState.FAILED, StepState.REFUSED)]
    if failed:
        return failed[0].detail
    return "; ".join(
        f"{finding.check} {finding.subject}: {finding.found}"
        for finding in open_findings(report.findings)[:3]
    )


def _summary(findings: tuple[Finding, ...]) -> str:
    passed = sum(finding.state is FindingState.PASS for finding in findings)
    return f"{passed} of {len(findings)} checks passed"
