"""Our bundle against the one built from Oracle's sources: what OLM and the runbook see must be equal."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.rehearsal.bundle import bundle_files

Document = dict[str, Any]

_REAL = Path("../shared/osok-1.1.9-bundle/manifests")

pytestmark = [
    pytest.mark.real_bundle,
    pytest.mark.skipif(not _REAL.is_dir(), reason="the OSOK 1.1.9 bundle is not in ../shared"),
]


@pytest.fixture(scope="module")
def real() -> dict[str, Document]:
    return {path.name: yaml.safe_load(path.read_text()) for path in _REAL.iterdir()}


@pytest.fixture(scope="module")
def ours() -> dict[str, Document]:
    prefix = "manifests/"
    return {
        name.removeprefix(prefix): yaml.safe_load(content)
        for name, content in bundle_files().items()
        if name.startswith(prefix)
    }


def _csv(documents: dict[str, Document]) -> Document:
    return documents["oci-service-operator.clusterserviceversion.yaml"]


def _template(documents: dict[str, Document]) -> Document:
    deployments = _csv(documents)["spec"]["install"]["spec"]["deployments"]
    assert len(deployments) == 1
    spec: Document = deployments[0]["spec"]["template"]["spec"]
    return spec


def _by_name(items: list[Document]) -> list[Document]:
    return sorted(items, key=lambda each: str(each.get("name") or each.get("generateName")))


def test_the_files_have_the_same_names(ours: dict[str, Document], real: dict[str, Document]) -> None:
    assert sorted(ours) == sorted(real)


def test_every_object_has_the_same_kind_and_name(
    ours: dict[str, Document], real: dict[str, Document]
) -> None:
    def identities(documents: dict[str, Document]) -> dict[str, tuple[str, str, str]]:
        return {
            name: (each["apiVersion"], each["kind"], each["metadata"]["name"])
            for name, each in documents.items()
        }

    assert identities(ours) == identities(real)


def test_the_webhook_definitions_are_equal(ours: dict[str, Document], real: dict[str, Document]) -> None:
    """R9, R10: paths, rules, failure policies, side effects and review versions."""
    assert _by_name(_csv(ours)["spec"]["webhookdefinitions"]) == _by_name(
        _csv(real)["spec"]["webhookdefinitions"]
    )


@pytest.mark.parametrize("field", ["version", "installModes", "maturity"])
def test_the_csv_says_the_same(field: str, ours: dict[str, Document], real: dict[str, Document]) -> None:
    assert _by_name_if_list(_csv(ours)["spec"][field]) == _by_name_if_list(_csv(real)["spec"][field])


def _by_name_if_list(value: Any) -> Any:  # noqa: ANN401 - a field of any type
    return sorted(value, key=lambda each: str(each["type"])) if isinstance(value, list) else value


def test_owned_crds_are_equal(ours: dict[str, Document], real: dict[str, Document]) -> None:
    """R8."""

    def owned(documents: dict[str, Document]) -> set[tuple[str, str, str]]:
        items = _csv(documents)["spec"]["customresourcedefinitions"]["owned"]
        return {(each["name"], each["kind"], each["version"]) for each in items}

    assert owned(ours) == owned(real)


def test_crds_have_the_same_names_scope_and_versions(
    ours: dict[str, Document], real: dict[str, Document]
) -> None:
    def shape(document: Document) -> tuple[Any, ...]:
        spec = document["spec"]
        versions = [
            (each["name"], each["served"], each["storage"], each["subresources"]) for each in spec["versions"]
        ]
        marks = {
            key: value
            for key, value in document["metadata"].get("annotations", {}).items()
            if "kubebuilder" not in key
        }
        return spec["group"], spec["scope"], spec["names"], versions, marks

    crds = [name for name, each in real.items() if each["kind"] == "CustomResourceDefinition"]
    assert [shape(ours[name]) for name in crds] == [shape(real[name]) for name in crds]


def test_the_deployment_has_the_same_pods(ours: dict[str, Document], real: dict[str, Document]) -> None:
    assert _without_order(_template(ours)) == _without_order(_template(real))


def _without_order(spec: Document) -> Document:
    containers = [{**each, "env": _by_name(each["env"])} for each in spec["containers"]]
    return {**spec, "containers": containers, "volumes": _by_name(spec["volumes"])}


def test_services_secrets_and_config_maps_hold_the_same(
    ours: dict[str, Document], real: dict[str, Document]
) -> None:
    secret = "oci-service-operator-osokconfig_v1_secret.yaml"
    service = "oci-service-operator-webhook-service_v1_service.yaml"

    assert ours[secret]["data"] == real[secret]["data"]
    assert ours[service]["spec"] == real[service]["spec"]


def test_our_permissions_are_within_the_real_ones(
    ours: dict[str, Document], real: dict[str, Document]
) -> None:
    def granted(documents: dict[str, Document]) -> set[tuple[str, str, str]]:
        spec = _csv(documents)["spec"]["install"]["spec"]
        rules = [rule for each in spec["clusterPermissions"] for rule in each["rules"]]
        return {
            (group, resource, verb)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    assert granted(ours) <= granted(real)
