"""The catalog that offers a bundle to OLM (R6; design decision 7)."""

import base64
import json
from typing import Any

import pytest

from tasks.core.bundles import read_bundle
from tasks.core.catalogs import (
    CATALOG_SHA256,
    CatalogPlace,
    CatalogServer,
    address_catalog_source,
    catalog_objects,
    image_catalog_source,
    render_catalog,
)
from tasks.core.errors import InputError, ManifestError
from tests.support.bundle_files import ANNOTATIONS, bundle_files, csv_manifest

PLACE = CatalogPlace("tea-system", "tea-catalog")
OPM = CatalogServer("quay.io/operator-framework/opm@sha256:" + "ab" * 32)


def _catalog(**files: Any) -> str:  # noqa: ANN401 - parts of a bundle
    return render_catalog(read_bundle(bundle_files(**files), "test"))


def _documents(catalog: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in catalog.splitlines()]


def _objects() -> dict[str, dict[str, Any]]:
    return {manifest["kind"]: manifest for manifest in catalog_objects("{}", PLACE, OPM, "Tea")}


def test_a_catalog_names_its_package_channel_and_bundle() -> None:
    package, channel, bundle = _documents(_catalog())

    assert package == {"schema": "olm.package", "name": "tea", "defaultChannel": "alpha"}
    assert channel == {
        "schema": "olm.channel",
        "package": "tea",
        "name": "alpha",
        "entries": [{"name": "tea.v1.2.3"}],
    }
    assert (bundle["schema"], bundle["name"], bundle["package"]) == ("olm.bundle", "tea.v1.2.3", "tea")


def test_the_bundle_has_no_image_so_that_olm_unpacks_nothing() -> None:
    assert _documents(_catalog())[2]["image"] == ""


def test_every_manifest_is_inline_the_csv_first() -> None:
    properties = _documents(_catalog())[2]["properties"]

    inline = [item["value"]["data"] for item in properties if item["type"] == "olm.bundle.object"]

    kinds = [json.loads(base64.b64decode(data))["kind"] for data in inline]
    assert kinds == ["ClusterServiceVersion", "Secret", "CustomResourceDefinition"]


def test_the_bundle_declares_its_version_and_its_kinds() -> None:
    properties = _documents(_catalog())[2]["properties"]

    assert properties[:2] == [
        {"type": "olm.package", "value": {"packageName": "tea", "version": "1.2.3"}},
        {"type": "olm.gvk", "value": {"group": "tea.example.com", "kind": "Pot", "version": "v1"}},
    ]


def test_required_kinds_are_declared() -> None:
    csv = csv_manifest()
    required = {"name": "kettles.water.example.com", "kind": "Kettle", "version": "v1"}
    csv["spec"]["customresourcedefinitions"]["required"] = [required]

    properties = _documents(_catalog(csv=csv))[2]["properties"]

    value = {"group": "water.example.com", "kind": "Kettle", "version": "v1"}
    assert properties[2] == {"type": "olm.gvk.required", "value": value}


def test_each_channel_of_the_bundle_is_offered() -> None:
    channels = {"operators.operatorframework.io.bundle.channels.v1": "alpha,stable"}

    documents = _documents(_catalog(annotations=ANNOTATIONS | channels))

    assert [document["name"] for document in documents[1:3]] == ["alpha", "stable"]


def test_an_upgrade_says_what_it_replaces() -> None:
    bundle = read_bundle(bundle_files(), "test")

    channel = _documents(render_catalog(bundle, replaces="tea.v1.2.2"))[1]

    assert channel["entries"] == [{"name": "tea.v1.2.3", "replaces": "tea.v1.2.2"}]


def test_the_upgrade_edges_of_the_csv_are_kept() -> None:
    csv = csv_manifest()
    csv["metadata"]["annotations"] = {"olm.skipRange": "<1.2.3"}
    csv["spec"].update(replaces="tea.v1.2.0", skips=["tea.v1.2.1"])

    entry = _documents(_catalog(csv=csv))[1]["entries"][0]

    assert (entry["replaces"], entry["skips"], entry["skipRange"]) == ("tea.v1.2.0", ["tea.v1.2.1"], "<1.2.3")


def test_equal_bundles_give_equal_bytes() -> None:
    files = bundle_files()
    reordered = dict(reversed(files.items()))

    assert render_catalog(read_bundle(files, "a")) == render_catalog(read_bundle(reordered, "b"))


def test_the_objects_come_in_the_order_to_apply_them() -> None:
    kinds = [manifest["kind"] for manifest in catalog_objects("{}", PLACE, OPM)]

    assert kinds == ["ConfigMap", "Deployment", "Service", "CatalogSource"]


def test_every_object_carries_our_label() -> None:
    labels = {
        manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] for manifest in _objects().values()
    }

    assert labels == {"osok-fleet"}


def test_the_catalog_source_points_at_the_service() -> None:
    assert _objects()["CatalogSource"]["spec"] == {
        "sourceType": "grpc",
        "address": "tea-catalog.tea-system.svc:50051",
        "displayName": "Tea",
        "publisher": "osok-fleet",
    }


def test_the_service_selects_the_pods_of_the_deployment() -> None:
    selector = _objects()["Service"]["spec"]["selector"]
    labels = _objects()["Deployment"]["spec"]["template"]["metadata"]["labels"]

    assert selector.items() <= labels.items()


def test_the_pod_satisfies_restricted_pod_security() -> None:
    """Kubernetes Pod Security Standards, profile "restricted"."""
    pod = _objects()["Deployment"]["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_catalog_is_mounted_as_one_file() -> None:
    container = _objects()["Deployment"]["spec"]["template"]["spec"]["containers"][0]

    assert container["args"][:4] == ["serve", "/configs", "-p", "50051"]
    assert container["volumeMounts"][0] == {
        "name": "catalog",
        "mountPath": "/configs/catalog.json",
        "subPath": "catalog.json",
    }


def test_another_catalog_makes_other_pods() -> None:
    first = catalog_objects("{}", PLACE, OPM)[1]["spec"]["template"]["metadata"]["annotations"]
    second = catalog_objects("{ }", PLACE, OPM)[1]["spec"]["template"]["metadata"]["annotations"]

    assert first[CATALOG_SHA256] != second[CATALOG_SHA256]


def test_pull_secrets_reach_the_pod() -> None:
    server = CatalogServer(OPM.image, ("mirror",))

    pod = catalog_objects("{}", PLACE, server)[1]["spec"]["template"]["spec"]

    assert pod["imagePullSecrets"] == [{"name": "mirror"}]


def test_an_unpinned_opm_image_is_refused() -> None:
    with pytest.raises(InputError, match="an opm image with its digest"):
        catalog_objects("{}", PLACE, CatalogServer("quay.io/operator-framework/opm:latest"))


def test_a_catalog_that_does_not_fit_a_config_map_is_refused_with_its_size() -> None:
    with pytest.raises(ManifestError, match="at most 1048576 bytes; found 1048577 bytes"):
        catalog_objects("x" * (1_048_577 - len("catalog.json")), PLACE, OPM)


def test_a_catalog_at_an_address_needs_no_pod() -> None:
    assert (
        address_catalog_source(PLACE, "catalogs.example.com:443")["spec"]["address"]
        == "catalogs.example.com:443"
    )


def test_a_catalog_image_runs_restricted_and_with_its_pull_secrets() -> None:
    source = image_catalog_source(PLACE, "quay.io/team/catalog:1", ("mirror",))

    assert source["spec"]["grpcPodConfig"] == {"securityContextConfig": "restricted"}
    assert (source["spec"]["image"], source["spec"]["secrets"]) == ("quay.io/team/catalog:1", ["mirror"])


def test_a_public_catalog_image_has_no_pull_secrets() -> None:
    """operator-sdk writes an empty name there, which names no Secret."""
    assert "secrets" not in image_catalog_source(PLACE, "quay.io/team/catalog:1")["spec"]
