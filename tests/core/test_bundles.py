"""Reading an operator bundle (R5, R6): what is accepted, and that refusals name the file."""

from typing import Any

import pytest

from tasks.core.bundle_rules import InstallMode
from tasks.core.bundles import read_bundle
from tasks.core.errors import ManifestError
from tests.support.bundle_files import (
    ANNOTATIONS,
    NEEDS_REAL_BUNDLE,
    REAL_BUNDLE,
    bundle_files,
    crd_manifest,
    csv_manifest,
)

PREFIX = "operators.operatorframework.io.bundle."


def _csv_with(**spec: Any) -> dict[str, Any]:  # noqa: ANN401 - parts of a manifest
    csv = csv_manifest()
    csv["spec"].update(spec)
    return csv


def test_a_bundle_knows_its_package_release_and_channels() -> None:
    bundle = read_bundle(bundle_files(), "test")

    assert (bundle.package, bundle.name, bundle.version) == ("tea", "tea.v1.2.3", "1.2.3")
    assert (bundle.channels, bundle.default_channel) == (("alpha",), "alpha")
    assert bundle.install_modes == {InstallMode.ALL_NAMESPACES}


def test_every_manifest_but_the_csv_is_an_object_of_the_bundle() -> None:
    bundle = read_bundle(bundle_files(), "test")

    assert [manifest["kind"] for manifest in bundle.objects] == ["Secret", "CustomResourceDefinition"]


def test_the_default_channel_comes_from_its_annotation() -> None:
    channels = {f"{PREFIX}channels.v1": "alpha, stable", f"{PREFIX}channel.default.v1": "stable"}

    bundle = read_bundle(bundle_files(annotations=ANNOTATIONS | channels), "test")

    assert (bundle.channels, bundle.default_channel) == (("alpha", "stable"), "stable")


def test_files_outside_the_manifests_folder_and_hidden_ones_are_no_manifests() -> None:
    others = {
        "tests/scorecard/config.yaml": b"kind: X",
        "manifests/.hidden.yaml": b"{",
        "manifests/README": b"?",
    }

    assert len(read_bundle(bundle_files() | others, "test").manifests) == 3


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (
            {f"{PREFIX}mediatype.v1": "helm"},
            r"annotations\.yaml\): expected media type registry.*found helm",
        ),
        ({f"{PREFIX}mediatype.v1": ""}, r"bundle\.mediatype\.v1"),
        ({f"{PREFIX}package.v1": ""}, r"bundle\.package\.v1"),
        ({f"{PREFIX}channels.v1": " , "}, "at least one channel"),
        ({f"{PREFIX}channel.default.v1": "beta"}, "a default channel out of alpha; found beta"),
        ({f"{PREFIX}manifests.v1": "other/"}, r"other/\): expected manifests"),
    ],
)
def test_bad_annotations_are_refused(changed: dict[str, str], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        read_bundle(bundle_files(annotations=ANNOTATIONS | changed), "test")


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("metadata/annotations.yaml", b"[1]", "a mapping"),
        ("metadata/annotations.yaml", b"{", "YAML"),
        ("metadata/annotations.yaml", b"\xff", "YAML"),
        ("metadata/annotations.yaml", b"a: " + b"x" * 70_000, "at most 65536 bytes"),
        ("metadata/dependencies.yaml", b"dependencies: [{type: olm.gvk}]", "a type and a value"),
        ("manifests/a.yaml", b"{", "YAML documents"),
        ("manifests/a.yaml", b"\xff\xfe", "UTF-8"),
        ("manifests/a.yaml", b"kind: Secret", "metadata.name"),
        ("manifests/a.yaml", b"# nothing", "one object in each file; found 0"),
        (
            "manifests/a.yaml",
            b"\n---\n".join([b"{apiVersion: v1, kind: Secret, metadata: {name: a}}"] * 2),
            "one object in each file; found 2",
        ),
        (
            "manifests/a.yaml",
            b"{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}",
            "a kind that OLM installs from a bundle; found Deployment",
        ),
        (
            "manifests/a.yaml",
            b"{apiVersion: v1, kind: Secret, metadata: {name: tea-config}}",
            r"tea-config_v1_secret\.yaml\): expected objects that are unique.*in manifests/a",
        ),
        (
            "manifests/a.yaml",
            b"{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {b: !!binary aGk=}}",
            "values that JSON has",
        ),
    ],
)
def test_a_bad_file_is_named(path: str, content: bytes, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason) as caught:
        read_bundle(bundle_files() | {path: content}, "registry.example.com/tea:1")

    assert "registry.example.com/tea:1: " in str(caught.value)


def test_yaml_aliases_that_explode_are_refused() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 9))
    bomb = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\nl0: &l0 [x]\n{levels}"

    with pytest.raises(ManifestError, match="at most 200000 values"):
        read_bundle(bundle_files() | {"manifests/a.yaml": bomb.encode()}, "test")


def test_a_manifest_that_contains_itself_is_refused() -> None:
    loop = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: &d {again: *d}\n"

    with pytest.raises(ManifestError, match="at most 200000 values"):
        read_bundle(bundle_files() | {"manifests/a.yaml": loop}, "test")


def test_two_csvs_are_refused() -> None:
    second = bundle_files(csv=csv_manifest() | {"metadata": {"name": "tea.v1.2.4"}})
    files = bundle_files() | {"manifests/z.yaml": second["manifests/tea.clusterserviceversion.yaml"]}

    with pytest.raises(ManifestError, match="exactly one ClusterServiceVersion"):
        read_bundle(files, "test")


def test_a_bundle_without_a_csv_is_refused() -> None:
    files = bundle_files()
    del files["manifests/tea.clusterserviceversion.yaml"]

    with pytest.raises(ManifestError, match="exactly one ClusterServiceVersion; found none"):
        read_bundle(files, "test")


def test_no_files_at_all_are_no_bundle() -> None:
    with pytest.raises(ManifestError, match="the bundle's annotations; found no file"):
        read_bundle({}, "test")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"version": "1.2"}, "spec.version as a semantic version"),
        ({"installModes": []}, "supported spec.installModes"),
        ({"installModes": [{"type": "Everywhere", "supported": True}]}, "found Everywhere"),
        ({"installModes": [{"type": "AllNamespaces", "supported": False}]}, "found none"),
        ({"install": {"spec": {"deployments": []}}}, "a deployment in"),
        ({"install": "later"}, "a deployment in"),
        (
            {"webhookdefinitions": [{"generateName": "w", "deploymentName": "x"}]},
            "the deployment of webhook",
        ),
        (
            {"customresourcedefinitions": {}},
            "owns; found pots.tea.example.com",
        ),
        (
            {"customresourcedefinitions": {"owned": [{"name": "cups.tea.example.com", "version": "v1"}]}},
            "the owned CustomResourceDefinition cups.tea.example.com in the bundle",
        ),
        (
            {"customresourcedefinitions": {"owned": [{"name": "pots.tea.example.com", "version": "v2"}]}},
            r"pots\.yaml\): expected the owned version v2; found v1",
        ),
    ],
)
def test_a_csv_that_olm_could_not_install_is_refused(spec: dict[str, Any], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        read_bundle(bundle_files(csv=_csv_with(**spec)), "test")


def test_a_definition_without_a_spec_is_refused() -> None:
    crd = crd_manifest()
    del crd["spec"]

    with pytest.raises(ManifestError, match="the owned version v1; found none"):
        read_bundle(bundle_files(crd=crd), "test")


def test_dependencies_are_translated_into_catalog_properties() -> None:
    dependencies = b"""dependencies:
- {type: olm.package, value: {packageName: kettle, version: ">1.0.0"}}
- {type: olm.gvk, value: {group: g, kind: K, version: v1}}
- {type: olm.constraint, value: {failureMessage: no}}
"""

    bundle = read_bundle(bundle_files() | {"metadata/dependencies.yaml": dependencies}, "test")

    assert bundle.dependencies == (
        {"type": "olm.package.required", "value": {"packageName": "kettle", "versionRange": ">1.0.0"}},
        {"type": "olm.gvk.required", "value": {"group": "g", "kind": "K", "version": "v1"}},
        {"type": "olm.constraint", "value": {"failureMessage": False}},
    )


def test_properties_are_passed_on_as_they_are() -> None:
    properties = b"properties: [{type: olm.maxOpenShiftVersion, value: '4.9'}]"

    bundle = read_bundle(bundle_files() | {"metadata/properties.yaml": properties}, "test")

    assert bundle.dependencies == ({"type": "olm.maxOpenShiftVersion", "value": "4.9"},)


@pytest.mark.real_bundle
@NEEDS_REAL_BUNDLE
def test_the_real_bundle_is_accepted() -> None:
    """R6: OSOK 1.1.9 installs in AllNamespaces only and owns 12 kinds."""
    paths = [path for path in REAL_BUNDLE.rglob("*") if path.is_file()]
    files = {str(path.relative_to(REAL_BUNDLE)): path.read_bytes() for path in paths}

    bundle = read_bundle(files, "the real bundle")

    assert (bundle.name, len(bundle.definitions)) == ("oci-service-operator.v1.1.9", 12)
    assert bundle.install_modes == {InstallMode.ALL_NAMESPACES}
