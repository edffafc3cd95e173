"""What becomes of each item: policy, units, waits after a repair, contested drift, what was agreed to."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, FieldOwner
from tasks.core.drift.memory import ClusterMemory, Remembered
from tasks.core.drift.proposals import leave_to_others, propose
from tasks.core.drift.repair_choice import ContestedPolicy, RepairChoice, RepairPolicy
from tasks.core.drift.repair_reports import form_text, repair_page
from tasks.core.drift.repair_steps import RepairSteps
from tasks.core.drift.repairs import (
    ClusterRepair,
    RepairEntry,
    RepairVerdict,
    Situation,
    by_step,
    choose,
    plan_repairs,
    repairable_items,
)
from tasks.core.manifests import ObjectRef
from tests.support.expectations import CSV_NAME, NAMESPACE, OLM_VERSION, expectation

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
STEPS = RepairSteps(expectation(), OLM_VERSION, CSV_NAME)
ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
SECRET = ObjectRef("v1", "Secret", "oci-service-operator-controller-manager-service-cert", NAMESPACE)
WEBHOOK = ObjectRef(
    "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "mesh-validator-abcde"
)
PLACE = ObjectRef("v1", "Namespace", NAMESPACE)
MALLORY = FieldOwner(manager="mallory", operation="Update", at=NOW)
REPAIR = RepairChoice(
    missing=RepairPolicy.REPAIR, changed=RepairPolicy.REPAIR, unexpected=RepairPolicy.REPAIR
)


def item(
    field: str = "/rules/0/verbs",
    kind: DriftKind = DriftKind.CHANGED,
    ref: ObjectRef = ROLE,
    returns: int = 0,
    severity: DriftSeverity = DriftSeverity.WARNING,
) -> DriftItem:
    owner = MALLORY if kind is not DriftKind.MISSING else None
    return DriftItem(
        kind=kind,
        ref=ref,
        field=field,
        expected="a",
        found="b",
        owner=owner,
        returns=returns,
        severity=severity,
    )


def planned(
    *items: DriftItem,
    choice: RepairChoice = REPAIR,
    memory: ClusterMemory = ClusterMemory(),  # noqa: B008 - a frozen model
    ignored: tuple[DriftItem, ...] = (),
) -> tuple[RepairEntry, ...]:
    return plan_repairs(STEPS, Situation(items, ignored, memory, NOW), choice)


def verdicts(entries: tuple[RepairEntry, ...]) -> list[str]:
    return [entry.verdict.value for entry in entries]


def remembered(one: DriftItem, **known: object) -> ClusterMemory:
    facts = {"since": NOW, "severity": one.severity, "summary": one.summary, **known}
    return ClusterMemory(items={one.key: Remembered.model_validate(facts)})


def test_by_default_everything_is_only_reported() -> None:
    assert RepairChoice().changes_nothing
    assert verdicts(planned(item(), choice=RepairChoice())) == ["REPORTED"]


@pytest.mark.parametrize("kind", list(DriftKind))
def test_each_kind_has_its_own_policy(kind: DriftKind) -> None:
    choice = RepairChoice.model_validate({kind.value.lower(): "PROPOSE"})
    one = item(kind=kind)

    assert choice.policy_for(one) is RepairPolicy.PROPOSE
    assert RepairChoice().policy_for(one) is RepairPolicy.REPORT
    assert not choice.changes_nothing


def test_contested_drift_cannot_be_repaired_without_a_question() -> None:
    with pytest.raises(ValueError, match=r"REPORT.*PROPOSE"):
        RepairChoice.model_validate({"contested": "REPAIR"})


@pytest.mark.parametrize(
    ("policy", "verdict"), [(ContestedPolicy.REPORT, "REPORTED"), (ContestedPolicy.PROPOSE, "PROPOSED")]
)
def test_contested_drift_names_its_writer(policy: ContestedPolicy, verdict: str) -> None:
    choice = REPAIR.model_copy(update={"contested": policy})

    (entry,) = planned(item(kind=DriftKind.CONTESTED, returns=3), choice=choice)

    assert entry.verdict.value == verdict
    assert entry.reason == "mallory wrote it again 3 times: settle it with whoever runs mallory"


def test_what_is_removed_again_and_again_is_treated_like_contested_drift() -> None:
    (entry,) = planned(item("/metadata/labels/x", DriftKind.MISSING, returns=3))

    assert entry.verdict is RepairVerdict.REPORTED
    assert "nobody can be named" in entry.reason


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        # One object is written at once.
        ((item(), item("/metadata/labels/x", DriftKind.MISSING)), ["DUE", "DUE"]),
        (
            (item(), item(kind=DriftKind.CONTESTED, field="/metadata/labels/x", returns=3)),
            ["BLOCKED", "REPORTED"],
        ),
        # Another object is not held up.
        ((item(), item("/metadata/labels/x", DriftKind.CONTESTED, PLACE, returns=3)), ["DUE", "REPORTED"]),
        # The Secret and every caBundle are written together.
        (
            (
                item("/data/olmCAKey", ref=SECRET),
                item("/webhooks/0/clientConfig/caBundle", DriftKind.CONTESTED, WEBHOOK, returns=3),
            ),
            ["BLOCKED", "REPORTED"],
        ),
        # OLM looks at the certificate when it installs, and may throw it away.
        (
            (item("/data/tls.key", ref=SECRET), item("/webhooks/0/rules", ref=WEBHOOK)),
            ["IMPOSSIBLE", "BLOCKED"],
        ),
        ((item("/data/olmCAKey", ref=SECRET), item("/webhooks/0/rules", ref=WEBHOOK)), ["DUE", "DUE"]),
        (
            (
                item("/data/tls.crt", DriftKind.EXPIRING, SECRET),
                item("/webhooks/0/rules", ref=WEBHOOK),
            ),
            ["IMPOSSIBLE", "DUE"],
        ),
    ],
)
def test_a_unit_is_written_only_when_all_of_it_may_be(
    items: tuple[DriftItem, ...], expected: list[str]
) -> None:
    assert verdicts(planned(*items)) == expected


def test_one_question_about_a_unit_is_a_question_about_all_of_it() -> None:
    choice = REPAIR.model_copy(update={"missing": RepairPolicy.PROPOSE})

    entries = planned(item(), item("/metadata/labels/x", DriftKind.MISSING), choice=choice)

    assert verdicts(entries) == ["PROPOSED", "PROPOSED"]


def test_an_object_with_an_ignored_field_is_not_written() -> None:
    (entry,) = planned(item(), ignored=(item("/metadata/labels/x"),))

    assert entry.verdict is RepairVerdict.BLOCKED
    assert entry.reason.endswith("/metadata/labels/x, which a rule ignores")


def test_what_came_back_during_its_wait_is_left_until_the_wait_is_over() -> None:
    memory = remembered(item(), repairs=2, waits_until=NOW + HOUR)

    (entry,) = planned(item(), memory=memory)

    assert entry.verdict is RepairVerdict.WAITING
    assert entry.reason == "repaired 2 times already; not again before 2026-11-25 09:00 UTC"
    assert verdicts(planned(item(), memory=remembered(item(), repairs=2, waits_until=NOW))) == ["DUE"]


def test_a_repair_is_worth_starting_for_what_a_step_puts_right_now() -> None:
    waiting = item("/metadata/labels/waits")
    items = (
        item(),
        item("/status/phase"),
        item("/metadata/labels/x", DriftKind.CONTESTED),
        item("/metadata/labels/y", DriftKind.MISSING, returns=3),
        waiting,
    )
    memory = remembered(waiting, waits_until=NOW + HOUR)

    assert repairable_items(STEPS, items, memory, NOW) == {item().key}


def proposal_for(*entries: RepairEntry) -> frozenset[tuple[str, str, str]]:
    return propose({"fra-1": entries}, 1).identities("fra-1")


ASKING = REPAIR.model_copy(update={"changed": RepairPolicy.PROPOSE})


def test_what_was_shown_is_due_after_the_agreement() -> None:
    entries = planned(item(), choice=ASKING)

    assert verdicts(choose(entries, proposal_for(*entries))) == ["DUE"]


def test_what_is_new_is_told_and_holds_up_the_object_that_it_is_about() -> None:
    shown = planned(item(), item("/metadata/labels/x", ref=PLACE), choice=ASKING)
    now = planned(item(), item("/metadata/labels/new"), item("/metadata/labels/x", ref=PLACE), choice=ASKING)

    chosen = choose(now, proposal_for(*shown))

    assert verdicts(chosen) == ["BLOCKED", "NEW", "DUE"]
    assert chosen[0].reason.endswith("/metadata/labels/new, which nobody was shown")


def test_another_value_to_write_than_was_shown_is_new() -> None:
    shown = planned(item(), choice=ASKING)
    now = planned(item().model_copy(update={"expected": "c"}), choice=ASKING)

    assert verdicts(choose(now, proposal_for(*shown))) == ["NEW"]


def test_another_found_value_is_still_what_was_agreed_to() -> None:
    shown = planned(item(), choice=ASKING)
    now = planned(item().model_copy(update={"found": "c"}), choice=ASKING)

    assert verdicts(choose(now, proposal_for(*shown))) == ["DUE"]


def test_the_digest_is_that_of_what_is_proposed() -> None:
    entries = planned(item(), choice=ASKING)
    other = planned(item().model_copy(update={"expected": "c"}), choice=ASKING)

    assert propose({"fra-1": entries}, 1).digest == propose({"fra-1": entries}, 1).digest
    assert len({propose({name: listed}, 1).digest for name in ("a", "b") for listed in (entries, other)}) == 4


def test_what_another_run_asks_about_already_is_not_proposed_again() -> None:
    entries = planned(item(), choice=ASKING)

    (entry,) = leave_to_others("fra-1", entries, {"verify-fleet/all (42)": propose({"fra-1": entries}, 1)})

    assert (entry.verdict, entry.reason) == (
        "ASKED",
        "answer in flow run verify-fleet/all (42), which waits",
    )
    assert propose({"fra-1": [entry]}, 1).repairs == ()


@pytest.mark.parametrize(
    ("cluster", "shown"),
    [("fra-1", [item()]), ("fra-2", [item(), item("/metadata/labels/a")])],
    ids=["less-was-shown", "it-was-about-another-cluster"],
)
def test_a_cluster_is_proposed_as_a_whole_when_nobody_asks_about_all_of_it(
    cluster: str, shown: list[DriftItem]
) -> None:
    entries = planned(item(), item("/metadata/labels/a"), choice=ASKING)
    waiting = {"other": propose({cluster: planned(*shown, choice=ASKING)}, 1)}

    assert verdicts(leave_to_others("fra-1", entries, waiting)) == ["PROPOSED", "PROPOSED"]


def test_steps_run_in_the_order_of_an_installation() -> None:
    entries = planned(
        item("/webhooks/0/rules", ref=WEBHOOK), item("/data/olmCAKey", ref=SECRET), item(ref=PLACE), item()
    )

    assert [step.name for step in by_step(entries)] == [
        "OLM_OBJECTS",
        "NAMESPACE",
        "CERTIFICATE_REPAIR",
        "REINSTALL",
    ]


def test_the_plan_shows_owner_step_and_reason_of_every_item() -> None:
    entries = planned(item(), item("/status/phase"), choice=ASKING)

    page = repair_page({"fra-1": ClusterRepair(entries=entries)}, "# May 1 item be repaired?")

    assert "**1 IMPOSSIBLE, 1 PROPOSED**" in page
    assert "| CHANGED ClusterRole aggregate-olm-view | /rules/0/verbs | a | b | mallory | OLM: " in page
    assert "| PROPOSED |" in page
    assert "a status is not written" in page


def test_the_form_stays_short_and_names_the_digest() -> None:
    entries = planned(*(item(f"/metadata/labels/{number}") for number in range(12)), choice=ASKING)
    proposal = propose({"fra-1": entries}, 1)

    text = form_text(proposal)

    assert "Repair **12 items** on 1 cluster?" in text
    assert "… and 2 more" in text
    assert proposal.digest in text
