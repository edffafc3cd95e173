"""What a diagnosis says: the runbook's questions first, then findings, repairs and next steps (R22)."""

import json
from dataclasses import replace

import pytest

from tasks.certificates.diagnoses import (
    NEXT_STEPS,
    ClusterDiagnosis,
    RepairOutcome,
    Verdict,
    findings_of,
    first_problem,
    fleet_table,
)
from tasks.certificates.observing import ObservedCertificate
from tasks.core.certificates.findings import CertificateCase, Repair, Severity
from tests.core.certificates.test_diagnosis import CA, CASES, OTHER_CA

SOUND = ObservedCertificate(CASES["all well, request issued"][0], "0.46.0", {}, ("the endpoints: forbidden",))


def diagnosis_of(label: str) -> ClusterDiagnosis:
    observed = ObservedCertificate(CASES[label][0], "0.46.0", {})
    return ClusterDiagnosis("fra-1", observed, findings_of(observed))


@pytest.mark.parametrize(
    ("label", "verdict"),
    [
        ("all well", Verdict.SOUND),
        ("request waits", Verdict.SOUND),
        ("label lost", Verdict.WILL_BREAK),
        ("expired leaf", Verdict.BROKEN),
    ],
)
def test_the_verdict_is_the_worst_finding(label: str, verdict: Verdict) -> None:
    assert diagnosis_of(label).verdict is verdict


def test_a_cluster_that_was_not_looked_at_is_unanswered() -> None:
    silent = ClusterDiagnosis("fra-1", error="Could not read the version: expected an answer.")

    assert silent.verdict is Verdict.UNANSWERED
    assert silent.to_markdown() == "# fra-1: UNANSWERED\n\nCould not read the version: expected an answer.\n"
    assert silent.to_data()["answers"] == []


def test_the_runbooks_questions_come_first() -> None:
    text = diagnosis_of("page (c): another key").to_markdown()

    places = [text.index(part) for part in ("(R22)", "## Findings", "## Next steps", "## What was looked at")]
    assert places == sorted(places)


def test_a_sound_cluster_says_so_and_what_was_not_seen() -> None:
    text = ClusterDiagnosis("fra-1", SOUND).to_markdown()

    assert "## Findings\n\nNothing is wrong.\n" in text
    assert "## Next steps" not in text
    assert "| Not looked at | the endpoints: forbidden |" in text
    assert "| OLM 0.46.0 | KEEP: issued for all names by the first CA of olmCAKey: kept until " in text


def test_what_olm_does_not_see_is_told() -> None:
    seen = ObservedCertificate(CASES["issuing CA second, OLM 0.20.0"][0], "0.20.0", {})

    assert "DATES_NOT_CHECKED" in ClusterDiagnosis("fra-1", seen).to_markdown()


def test_what_a_repair_did_and_did_not_is_told() -> None:
    before = diagnosis_of("one caBundle changed").findings
    repair = RepairOutcome(before, ("UPDATED x: caBundle",), ("y is of another type",))

    text = replace(diagnosis_of("all well"), repair=repair).to_markdown()

    assert "## Repaired\n\n- UPDATED x: caBundle\n" in text
    assert "### Left as it is\n\n- y is of another type\n" in text
    assert text.index("CA_BUNDLE_STALE") > text.index("## What was wrong before")


def test_a_repair_that_wrote_nothing_says_so() -> None:
    text = replace(diagnosis_of("all well"), repair=RepairOutcome()).to_markdown()

    assert "## Repaired\n\nNothing was written.\n" in text


def test_next_steps_come_once_and_the_worst_first() -> None:
    assert diagnosis_of("Secret overwritten by OLM, caBundles not").next_steps == (
        NEXT_STEPS[Repair.ISSUE_NEW_CERTIFICATE],
        "Run diagnose-certificate with mode REPAIR_SAFE.",
    )


def test_every_repair_that_needs_a_person_has_its_next_step() -> None:
    assert {repair for repair in Repair if not repair.safe} == set(NEXT_STEPS)


def test_json_has_everything_with_stable_keys() -> None:
    data = json.loads(diagnosis_of("one caBundle changed").to_json())

    assert sorted(data) == [
        "answers",
        "cluster",
        "error",
        "findings",
        "next_steps",
        "repair",
        "unseen",
        "verdict",
    ]
    assert data["repair"] == {"before": [], "changed": [], "left": []}
    assert [answer["letter"] for answer in data["answers"]] == ["a", "b", "c", "d"]
    assert data["findings"][0]["case"] == "CA_BUNDLE_STALE"


def test_text_of_the_cluster_formats_nothing() -> None:
    named = replace(diagnosis_of("all well"), cluster="a|b", error="<script>")

    assert named.to_markdown().startswith("# a\\|b: SOUND\n\n&lt;script&gt;\n")


def test_the_fleet_has_a_line_for_each_cluster() -> None:
    notes = diagnosis_of("request waits")
    broken = replace(diagnosis_of("no key"), repair=RepairOutcome(changed=("UPDATED x",)))

    lines = fleet_table([notes, broken]).splitlines()

    assert lines[2] == "| fra-1 | SOUND | 1 |  |  |"
    assert lines[3].startswith("| fra-1 | BROKEN | 1 | KEY_UNREADABLE Secret ")
    assert lines[3].endswith(" | 1 |")


def test_the_first_problem_of_a_silent_cluster_is_its_error() -> None:
    assert first_problem(ClusterDiagnosis("fra-1", error="no answer")) == "no answer"


def without_request(label: str) -> ObservedCertificate:
    """As it is when the cluster has forgotten the issued request."""
    return ObservedCertificate(replace(CASES[label][0], issued=b""), "0.46.0", {})


def test_with_the_ca_named_olms_certificate_is_known_for_what_it_is() -> None:
    findings = findings_of(without_request("Secret overwritten by OLM"), (CA,))

    assert [(one.case, one.severity) for one in findings] == [
        (CertificateCase.SECRET_OVERWRITTEN, Severity.WILL_BREAK)
    ]
    assert findings[0].repair is Repair.ISSUE_NEW_CERTIFICATE


def test_with_the_ca_named_a_certificate_of_another_ca_is_wrong() -> None:
    findings = findings_of(without_request("all well"), (OTHER_CA,))

    assert [one.case for one in findings] == [CertificateCase.WRONG_CERTIFICATE]
    assert findings[0].expected == "a certificate by `CN=Other`"


def test_with_the_ca_named_its_own_certificate_is_right() -> None:
    assert findings_of(without_request("all well"), (CA,)) == ()


def test_without_the_ca_a_certificate_of_olm_is_no_fault() -> None:
    assert findings_of(without_request("Secret overwritten by OLM")) == ()
