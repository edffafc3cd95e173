"""Operators of other namespaces that provide the same kinds, or the very same operator (R4, R7)."""

import pytest

from tasks.core.errors import PrerequisiteError
from tasks.core.installation import Installation, refuse_copied_csv, refuse_other_provider
from tasks.core.manifests import Manifest

TEA = Installation("kitchen", "tea", "stable", "tea.v1.2.3", "tea-catalog")


def csv(namespace: str, name: str = "tea.v1.2.3", *kinds: str, copied_from: str = "") -> Manifest:
    labels = {"olm.copiedFrom": copied_from} if copied_from else {"olm.managed": "true"}
    owned = [{"name": kind, "kind": "Any", "version": "v1"} for kind in kinds]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"customresourcedefinitions": {"owned": owned}},
    }


def test_an_operator_of_another_namespace_that_provides_the_same_kinds_is_named() -> None:
    """R4: OLM would fail ours with InterOperatorGroupOwnerConflict."""
    ours = csv("", "tea.v1.2.3", "cups.tea", "pots.tea")
    theirs = csv("cellar", "barista.v9.0.0", "cups.tea", "pots.tea", "beans.coffee")

    with pytest.raises(PrerequisiteError) as caught:
        refuse_other_provider([theirs], ours, "kitchen")

    assert caught.value.expected == "no other provider of cups.tea and 1 more"
    assert caught.value.found == "ClusterServiceVersion cellar/barista.v9.0.0"
    assert "operator.namespace cellar" in caught.value.next_step


@pytest.mark.parametrize(
    "other",
    [
        csv("cellar", "barista.v9.0.0", "beans.coffee"),
        csv("cellar", "barista.v9.0.0"),
        {"metadata": {"name": "without-spec", "namespace": "cellar"}},
        csv("kitchen", "tea.v1.2.3", "pots.tea"),
    ],
    ids=["other kinds", "no kinds", "no spec", "our own installation"],
)
def test_operators_that_share_no_kind_and_our_own_are_no_obstacle(other: Manifest) -> None:
    refuse_other_provider([other], csv("", "tea.v1.2.3", "pots.tea"), "kitchen")


def test_the_copy_of_an_operator_that_runs_elsewhere_is_not_ours() -> None:
    """R7: a copy has phase Succeeded although nothing runs beside it."""
    with pytest.raises(PrerequisiteError, match=r"a copy of ClusterServiceVersion cellar/tea\.v1\.2\.3"):
        refuse_copied_csv([csv("kitchen", copied_from="cellar")], TEA)


@pytest.mark.parametrize(
    "other", [csv("kitchen"), csv("kitchen", "barista.v9.0.0", copied_from="cellar")], ids=["ours", "another"]
)
def test_our_own_and_copies_of_other_operators_are_no_obstacle(other: Manifest) -> None:
    refuse_copied_csv([other], TEA)
