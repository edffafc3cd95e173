"""Comparing a live object with a manifest looks only at what the manifest names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.comparison import Difference, differences

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_an_object_never_differs_from_itself(manifest: dict[str, Any]) -> None:
    assert differences(manifest, manifest) == ()


def test_fields_that_the_manifest_leaves_out_are_not_compared() -> None:
    desired = {"spec": {"replicas": 1}}
    live = {"spec": {"replicas": 1, "paused": True}, "status": {"replicas": 0}}

    assert differences(desired, live) == ()


def test_a_changed_field_is_named_by_its_json_pointer() -> None:
    desired = {"metadata": {"annotations": {"a/b": "1"}}}
    live = {"metadata": {"annotations": {"a/b": "2"}}}

    assert differences(desired, live) == (Difference("/metadata/annotations/a~1b", "1", "2"),)


def test_list_elements_are_matched_by_name_and_others_may_stand_beside_them() -> None:
    desired = {"containers": [{"name": "opm", "image": "a"}]}
    live = {"containers": [{"name": "proxy", "image": "x"}, {"name": "opm", "image": "a", "tty": False}]}

    assert differences(desired, live) == ()


def test_lists_without_names_are_compared_as_a_whole_when_their_lengths_differ() -> None:
    assert differences({"args": ["a", "b"]}, {"args": ["a"]}) == (Difference("/args", ["a", "b"], ["a"]),)


@pytest.mark.parametrize("unset", [None, {}, []])
def test_an_empty_value_equals_an_absent_field(unset: object) -> None:
    assert differences({"spec": {"selector": unset}}, {"spec": {}}) == ()


def test_null_asks_for_nothing() -> None:
    assert differences({"spec": {"paused": None}}, {"spec": {"paused": True}}) == ()


def test_the_status_of_a_manifest_is_not_asked_for() -> None:
    assert differences({"status": {"conditions": [1]}}, {}) == ()


def test_a_field_named_status_deeper_down_is_compared() -> None:
    desired = {"spec": {"properties": {"status": {"type": "object"}}}}

    assert differences(desired, {"spec": {"properties": {}}}) == (
        Difference("/spec/properties/status", {"type": "object"}, None),
    )
