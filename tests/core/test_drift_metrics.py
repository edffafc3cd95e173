"""Metrics of a verification: names, units, texts, values, and how many series a cluster can have."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.items import DriftKind, DriftSeverity
from tasks.core.drift.metrics import METRIC_NAMES, MOST_SERIES, registry_of
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tests.support.fleet_results import NOW, five_hundred, fleet, item, unreachable, verified

RULES = Path(__file__).parents[2] / "deployments" / "prometheus" / "osok-fleet.rules.yaml"
FLEET = fleet(
    verified("fra-1", item(DriftSeverity.CRITICAL, DriftKind.MISSING), item(), item(field="/spec/a")),
    unreachable("iad-1"),
)


def families(of: FleetVerification) -> dict[str, Metric]:
    """What Prometheus reads from it."""
    text = generate_latest(registry_of("prod", of)).decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def series(of: FleetVerification, name: str) -> dict[tuple[str, ...], float]:
    """The values of one metric by its labels without `fleet`, sorted by the names of these."""
    found = families(of)[name].samples
    assert {sample.labels["fleet"] for sample in found} <= {"prod"}
    return {
        tuple(value for label, value in sample.labels.items() if label != "fleet"): sample.value
        for sample in found
    }


def test_the_state_of_a_cluster_is_one_and_every_other_state_zero() -> None:
    one_state = {key: value for key, value in series(FLEET, "osok_cluster_state").items() if value}

    assert one_state == {("fra-1", "DRIFTED"): 1.0, ("iad-1", "UNREACHABLE"): 1.0}
    assert len(series(FLEET, "osok_cluster_state")) == 8


def test_drift_is_counted_by_kind_and_severity() -> None:
    counted = {key: value for key, value in series(FLEET, "osok_drift_items").items() if value}

    assert counted == {("fra-1", "MISSING", "CRITICAL"): 1.0, ("fra-1", "CHANGED", "WARNING"): 2.0}


def test_zero_says_that_it_was_looked_for_and_nothing_that_nobody_could_look() -> None:
    clusters = [cluster for cluster, *_ in series(FLEET, "osok_drift_items")]

    assert clusters == ["fra-1"] * 18


def test_dates_are_unix_time() -> None:
    ends = series(FLEET, "osok_certificate_not_after_seconds")

    assert ends == {("fra-1", "leaf"): 1803859200.0, ("fra-1", "issuer"): 1867017600.0}
    assert series(FLEET, "osok_first_failure_timestamp_seconds") == {("fra-1",): 1803859200.0}


def test_of_several_authorities_the_one_that_ends_first_counts() -> None:
    ends = tuple(
        CalendarEntry(at=NOW + timedelta(days=days), kind=EndKind.TRUSTED_CA_EXPIRES, subject=f"CA {days}")
        for days in (40, 20, 30)
    )
    found = series(
        fleet(verified("a").model_copy(update={"calendar": ends})), "osok_certificate_not_after_seconds"
    )

    assert found == {("a", "trusted_ca"): (NOW + timedelta(days=20)).timestamp()}


def test_a_cluster_out_of_reach_keeps_the_time_of_its_last_verification() -> None:
    assert series(FLEET, "osok_last_verified_timestamp_seconds") == {
        ("fra-1",): 1795593600.0,
        ("iad-1",): 1795507200.0,
    }


def test_what_a_verification_cost_is_told_of_those_that_took_place() -> None:
    assert series(FLEET, "osok_verification_reads") == {("fra-1",): 18.0}
    assert series(FLEET, "osok_verification_duration_seconds") == {("fra-1",): 1.25}
    assert series(FLEET, "osok_verification_run_timestamp_seconds") == {(): 1795593600.0}


def test_versions_are_labels_of_one_series() -> None:
    assert series(FLEET, "osok_component_info") == {
        ("fra-1", "v1.36.3", "0.46.0", "oci-service-operator.v1.1.9"): 1.0
    }


def test_what_a_cluster_says_is_a_label_value_and_nothing_else() -> None:
    hostile = verified("fra-1").model_copy(update={"kubernetes": 'v1"} 1\nosok_forged{a="b'})

    found = families(fleet(hostile))

    assert "osok_forged" not in found
    assert [one.labels["kubernetes"] for one in found["osok_component_info"].samples] == [
        'v1"} 1\nosok_forged{a="b'
    ]


def test_a_cluster_never_has_more_series_than_the_bound() -> None:
    ends = tuple(CalendarEntry(at=NOW, kind=kind, subject=str(n)) for kind in EndKind for n in range(40))
    items = tuple(
        item(severity, kind, f"/{number}")
        for severity in DriftSeverity
        for kind in DriftKind
        for number in range(40)
    )
    full = verified("a", *items).model_copy(update={"calendar": ends})

    found = [
        sample
        for family in families(fleet(full)).values()
        for sample in family.samples
        if "cluster" in sample.labels
    ]

    assert len(found) == MOST_SERIES == 35


def test_a_cluster_that_was_never_seen_has_its_state_alone() -> None:
    new = ClusterVerification(cluster="new", state=VerificationState.UNREACHABLE, error="no answer")

    with_series = {name for name, family in families(fleet(new)).items() if family.samples}

    assert with_series == {"osok_cluster_state", "osok_verification_run_timestamp_seconds"}


def test_five_hundred_clusters_stay_below_two_megabytes() -> None:
    assert 100_000 < len(generate_latest(registry_of("prod", five_hundred()))) < 2_000_000


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_names_follow_the_rules_of_promtool_for_gauges(name: str) -> None:
    """As promlint of client_golang: help, base units, no type in the name, no suffix of another type."""
    family = families(FLEET)[name]

    assert family.type == "gauge"
    assert family.documentation.endswith(".")
    assert re.fullmatch(r"osok(_[a-z]+)+", name)
    assert not re.search(r"_(total|sum|count|bucket|gauge|counter|metric)$", name)
    assert not re.search(r"_(milli|micro|nano|minutes|hours|days|percent|kilo|mega)", name)


def rules() -> list[dict[str, Any]]:
    """The example alerts."""
    groups: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_the_example_alerts_use_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    everything = fleet(
        verified("a", item()).model_copy(
            update={"calendar": tuple(CalendarEntry(at=NOW, kind=kind, subject="x") for kind in EndKind)}
        )
    )
    known = {
        label: {sample.labels[label] for sample in family.samples}
        for family in families(everything).values()
        for label in family.samples[0].labels
    }
    matched = re.findall(r"(\w+)(=~|!=|=)\"([^\"]*)\"", rule["expr"])

    used = set(re.findall(r"\bosok_\w+", rule["expr"]))
    assert used
    assert used <= set(METRIC_NAMES)
    assert {label for label, _, _ in matched} <= set(known)
    assert {
        value for label, _, texts in matched for value in texts.split("|") if value not in known[label]
    } == set()
    assert {"summary", "action"} <= set(rule["annotations"])
