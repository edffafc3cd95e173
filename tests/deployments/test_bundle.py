"""The rehearsal's bundle: complete, readable and (R8, R9, R10) with the names that the runbook checks."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.rehearsal.bundle import bundle_files, write_bundle

Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents() -> dict[str, Document]:
    return {name: yaml.safe_load(content) for name, content in bundle_files().items()}


@pytest.fixture(scope="module")
def csv(documents: dict[str, Document]) -> Document:
    return documents["manifests/oci-service-operator.clusterserviceversion.yaml"]


def test_writes_every_file_of_the_bundle_into_the_folder(tmp_path: Path) -> None:
    write_bundle(tmp_path / "bundle")

    written = {str(path.relative_to(tmp_path / "bundle")) for path in tmp_path.rglob("*.yaml")}
    assert written == set(bundle_files())


def test_writing_again_changes_no_byte(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}

    write_bundle(tmp_path)

    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before


def test_annotations_name_package_and_channel(documents: dict[str, Document]) -> None:
    annotations = documents["metadata/annotations.yaml"]["annotations"]

    assert annotations["operators.operatorframework.io.bundle.package.v1"] == "oci-service-operator"
    assert annotations["operators.operatorframework.io.bundle.channels.v1"] == "alpha"
    assert annotations["operators.operatorframework.io.bundle.mediatype.v1"] == "registry+v1"


def test_every_owned_crd_is_in_the_bundle(csv: Document, documents: dict[str, Document]) -> None:
    owned = {each["name"] for each in csv["spec"]["customresourcedefinitions"]["owned"]}

    crds = {
        each["metadata"]["name"]
        for each in documents.values()
        if each.get("kind") == "CustomResourceDefinition"
    }
    assert owned == crds
    assert len(owned) == 12


def test_webhooks_are_the_runbooks_ten_and_the_two_inert_ones(csv: Document) -> None:
    """R9 and R10: note `oracle.cloud.com` for the validators and `oracle.com` for the injector."""
    names = {each["generateName"] for each in csv["spec"]["webhookdefinitions"]}

    assert names == {
        *(
            f"{prefix}-validator.servicemesh.oci.oracle.cloud.com"
            for prefix in ("ap", "ig", "igd", "igrt", "mesh", "vd", "vdb", "vs", "vsrt")
        ),
        "proxy-injector.servicemesh.oci.oracle.com",
        "vautonomousdatabases.kb.io",
        "mautonomousdatabases.kb.io",
    }


def test_webhook_names_never_repeat(csv: Document) -> None:
    names = [each["generateName"] for each in csv["spec"]["webhookdefinitions"]]

    assert len(names) == len(set(names))


def test_the_bundles_service_selects_the_operators_pods(
    csv: Document, documents: dict[str, Document]
) -> None:
    service = documents["manifests/oci-service-operator-webhook-service_v1_service.yaml"]
    template = csv["spec"]["install"]["spec"]["deployments"][0]["spec"]["template"]

    assert service["spec"]["selector"] == template["metadata"]["labels"]
