"""Which clusters become members of a fleet, their names and their labels."""

import pytest

from tasks.core.fleets import Discovery, FoundCluster, Wanted, choose_members, render_discovery
from tasks.core.label_selectors import parse_selector

ALL = Wanted("*", parse_selector(""))


def cluster(number: int, name: str, **changes: object) -> FoundCluster:
    fields: dict[str, object] = {
        "id": f"ocid1.cluster.oc1.fra.aaaaaa{number:06d}",
        "name": name,
        "state": "ACTIVE",
        "tenancy": "acme",
        "region": "eu-frankfurt-1",
        "compartment": "platform:mesh",
    }
    return FoundCluster(**{**fields, **changes})  # type: ignore[arg-type]  # the table's values fit


def names(discovery: Discovery) -> dict[str, str]:
    return {member.cluster.id[-6:]: member.name for member in discovery.members}


def test_labels_are_the_tags_and_the_place() -> None:
    found = cluster(
        1, "fra", tags={"env": "prod"}, defined_tags={"Operations": {"CostCenter": 42}}, compartment="acme"
    )

    assert found.labels == {
        "env": "prod",
        "Operations.CostCenter": "42",
        "tenancy": "acme",
        "region": "eu-frankfurt-1",
        "compartment": "acme",
    }


def test_tags_that_are_no_labels_become_labels() -> None:
    found = cluster(1, "fra", tags={"cost center": "Zürich / HQ ", "region": "mine", "é": "x", "k" * 70: "v"})

    assert found.labels == {
        "cost-center": "Z-rich-HQ",
        "k" * 63: "v",
        "tenancy": "acme",
        "region": "eu-frankfurt-1",
        "compartment": "mesh",
    }


@pytest.mark.parametrize(
    ("pattern", "selector", "expected"),
    [
        ("*", "", ["mesh-fra", "mesh-zrh", "other"]),
        ("mesh-*", "", ["mesh-fra", "mesh-zrh"]),
        ("Mesh-*", "", []),
        ("*", "env=prod", ["mesh-fra", "other"]),
        ("mesh-*", "env in (prod),region!=eu-zurich-1", ["mesh-fra"]),
        ("*", "Operations.CostCenter=42", ["mesh-zrh"]),
    ],
)
def test_members_are_chosen_by_name_and_tags(pattern: str, selector: str, expected: list[str]) -> None:
    found = [
        cluster(1, "mesh-fra", tags={"env": "prod"}),
        cluster(2, "mesh-zrh", region="eu-zurich-1", defined_tags={"Operations": {"CostCenter": "42"}}),
        cluster(3, "other", tags={"env": "prod"}),
    ]

    discovery = choose_members(found, Wanted(pattern, parse_selector(selector)), {})

    assert sorted(member.name for member in discovery.members) == expected
    assert discovery.others == 3 - len(expected)


def test_clusters_that_are_not_active_are_set_aside() -> None:
    discovery = choose_members([cluster(1, "a", state="DELETING"), cluster(2, "b")], ALL, {})

    assert names(discovery) == {"000002": "b"}
    assert [each.name for each in discovery.set_aside] == ["a"]


def test_a_cluster_that_is_found_twice_is_one_member() -> None:
    assert names(choose_members([cluster(1, "a"), cluster(1, "a", tenancy="again")], ALL, {})) == {
        "000001": "a"
    }


def test_clusters_of_one_name_are_told_apart_by_region_then_by_ocid() -> None:
    found = [
        cluster(1, "Prod Mesh"),
        cluster(2, "prod-mesh", region="eu-zurich-1"),
        cluster(3, "twin"),
        cluster(4, "twin"),
        cluster(5, "single"),
    ]

    assert names(choose_members(found, ALL, {})) == {
        "000001": "prod-mesh-eu-frankfurt-1",
        "000002": "prod-mesh-eu-zurich-1",
        "000003": "twin-eu-frankfurt-1-000003",
        "000004": "twin-eu-frankfurt-1-000004",
        "000005": "single",
    }


def test_a_cluster_keeps_its_name_and_nobody_else_gets_it() -> None:
    known = {cluster(1, "").id: "prod", "kind-cluster": "stage"}
    found = [
        cluster(1, "prod"),
        cluster(2, "prod", region="eu-zurich-1"),
        cluster(3, "stage"),
    ]

    assert names(choose_members(found, ALL, known)) == {
        "000001": "prod",
        "000002": "prod-eu-zurich-1",
        "000003": "stage-eu-frankfurt-1",
    }


def test_the_artifact_shows_members_those_set_aside_and_what_is_missing() -> None:
    found = [cluster(1, "a", public_endpoint="1.2.3.4:6443"), cluster(2, "b", state="FAILED")]

    text = render_discovery("mesh", choose_members(found, ALL, {}, ["zrh is down"]), "Nothing was saved.")

    assert "# Fleet mesh: 1 cluster" in text
    assert "- zrh is down" in text
    assert "| a | eu-frankfurt-1 | platform:mesh |  | public |" in text
    assert "| b | eu-frankfurt-1 | FAILED |" in text
