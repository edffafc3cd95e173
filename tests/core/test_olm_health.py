"""The table of an OLM installation with real health instead of "the GET returned 200" (R3)."""

from typing import Any

import pytest

from tasks.core.conditions import ConditionStatus, condition_of
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.olm_health import (
    OLM_MADE_OBJECTS,
    HealthState,
    OlmHealth,
    installed_olm_version,
    object_health,
    release_health,
)

HEALTHY, PROGRESSING = HealthState.HEALTHY, HealthState.PROGRESSING
UNHEALTHY, MISSING = HealthState.UNHEALTHY, HealthState.MISSING


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def live(kind: str, status: dict[str, Any] | None = None, **metadata: Any) -> Manifest:  # noqa: ANN401 - JSON
    return {
        "apiVersion": "example/v1",
        "kind": kind,
        "metadata": {"name": "x", **metadata},
        "spec": {},
        "status": status or {},
    }


def health(manifest: Manifest) -> tuple[HealthState, str]:
    row = object_health(ObjectRef("example/v1", manifest["kind"], "x"), manifest)
    return row.state, row.detail


def crd(*conditions: dict[str, str]) -> Manifest:
    return live("CustomResourceDefinition", {"conditions": list(conditions)})


@pytest.mark.parametrize(
    ("manifest", "state", "detail"),
    [
        (crd(condition("NamesAccepted", "True"), condition("Established", "True")), HEALTHY, "Established"),
        (
            crd(condition("NamesAccepted", "True"), condition("Established", "False", "Installing", "wait")),
            PROGRESSING,
            "Installing: wait",
        ),
        (crd(), PROGRESSING, "not Established yet"),
        (
            crd(
                condition("NamesAccepted", "False", "ListKindConflict", '"OperatorList" is already in use'),
                condition("Established", "False", "NotAccepted"),
            ),
            UNHEALTHY,
            'ListKindConflict: "OperatorList" is already in use',
        ),
    ],
)
def test_a_crd_is_healthy_when_established(manifest: Manifest, state: HealthState, detail: str) -> None:
    """R3."""
    assert health(manifest) == (state, detail)


def deployment(*conditions: dict[str, str], wanted: int = 2, **status: int) -> Manifest:
    manifest = live("Deployment", {"conditions": list(conditions), **status}, generation=3)
    return {**manifest, "spec": {"replicas": wanted}}


COMPLETE = condition("Progressing", "True", "NewReplicaSetAvailable")
ALL_UP = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("manifest", "state", "detail"),
    [
        (deployment(COMPLETE, **ALL_UP), HEALTHY, "2 of 2 replicas available"),
        (deployment(wanted=0, observedGeneration=3), HEALTHY, "0 of 0 replicas available"),
        (
            deployment(COMPLETE, **{**ALL_UP, "observedGeneration": 2}),
            PROGRESSING,
            "the controller has not seen the last change yet",
        ),
        (deployment(**{**ALL_UP, "updatedReplicas": 1}), PROGRESSING, "2 of 2 replicas available"),
        (deployment(**{**ALL_UP, "replicas": 3}), PROGRESSING, "2 of 2 replicas available"),
        (deployment(**{**ALL_UP, "availableReplicas": 0}), PROGRESSING, "0 of 2 replicas available"),
        (
            deployment(
                condition("Progressing", "False", "ProgressDeadlineExceeded", "has timed out progressing"),
                observedGeneration=3,
            ),
            UNHEALTHY,
            "ProgressDeadlineExceeded: has timed out progressing",
        ),
        (
            deployment(
                condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota"), observedGeneration=3
            ),
            UNHEALTHY,
            "FailedCreate: exceeded quota",
        ),
        (
            deployment(
                COMPLETE,
                condition("Available", "False", "MinimumReplicasUnavailable"),
                **{**ALL_UP, "availableReplicas": 1},
            ),
            UNHEALTHY,
            "1 of 2 replicas available, although the rollout was complete once",
        ),
    ],
)
def test_a_deployment_is_healthy_when_rolled_out(manifest: Manifest, state: HealthState, detail: str) -> None:
    """R3."""
    assert health(manifest) == (state, detail)


def test_a_deployment_without_a_replica_count_has_one() -> None:
    manifest = {**deployment(COMPLETE, **{**ALL_UP, "replicas": 1}), "spec": {}}
    manifest["status"].update(updatedReplicas=1, availableReplicas=1)
    assert health(manifest) == (HEALTHY, "1 of 1 replicas available")


@pytest.mark.parametrize(
    ("manifest", "state", "detail"),
    [
        (
            live("ClusterServiceVersion", {"phase": "Succeeded", "reason": "InstallSucceeded"}),
            HEALTHY,
            "Succeeded",
        ),
        (
            live(
                "ClusterServiceVersion",
                {"phase": "Failed", "reason": "InstallCheckFailed", "message": "install timeout"},
            ),
            UNHEALTHY,
            "Failed: InstallCheckFailed: install timeout",
        ),
        (
            live("ClusterServiceVersion", {"phase": "Installing", "reason": "InstallWaiting"}),
            PROGRESSING,
            "Installing: InstallWaiting",
        ),
        (live("ClusterServiceVersion"), PROGRESSING, "no phase yet"),
        (
            live("APIService", {"conditions": [condition("Available", "True", "Passed")]}),
            HEALTHY,
            "Available",
        ),
        (
            live("APIService", {"conditions": [condition("Available", "False", "MissingEndpoints", "none")]}),
            UNHEALTHY,
            "MissingEndpoints: none",
        ),
        (live("APIService"), PROGRESSING, "not judged by the API server yet"),
        (live("Namespace", {"phase": "Active"}), HEALTHY, "Active"),
        (live("Namespace", {"phase": "Terminating"}), UNHEALTHY, "Terminating"),
        (live("Namespace"), PROGRESSING, "no phase yet"),
        (live("CatalogSource", {"connectionState": {"lastObservedState": "READY"}}), HEALTHY, "READY"),
        (live("CatalogSource", {"connectionState": {"lastObservedState": "IDLE"}}), PROGRESSING, "IDLE"),
        (
            live("CatalogSource", {"connectionState": {"lastObservedState": "TRANSIENT_FAILURE"}}),
            UNHEALTHY,
            "TRANSIENT_FAILURE",
        ),
        (
            live(
                "CatalogSource",
                {"reason": "RegistryServerError", "message": "couldn't ensure registry server"},
            ),
            UNHEALTHY,
            "RegistryServerError: couldn't ensure registry server",
        ),
        (live("CatalogSource"), PROGRESSING, "no connection yet"),
        (live("OperatorGroup", {"lastUpdated": "2025-01-01T00:00:00Z", "namespaces": [""]}), HEALTHY, ""),
        (live("OperatorGroup"), PROGRESSING, "olm-operator has not looked at it yet"),
        (
            live(
                "OperatorGroup",
                {"conditions": [condition("MultipleOperatorGroup", "True", "MultipleOperatorGroupsFound")]},
            ),
            UNHEALTHY,
            "MultipleOperatorGroupsFound",
        ),
        (live("ClusterRole"), HEALTHY, ""),
        (live("OLMConfig"), HEALTHY, ""),
    ],
)
def test_each_kind_is_judged_by_what_it_reports(manifest: Manifest, state: HealthState, detail: str) -> None:
    """R3."""
    assert health(manifest) == (state, detail)


@pytest.mark.parametrize(
    ("metadata", "detail"),
    [
        ({}, "is being deleted"),
        (
            {"finalizers": ["operators.coreos.com/csv-cleanup"]},
            "is being deleted, waits for finalizers operators.coreos.com/csv-cleanup",
        ),
    ],
)
def test_an_object_that_is_being_deleted_is_unhealthy(metadata: dict[str, Any], detail: str) -> None:
    manifest = live("ClusterRole", deletionTimestamp="2025-01-01T00:00:00Z", **metadata)
    assert health(manifest) == (UNHEALTHY, detail)


NAMESPACE: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "olm"}}
GROUP: Manifest = {
    "apiVersion": "operators.coreos.com/v1",
    "kind": "OperatorGroup",
    "metadata": {"name": "olm-operators", "namespace": "olm"},
}
NAMESPACE_REF = ObjectRef("v1", "Namespace", "olm")


def test_the_table_has_the_columns_of_the_runbook() -> None:
    """R3."""
    table = release_health([NAMESPACE, GROUP], {NAMESPACE_REF: {**NAMESPACE, "status": {"phase": "Active"}}})
    assert (OlmHealth.HEADER, table.table()) == (
        ("NAME", "NAMESPACE", "KIND", "STATUS"),
        (("olm", "", "Namespace", "HEALTHY: Active"), ("olm-operators", "olm", "OperatorGroup", "MISSING")),
    )


def test_the_table_counts_what_is_healthy() -> None:
    """R3."""
    table = release_health([NAMESPACE, GROUP], {NAMESPACE_REF: {**NAMESPACE, "status": {"phase": "Active"}}})
    assert (table.summary(), table.healthy, table.absent) == ("1/2 healthy", False, False)


def test_an_olm_of_which_nothing_exists_is_absent() -> None:
    table = release_health([NAMESPACE, GROUP], {})
    assert (table.absent, [row.state for row in table.unhealthy_rows()]) == (True, [MISSING, MISSING])


def test_what_olm_makes_itself_can_be_judged_along() -> None:
    table = release_health([], {}, OLM_MADE_OBJECTS)
    assert [row.ref.name for row in table.rows] == ["packageserver", "v1.packages.operators.coreos.com"]


def csv(name: str = "packageserver", version: str = "", **labels: str) -> Manifest:
    renamed = {label.replace("_", "."): value for label, value in labels.items()}
    return {"metadata": {"name": name, "labels": renamed}, "spec": {"version": version} if version else {}}


@pytest.mark.parametrize(
    ("csvs", "version"),
    [
        ([], ""),
        ([csv("other.v1.0.0", "1.0.0")], ""),
        ([csv(olm_version="v0.20.0")], "0.20.0"),
        ([csv(olm_version="0.18.3")], "0.18.3"),
        ([csv(version="0.46.0")], "0.46.0"),
        ([csv("packageserver.v0.17.0")], "0.17.0"),
        ([csv(olm_version="v0.20.0"), csv(version="0.20.0", olm_copiedFrom="olm")], "0.20.0"),
    ],
)
def test_the_installed_version_is_read_off_the_packageserver(csvs: list[Manifest], version: str) -> None:
    """R2, R3."""
    assert installed_olm_version(csvs) == version


def test_two_packageservers_are_an_error() -> None:
    with pytest.raises(PrerequisiteError, match=r"packageserver, packageserver\.v0\.20\.0"):
        installed_olm_version([csv(version="0.46.0"), csv("packageserver.v0.20.0")])


def test_a_packageserver_without_a_version_is_an_error() -> None:
    with pytest.raises(PrerequisiteError, match=r"olm\.version"):
        installed_olm_version([csv()])


def test_a_condition_that_is_not_there_is_unknown() -> None:
    assert condition_of(None, "Available").status is ConditionStatus.UNKNOWN


def test_a_condition_with_an_unheard_of_status_is_unknown() -> None:
    manifest = live("Thing", {"conditions": [condition("Available", "perhaps")]})
    assert condition_of(manifest, "Available").status is ConditionStatus.UNKNOWN
