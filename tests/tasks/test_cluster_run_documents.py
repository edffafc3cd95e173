"""What the flow run of a cluster leaves comes back as it was: written as JSON, read on another machine."""

from datetime import UTC, datetime, timedelta

from tasks.core.drift.memory import ClusterMemory, Remembered
from tasks.core.drift.repairs import RepairEntry, RepairVerdict
from tasks.core.manifests import ObjectRef
from tasks.core.olm_health import HealthState, ObjectHealth, OlmHealth
from tasks.core.reports import InstallReport, StepResult, StepState
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.core.verification import Check, Finding, FindingState
from tasks.documents import fenced, read_document
from tasks.drift.looking import LookDocument
from tasks.drift.verifying import Verified
from tasks.rollout.delegating import InstallationDocument
from tests.support.fleet_results import item, verified

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


def test_a_look_with_everything_that_follows_from_it() -> None:
    found = item()
    remembered = Remembered(since=NOW, severity=found.severity, summary=found.summary)
    look = LookDocument(
        verified=Verified(
            result=verified("fra-1", found),
            memory=ClusterMemory(items={found.key: remembered}),
            news=(found,),
            resolved=(("gone", remembered),),
            repairable=frozenset({found.key}),
            repaired=(RepairEntry(item=found, verdict=RepairVerdict.REPAIRED),),
        )
    )

    assert read_document(LookDocument, fenced(look)) == look


def test_an_installation_with_every_part_of_its_report() -> None:
    role = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "olm")
    step = StepResult(
        "OLM_CRDS", "OLM", ("R2",), StepState.CHANGED, timedelta(milliseconds=1250), ("CREATED x",), "done"
    )
    report = InstallReport(
        cluster="fra-1",
        versions={"Kubernetes": "v1.36.3", "OLM": "0.46.0"},
        steps=(step,),
        findings=(
            Finding(Check.CRD, "R8", role, FindingState.PASS),
            Finding(Check.CRD, "R8", "in words", FindingState.FAIL, "this", "that", "do"),
        ),
        olm_health=OlmHealth((ObjectHealth(role, HealthState.HEALTHY),)),
        notice="retired",
        next_step="look",
    )
    document = InstallationDocument(
        report=report, progress=ClusterProgress(ClusterState.FAILED, NOW, "not every check passed")
    )

    assert read_document(InstallationDocument, fenced(document)) == document


def test_a_document_of_another_kind_is_none() -> None:
    look = LookDocument(verified=Verified(verified("fra-1"), ClusterMemory()))

    assert read_document(InstallationDocument, fenced(look)) is None
