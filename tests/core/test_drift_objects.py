"""Objects against their manifests: what is compared, what is not, and how it is called."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.core.drift.health import check_health
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, worst_first
from tasks.core.drift.leftovers import check_leftovers
from tasks.core.drift.objects import compare
from tasks.core.manifests import Manifest, ref_of

DEPLOYMENT: Manifest = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "opm", "namespace": "ns", "labels": {"app": "opm"}},
    "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "opm", "image": "i@sha256:1"}]}}},
}


def crd(schema: dict[str, Any], *more: str) -> Manifest:
    names = ["v1", *more]
    versions = [{"name": name, "served": True, "schema": {"openAPIV3Schema": schema}} for name in names]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "meshes.example.com"},
        "spec": {"versions": versions},
    }


def found(manifest: Manifest, live: Manifest | None) -> list[tuple[str, str]]:
    return [(item.kind.value, item.field) for item in compare(manifest, live)]


def with_spec(**fields: Any) -> Manifest:  # noqa: ANN401 - JSON
    return {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], **fields}}


def containers(*listed: Manifest) -> Manifest:
    return with_spec(template={"spec": {"containers": list(listed)}})


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (DEPLOYMENT, []),
        (None, [("MISSING", "")]),
        (with_spec(replicas=3), [("CHANGED", "/spec/replicas")]),
        (with_spec(replicas=None), [("MISSING", "/spec/replicas")]),
        # Nobody asked for it, so it is somebody else's.
        (with_spec(paused=True), []),
        (
            containers({"name": "sidecar"}, {"name": "opm", "image": "other"}),
            [("CHANGED", "/spec/template/spec/containers/1/image")],
        ),
        (containers({"name": "sidecar"}), [("MISSING", "/spec/template/spec/containers/opm")]),
    ],
)
def test_what_the_manifest_names_is_compared(live: Manifest | None, expected: list[tuple[str, str]]) -> None:
    assert found(DEPLOYMENT, live) == expected


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (crd({"type": "object"}), []),
        (crd({"type": "string"}), [("CHANGED", "/spec/versions/0/schema/openAPIV3Schema/type")]),
        (
            crd({"type": "object", "properties": {"x": {"type": "string"}}}),
            [("UNEXPECTED", "/spec/versions/0/schema/openAPIV3Schema/properties")],
        ),
        (crd({"type": "object"}, "v2"), [("UNEXPECTED", "/spec/versions/1")]),
    ],
)
def test_nothing_may_be_added_to_versions_and_schema_of_a_crd(
    live: Manifest, expected: list[tuple[str, str]]
) -> None:
    assert found(crd({"type": "object"}), live) == expected


def test_values_of_a_secret_are_never_shown() -> None:
    wanted = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "ns"},
        "data": {"x": "YQ=="},
    }

    assert found(wanted, {**wanted, "data": {"x": "Yg=="}}) == []


def test_an_object_that_is_being_deleted_is_critical_whatever_its_status_says() -> None:
    live = {
        **DEPLOYMENT,
        "metadata": {**DEPLOYMENT["metadata"], "deletionTimestamp": "2026-11-25T08:00:00Z"},
    }

    (item,) = check_health([ref_of(live)], {ref_of(live): live})

    assert (item.kind, item.field, item.severity) == (
        DriftKind.UNEXPECTED,
        "/metadata/deletionTimestamp",
        DriftSeverity.CRITICAL,
    )


def test_a_status_that_is_not_there_yet_is_a_warning_and_a_failed_one_is_critical() -> None:
    csv = {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {"name": "x", "namespace": "ns"},
    }
    severities = [
        item.severity
        for phase in ("Installing", "Failed")
        for item in check_health([ref_of(csv)], {ref_of(csv): {**csv, "status": {"phase": phase}}})
    ]

    assert severities == [DriftSeverity.WARNING, DriftSeverity.CRITICAL]


def test_the_worst_comes_first_and_an_item_once() -> None:
    def item(field: str, severity: DriftSeverity) -> DriftItem:
        return DriftItem(kind=DriftKind.CHANGED, ref=ref_of(DEPLOYMENT), field=field, severity=severity)

    note, bad = item("/a", DriftSeverity.NOTE), item("/b", DriftSeverity.CRITICAL)

    assert worst_first([note, bad, note]) == (bad, note)


def test_a_staged_key_alone_is_a_leftover() -> None:

    staging = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "osok-fleet-staging"}}

    (item,) = check_leftovers((), staging, datetime(2026, 11, 25, tzinfo=UTC))

    assert (item.kind, item.ref.name) == (DriftKind.UNEXPECTED, "osok-fleet-staging")
