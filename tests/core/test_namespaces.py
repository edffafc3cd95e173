"""Which namespace an operator may live in (R4)."""

from typing import Any

import pytest

from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest
from tasks.core.namespaces import (
    mounts_host_path,
    namespace_manifest,
    refuse_selected_neighbours,
    refuse_unfit_namespace,
)

ENFORCE = "pod-security.kubernetes.io/enforce"
SELECTOR = {"control-plane": "controller-manager"}


def csv(*volumes: dict[str, Any]) -> Manifest:
    template = {"spec": {"volumes": list(volumes)}}
    deployment = {"name": "manager", "spec": {"template": template}}
    return {"spec": {"install": {"spec": {"deployments": [deployment]}}}}


def namespace(level: str = "", **metadata: object) -> Manifest:
    labels = {"labels": {ENFORCE: level}} if level else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "osok", **labels, **metadata}}


def pod(name: str, owner: str = "", phase: str = "Running", template: str = "") -> Manifest:
    labels = {**SELECTOR, **({"pod-template-hash": template} if template else {})}
    owners = [{"kind": "ReplicaSet", "name": owner, "controller": True}] if owner else []
    return {
        "metadata": {"name": name, "labels": labels, "ownerReferences": owners},
        "status": {"phase": phase},
    }


HOST_PATH = {"name": "pki", "hostPath": {"path": "/etc/pki"}}
SCRATCH = {"name": "tmp", "emptyDir": {}}


@pytest.mark.parametrize(
    ("volumes", "expected"), [((HOST_PATH, SCRATCH), True), ((SCRATCH,), False), ((), False)]
)
def test_a_host_path_is_found_in_the_csvs_deployments(volumes: tuple[Any, ...], expected: bool) -> None:  # noqa: FBT001 - a case
    assert mounts_host_path(csv(*volumes)) is expected


def test_a_new_namespace_allows_host_paths_to_an_operator_that_mounts_one() -> None:
    """R4: OSOK mounts /etc/pki, which the baseline level forbids."""
    assert namespace_manifest("osok", csv(HOST_PATH))["metadata"]["labels"][ENFORCE] == "privileged"


def test_a_new_namespace_says_nothing_about_pod_security_otherwise() -> None:
    made = namespace_manifest("osok", csv(SCRATCH))

    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "osok-fleet"}


@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_a_level_that_forbids_the_host_path_is_refused(level: str) -> None:
    with pytest.raises(PrerequisiteError, match=rf"\(osok\).*found {level}\. Choose another namespace"):
        refuse_unfit_namespace(namespace(level), csv(HOST_PATH))


@pytest.mark.parametrize(
    ("level", "volume"),
    [("restricted", SCRATCH), ("baseline", SCRATCH), ("privileged", HOST_PATH), ("", HOST_PATH)],
)
def test_a_level_that_admits_the_operators_volumes_is_taken(level: str, volume: dict[str, Any]) -> None:
    refuse_unfit_namespace(namespace(level), csv(volume))


def test_a_namespace_that_is_being_deleted_is_refused() -> None:
    with pytest.raises(PrerequisiteError, match="being deleted"):
        refuse_unfit_namespace(namespace(deletionTimestamp="2025-06-01T00:00:00Z"), csv())


@pytest.mark.parametrize(
    ("stranger", "told"),
    [
        (
            pod("other-1", owner="other-manager-5d9c", template="5d9c"),
            r"other-1 \(ReplicaSet other-manager-5d9c\)",
        ),
        (pod("bare"), r"bare \(no controller\)"),
        (
            # Its Deployment is named like ours with a suffix.
            pod("ours-two-1", owner="manager-two-5d9c", template="5d9c"),
            r"ours-two-1 \(ReplicaSet manager-two-5d9c\)",
        ),
    ],
)
def test_another_operators_pod_that_the_services_would_select_is_refused_by_name(
    stranger: Manifest, told: str
) -> None:
    """R4: webhook calls would reach the wrong process."""
    with pytest.raises(PrerequisiteError, match=rf"control-plane=controller-manager.*found {told}"):
        refuse_selected_neighbours([stranger], SELECTOR, "manager", "osok")


@pytest.mark.parametrize(
    "neighbour",
    [
        pod("manager-1", owner="manager-5d9c", template="5d9c"),
        pod("finished", phase="Succeeded"),
        {"metadata": {"name": "unrelated", "labels": {"app": "web"}}},
        {"metadata": {"name": "without-labels"}},
    ],
    ids=["our own", "finished, so it gets no traffic", "other labels", "no labels"],
)
def test_pods_that_get_no_webhook_calls_or_are_ours_are_no_obstacle(neighbour: Manifest) -> None:
    refuse_selected_neighbours([neighbour], SELECTOR, "manager", "osok")
