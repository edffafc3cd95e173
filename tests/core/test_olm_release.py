"""An OLM release is pinned, complete and of the version that was asked for (R2)."""

import pytest
import yaml

from tasks.core.errors import InputError, ManifestError
from tasks.core.olm_release import read_release, release_files
from tasks.core.settings import OlmRelease

PIN = "a" * 64
CRD = yaml.safe_dump(
    {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "olmconfigs.operators.coreos.com"},
        "status": {"conditions": []},
    }
)


def packageserver(version: str) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "ClusterServiceVersion",
            "metadata": {"name": "packageserver", "namespace": "olm"},
            "spec": {"version": version},
        }
    )


def test_the_documented_version_has_built_in_pins() -> None:
    crds, olm = release_files(OlmRelease(version="v0.20.0"))

    assert crds.location.endswith("/download/v0.20.0/crds.yaml")
    assert crds.sha256 == "b3041ba41aae1d3de393a8b92eff6bf2725dc5232bf6ba7c41c3763e72ac60ff"
    assert olm.sha256 == "e9c4d05fd1c565ef68e63878a880d44ad2cfb17173ea0e87794b8426897e7786"


def test_another_version_without_pins_is_refused_by_the_parameters_names() -> None:
    with pytest.raises(InputError, match=r"olm\.crds_sha256 and olm\.olm_sha256"):
        release_files(OlmRelease(version="0.46.0"))


def test_a_mirror_takes_the_version_in_its_location() -> None:
    release = OlmRelease(version="0.46.0", location="/mirror/{version}/", crds_sha256=PIN, olm_sha256=PIN)

    assert [file.location for file in release_files(release)] == [
        "/mirror/0.46.0/crds.yaml",
        "/mirror/0.46.0/olm.yaml",
    ]


def test_a_crd_is_read_without_its_status() -> None:
    release = read_release("0.46.0", CRD, packageserver("0.46.0"))

    assert "status" not in release.crds[0]


def test_the_v_before_a_version_makes_no_difference() -> None:
    assert read_release("0.20.0", CRD, packageserver("v0.20.0")).version == "0.20.0"


def test_files_of_another_version_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"expected spec\.version 0\.46\.0; found 0\.18\.3"):
        read_release("0.46.0", CRD, packageserver("0.18.3"))


def test_a_crds_file_with_something_else_in_it_is_refused() -> None:
    with pytest.raises(ManifestError, match=r"expected CRDs only; found ClusterServiceVersion"):
        read_release("0.46.0", packageserver("0.46.0"), packageserver("0.46.0"))
