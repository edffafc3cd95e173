"""A log goes on after what was done on the cluster in another flow run, as one report."""

from datetime import timedelta

from tasks.core.manifests import ObjectRef
from tasks.core.olm_health import HealthState, ObjectHealth, OlmHealth
from tasks.core.outcomes import StepOutcome
from tasks.core.reports import InstallReport, InstallState, StepResult, StepState
from tasks.core.steps import InstallStep
from tasks.core.verification import Check, Finding, FindingState
from tasks.reporting import StepLog

SECOND = timedelta(seconds=1)
WRITTEN = StepResult("OLM_CRDS", "OLM", ("R2",), StepState.CHANGED, SECOND, ("CREATED x",))
BROKEN = StepResult("CSV", "Operator", ("R7",), StepState.FAILED, SECOND, (), "stalled")
OLM = OlmHealth((ObjectHealth(ObjectRef("v1", "Namespace", "olm"), HealthState.HEALTHY),))
FINDING = Finding(Check.CRD, "R8", "crd", FindingState.PASS)


def test_what_was_done_elsewhere_stands_between_what_was_done_here() -> None:
    log = StepLog("fra-1", "retired")
    log.version("Kubernetes", "v1.36.3")
    log.record(InstallStep.FLOW_RUN, lambda: StepOutcome(detail="flow run 4711"))

    log.absorb(InstallReport("fra-1", {"OLM": "0.46.0"}, (WRITTEN,), (FINDING,), OLM))
    log.record(InstallStep.CERTIFICATE, lambda: StepOutcome(("UPDATED y",)))

    report = log.report()
    assert [step.step for step in report.steps] == ["FLOW_RUN", "OLM_CRDS", "CERTIFICATE"]
    assert dict(report.versions) == {"Kubernetes": "v1.36.3", "OLM": "0.46.0"}
    assert (report.findings, report.olm_health, report.notice) == ((FINDING,), OLM, "retired")
    assert (report.changed, report.state) == (("CREATED x", "UPDATED y"), InstallState.INSTALLED)


def test_a_step_that_failed_elsewhere_fails_the_cluster_and_says_what_to_do() -> None:
    log = StepLog("fra-1")

    log.absorb(InstallReport("fra-1", {}, (BROKEN,), next_step="look at the pods"))

    assert (log.report().state, log.report().next_step) == (InstallState.FAILED, "look at the pods")
