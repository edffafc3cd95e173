"""Ignore rules: by object and pointer, with a reason, until a date."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.core.drift.ignoring import IgnoreRule, ignore
from tasks.core.drift.items import DriftItem, DriftKind
from tasks.core.manifests import ObjectRef

ITEM = DriftItem(
    kind=DriftKind.CHANGED,
    ref=ObjectRef("apps/v1", "Deployment", "olm-operator", "olm"),
    field="/spec/template/spec/containers/0/image",
)
TODAY = date(2026, 11, 25)


def rule(**fields: Any) -> IgnoreRule:  # noqa: ANN401 - any field
    return IgnoreRule.model_validate(
        {"object": "Deployment olm/olm-operator", "reason": "CHG-1", "until": TODAY, **fields}
    )


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"pointer": "/spec"},
        {"pointer": "/spec/template/spec/containers/*/image"},
        {"object": "Deployment olm/*"},
        {"cluster": "edge-*"},
        {"until": date(2027, 1, 1)},
    ],
)
def test_a_rule_covers_its_objects_fields_and_all_below_until_its_last_day(fields: dict[str, Any]) -> None:
    assert rule(**fields).covers("edge-1", ITEM, TODAY)


@pytest.mark.parametrize(
    "fields",
    [
        {"pointer": "/spec/replicas"},
        {"pointer": "/spec/temp"},
        {"pointer": "/spec/template/spec/containers/0/image/more"},
        {"object": "Deployment olm/catalog-operator"},
        {"cluster": "core-*"},
        {"until": date(2026, 11, 24)},
    ],
)
def test_a_rule_covers_nothing_else(fields: dict[str, Any]) -> None:
    assert not rule(**fields).covers("edge-1", ITEM, TODAY)


def test_what_is_ignored_is_kept_with_its_rule() -> None:
    reported, ignored = ignore("edge-1", [ITEM], [rule()], TODAY)

    assert reported == ()
    assert [(each.item, each.rule.reason) for each in ignored] == [(ITEM, "CHG-1")]


@pytest.mark.parametrize("fields", [{"reason": ""}, {"until": None}, {"pointer": "spec"}])
def test_a_rule_needs_a_reason_a_last_day_and_a_pointer_that_is_one(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        rule(**fields)
