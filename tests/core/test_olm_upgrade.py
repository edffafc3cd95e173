"""Objects of another OLM release are replaced in their parts, and their metadata only added to (R2)."""

from tasks.core.manifests import Manifest
from tasks.core.olm_upgrade import take_over_patch


def live(**metadata: object) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "olm-operator", "resourceVersion": "7", **metadata},
        "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}}},
        "status": {"replicas": 1},
    }


def desired(**metadata: object) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "olm-operator", **metadata},
        "spec": {"strategy": {"type": "Recreate"}},
        "status": {"replicas": 0},
    }


def test_the_whole_spec_is_replaced_and_the_status_left_alone() -> None:
    assert take_over_patch(desired(), live()) == [
        {"op": "add", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": "/spec", "value": {"strategy": {"type": "Recreate"}}},
    ]


def test_labels_and_annotations_of_others_stay() -> None:
    patch = take_over_patch(
        desired(labels={"app": "olm"}, annotations={"version": "2"}),
        live(labels={"team": "sre"}, annotations={"version": "1", "note": "kept"}),
    )

    assert patch[1:3] == [
        {"op": "add", "path": "/metadata/labels", "value": {"team": "sre", "app": "olm"}},
        {"op": "add", "path": "/metadata/annotations", "value": {"version": "2", "note": "kept"}},
    ]


def test_labels_that_are_there_already_are_not_written() -> None:
    patch = take_over_patch(desired(labels={"app": "olm"}), live(labels={"app": "olm", "team": "sre"}))

    assert [operation["path"] for operation in patch] == ["/metadata/resourceVersion", "/spec"]
