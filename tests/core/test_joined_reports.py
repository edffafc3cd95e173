"""A cluster that was worked on in two places has one report: the rollout's part and that of the other run."""

from datetime import timedelta

from tasks.core.manifests import ObjectRef
from tasks.core.olm_health import HealthState, ObjectHealth, OlmHealth
from tasks.core.reports import InstallReport, InstallState, StepResult, StepState, joined
from tasks.core.verification import Check, Finding, FindingState

SECOND = timedelta(seconds=1)
HERE = StepResult("PREREQUISITES", "OCI prerequisites", ("R23",), StepState.UNCHANGED, SECOND)
THERE = StepResult("OLM_CRDS", "OLM", ("R2",), StepState.CHANGED, SECOND, ("CREATED x",))
BROKEN = StepResult("CSV", "Operator", ("R7",), StepState.FAILED, SECOND, (), "stalled")
OLM = OlmHealth((ObjectHealth(ObjectRef("v1", "Namespace", "olm"), HealthState.HEALTHY),))
FINDING = Finding(Check.CRD, "R8", "crd", FindingState.PASS)


def test_steps_follow_each_other_and_what_the_second_part_found_is_the_finding() -> None:
    first = InstallReport("fra-1", {"A": "1"}, (HERE,), notice="retired")
    second = InstallReport("fra-1", {"OLM": "0.46.0"}, (THERE,), (FINDING,), OLM)

    whole = joined(first, second)

    assert [step.step for step in whole.steps] == ["PREREQUISITES", "OLM_CRDS"]
    assert (whole.cluster, dict(whole.versions)) == ("fra-1", {"A": "1", "OLM": "0.46.0"})
    assert (whole.findings, whole.olm_health, whole.notice) == ((FINDING,), OLM, "retired")
    assert (whole.changed, whole.state) == (("CREATED x",), InstallState.INSTALLED)


def test_a_step_that_failed_in_the_second_part_fails_the_whole_and_says_what_to_do() -> None:
    first = InstallReport("fra-1", {}, (HERE,))
    second = InstallReport("fra-1", {}, (BROKEN,), next_step="look at the pods")

    whole = joined(first, second)

    assert (whole.state, whole.next_step) == (InstallState.FAILED, "look at the pods")
