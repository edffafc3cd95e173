"""Which InstallPlan may be approved, and which objects of others are adopted or refused (R6, R7)."""

from typing import Any

import pytest

from tasks.core.errors import PrerequisiteError
from tasks.core.installation import (
    Installation,
    PlanAction,
    adopt_subscription,
    choose_operator_group,
    decide_plan,
)

CSV = "oci-service-operator.v1.1.9"
OSOK = Installation("osok", "oci-service-operator", "alpha", CSV, "osok-catalog")


def subscription(plan: str = "", installed: str = "", name: str = "oci-service-operator") -> dict[str, Any]:
    reference = {"installPlanRef": {"name": plan}} if plan else {}
    return {
        "metadata": {"name": name, "namespace": "osok"},
        "spec": {"name": "oci-service-operator"},
        "status": {**reference, **({"installedCSV": installed} if installed else {})},
    }


def plan(name: str, phase: str, *csvs: str, approved: bool = False) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "osok"},
        "spec": {"clusterServiceVersionNames": list(csvs), "approved": approved},
        "status": {"phase": phase} if phase else {},
    }


def group(name: str, **spec: object) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "osok"}, "spec": spec}


@pytest.mark.parametrize(
    ("seen", "plans", "action"),
    [
        pytest.param(None, [], PlanAction.WAIT, id="no Subscription yet"),
        pytest.param(
            subscription(), [plan("a", "RequiresApproval", CSV)], PlanAction.WAIT, id="not named yet"
        ),
        pytest.param(subscription("a"), [], PlanAction.WAIT, id="named but not visible"),
        pytest.param(subscription("a"), [plan("a", "", CSV)], PlanAction.WAIT, id="no status yet"),
        pytest.param(subscription("a"), [plan("a", "RequiresApproval", CSV)], PlanAction.APPROVE, id="ready"),
        pytest.param(
            subscription("a"), [plan("a", "Installing", CSV, approved=True)], PlanAction.DONE, id="approved"
        ),
        pytest.param(subscription("a", CSV), [], PlanAction.DONE, id="installed"),
        pytest.param(
            subscription("b"),
            [plan("a", "", CSV, approved=True), plan("b", "RequiresApproval", CSV)],
            PlanAction.APPROVE,
            id="an approved orphan without status beside the named plan",
        ),
    ],
)
def test_only_the_plan_that_the_subscription_names_is_approved_once_its_status_is_written(
    seen: dict[str, Any] | None, plans: list[dict[str, Any]], action: PlanAction
) -> None:
    assert decide_plan(seen, plans, CSV).action is action


@pytest.mark.parametrize("names", [[], ["other.v2"], [CSV, "other.v2"]])
def test_a_plan_that_holds_anything_else_is_refused(names: list[str]) -> None:
    with pytest.raises(PrerequisiteError, match=r"InstallPlan osok/a.*expected exactly oci-service-operator"):
        decide_plan(subscription("a"), [plan("a", "RequiresApproval", *names)], CSV)


def test_without_an_operator_group_one_for_all_namespaces_is_made() -> None:
    created = choose_operator_group([], OSOK)

    assert created is not None
    assert created["spec"] == {}
    assert created["metadata"]["namespace"] == "osok"


def test_an_operator_group_for_all_namespaces_is_adopted() -> None:
    assert choose_operator_group([group("theirs")], OSOK) is None


def test_a_second_operator_group_is_refused_by_name() -> None:
    with pytest.raises(PrerequisiteError, match=r"found one, two"):
        choose_operator_group([group("one"), group("two")], OSOK)


def test_an_operator_group_for_one_namespace_is_refused() -> None:
    with pytest.raises(PrerequisiteError, match=r"OperatorGroup osok/theirs"):
        choose_operator_group([group("theirs", targetNamespaces=["osok"])], OSOK)


def test_a_foreign_subscription_that_installed_the_version_is_adopted() -> None:
    assert adopt_subscription([subscription(installed=CSV, name="by-hand")], OSOK) is None


def test_a_foreign_subscription_with_another_version_is_refused() -> None:
    with pytest.raises(PrerequisiteError, match=r"Subscription osok/by-hand"):
        adopt_subscription([subscription(installed="oci-service-operator.v1.1.8", name="by-hand")], OSOK)


def test_our_subscription_is_manual_and_pinned_to_the_version() -> None:
    written = adopt_subscription([], OSOK)

    assert written is not None
    assert written["spec"]["installPlanApproval"] == "Manual"
    assert written["spec"]["startingCSV"] == CSV
