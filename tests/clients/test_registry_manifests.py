"""Image manifests and indexes from a stranger's registry."""

import json
from typing import Any

import pytest

from tasks.clients.registry.errors import RegistryContentError
from tasks.clients.registry.manifests import Platform, StoredManifest, read_stored_manifest

INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE = "application/vnd.oci.image.manifest.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DIGEST = "sha256:" + "ab" * 32


def _read(document: Any, content_type: str = IMAGE) -> StoredManifest:  # noqa: ANN401 - any JSON
    return read_stored_manifest(json.dumps(document).encode(), content_type, DIGEST, "tea")


def _entry(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    platform = {"os": "linux", "architecture": "amd64"}
    return {"mediaType": IMAGE, "digest": DIGEST, "size": 10, "platform": platform} | changed


def _layer(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"mediaType": LAYER, "digest": DIGEST, "size": 10} | changed


def test_the_media_type_comes_from_the_document_or_from_the_header() -> None:
    assert _read({"manifests": []}, f"{INDEX}; charset=utf-8").is_index
    assert _read({"mediaType": INDEX, "manifests": []}, "text/plain").is_index


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        ({"mediaType": INDEX, "manifests": []}, IMAGE),
        ({"mediaType": IMAGE, "layers": []}, INDEX),
        ({"manifests": [], "layers": []}, INDEX),
        ({"manifests": [], "config": {}}, INDEX),
        ({}, "application/vnd.docker.distribution.manifest.v1+prettyjws"),
        ({}, "text/html"),
        ({"mediaType": ["x"]}, "text/html"),
    ],
)
def test_a_document_that_can_be_read_in_two_ways_or_in_none_is_refused(
    document: dict[str, Any], content_type: str
) -> None:
    """CVE-2021-41190: index to one reader, image to another."""
    with pytest.raises(RegistryContentError, match="one image manifest or index"):
        _read(document, content_type)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(RegistryContentError, match="JSON"):
        read_stored_manifest(body, IMAGE, DIGEST, "tea")


def test_the_image_of_the_platform_is_selected() -> None:
    arm = _entry(digest="sha256:" + "cd" * 32, platform={"os": "linux", "architecture": "arm64"})

    assert _read({"manifests": [arm, _entry()]}, INDEX).select(Platform()).digest == DIGEST


def test_a_single_image_without_a_platform_fits_every_platform() -> None:
    assert _read({"manifests": [_entry(platform=None)]}, INDEX).select(Platform()).digest == DIGEST


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([], "found none"),
        ("none", "found none"),
        ([_entry(platform={"os": "linux", "architecture": "arm64"})], "found linux/arm64"),
        ([_entry(platform=None), _entry(platform="x")], "found no platform, no platform"),
        ([_entry(mediaType=INDEX)], "the media type"),
        ([_entry(digest="sha256:../../x")], "64 lower-case hexadecimal"),
        ([_entry(size=-1)], "a size in every descriptor"),
        ([_entry(size=True)], "a size in every descriptor"),
    ],
)
def test_an_index_without_a_usable_image_is_refused(entries: Any, reason: str) -> None:  # noqa: ANN401 - any JSON
    with pytest.raises(RegistryContentError, match=reason):
        _read({"manifests": entries}, INDEX).select(Platform())


def test_layers_keep_their_order() -> None:
    layers = _read({"layers": [_layer(size=1), _layer(size=2)]}).layers()

    assert [layer.size for layer in layers] == [1, 2]


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([], "1 to 64 layers; found 0"),
        ([_layer()] * 65, "1 to 64 layers; found 65"),
        ([_layer(size=16 * 1024 * 1024 + 1)], "layers of at most 16777216 bytes"),
        ([_layer(size=16 * 1024 * 1024)] * 3, "together 33554432"),
        ([_layer(mediaType="application/vnd.oci.image.layer.v1.tar+zstd")], "the media type"),
        ([_layer(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")], "the media type"),
        ([_layer(digest=7)], "64 lower-case hexadecimal"),
        ([_layer(size="10")], "a size in every descriptor"),
    ],
)
def test_layers_that_a_bundle_cannot_have_are_refused(layers: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(RegistryContentError, match=reason):
        _read({"layers": layers}).layers()
