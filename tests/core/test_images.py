"""R5, R6: which images a release makes nodes pull."""

from typing import Any

import pytest

from tasks.core.bundles import read_bundle
from tasks.core.images import images_of
from tasks.core.manifests import Manifest
from tests.support.bundle_files import NEEDS_REAL_BUNDLE, REAL_BUNDLE


def workload(kind: str, *containers: dict[str, Any], **pod: object) -> Manifest:
    return {"kind": kind, "spec": {"template": {"spec": {"containers": list(containers), **pod}}}}


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"])
def test_every_container_of_a_workload_counts(kind: str) -> None:
    manifest = workload(kind, {"image": "a"}, {"image": "b"}, initContainers=[{"image": "first"}])

    assert images_of([manifest]) == ("first", "a", "b")


def test_pods_cron_jobs_and_catalog_sources_count() -> None:
    job = workload("Job", {"image": "c"})
    cron: Manifest = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": job["spec"]}}}
    pod: Manifest = {"kind": "Pod", "spec": {"containers": [{"image": "p"}]}}
    catalog: Manifest = {"kind": "CatalogSource", "spec": {"image": "operators:latest"}}
    by_address: Manifest = {"kind": "CatalogSource", "spec": {"address": "catalog:50051"}}

    assert images_of([cron, pod, catalog, by_address]) == ("c", "p", "operators:latest")


def test_an_image_that_is_named_twice_counts_once() -> None:
    assert images_of([workload("Deployment", {"image": "a"}), workload("Job", {"image": "a"})]) == ("a",)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--util-image", "olm:1"], ("olm:1",)),
        (["-configmapServerImage=quay.io/r@sha256:1"], ("quay.io/r@sha256:1",)),
        (["--opmImage=opm:1", "--namespace", "olm"], ("opm:1",)),
        (["--util-image"], ()),
        (["image", "no-flag:1"], ()),
        (["--image-pull-policy=Always"], ()),
    ],
)
def test_flags_of_a_program_name_the_images_of_its_jobs(
    arguments: list[str], expected: tuple[str, ...]
) -> None:
    assert images_of([workload("Deployment", {"image": "a", "args": arguments})]) == ("a", *expected)


def test_related_images_of_an_operator_count() -> None:
    container = {
        "image": "manager:1",
        "env": [{"name": "RELATED_IMAGE_PROXY", "value": "proxy:1"}, {"name": "IMAGE", "value": "no:1"}],
    }
    deployment = workload("Deployment", container)
    csv: Manifest = {
        "kind": "ClusterServiceVersion",
        "spec": {
            "install": {"spec": {"deployments": [{"name": "m", "spec": deployment["spec"]}]}},
            "relatedImages": [{"name": "sidecar", "image": "sidecar:1"}],
        },
    }

    assert images_of([csv]) == ("manager:1", "proxy:1", "sidecar:1")


def test_other_objects_have_no_images() -> None:
    assert images_of([{"kind": "ConfigMap", "data": {"image": "a"}}, {"kind": "Service", "spec": {}}]) == ()


@NEEDS_REAL_BUNDLE
def test_the_real_bundle_makes_nodes_pull_the_manager() -> None:
    files = {
        str(path.relative_to(REAL_BUNDLE)): path.read_bytes()
        for folder in ("manifests", "metadata")
        for path in (REAL_BUNDLE / folder).iterdir()
    }
    bundle = read_bundle(files, "the real bundle")

    assert images_of([bundle.csv, *bundle.objects]) == ("iad.ocir.io/oracle/oci-service-operator:1.1.9",)
