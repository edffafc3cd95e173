"""Builds bundle images in memory, in the spellings that registries hold: OCI and Docker, single and index."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tasks.core.manifests import Manifest, sha256_hex


class MediaTypes(StrEnum):
    """The media types of both spellings."""

    OCI_INDEX = "application/vnd.oci.image.index.v1+json"
    OCI_IMAGE = "application/vnd.oci.image.manifest.v1+json"
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Spelling:
    """The media types that belong together."""

    index: MediaTypes
    image: MediaTypes
    config: MediaTypes
    layer: MediaTypes


OCI = Spelling(MediaTypes.OCI_INDEX, MediaTypes.OCI_IMAGE, MediaTypes.OCI_CONFIG, MediaTypes.OCI_LAYER)
DOCKER = Spelling(
    MediaTypes.DOCKER_LIST, MediaTypes.DOCKER_IMAGE, MediaTypes.DOCKER_CONFIG, MediaTypes.DOCKER_LAYER
)


@dataclass(frozen=True)
class StoredContent:
    """Bytes in a registry and the media type they are served with."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the bytes."""
        return f"sha256:{sha256_hex(self.body)}"

    def descriptor(self) -> Manifest:
        """How a manifest names these bytes (OCI image specification, descriptor.md)."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}


@dataclass
class Repository:
    """One repository: manifests by tag and by digest, blobs by digest."""

    manifests: dict[str, StoredContent] = field(default_factory=dict)
    blobs: dict[str, StoredContent] = field(default_factory=dict)

    def add_image(
        self, layers: Sequence[bytes], labels: Mapping[str, str], spelling: Spelling
    ) -> StoredContent:
        """Store an image and its blobs; its manifest is found by digest."""
        config_document = {"architecture": "amd64", "os": "linux", "config": {"Labels": dict(labels)}}
        config = self._add_blob(StoredContent(spelling.config, _json(config_document)))
        stored = [self._add_blob(StoredContent(spelling.layer, layer)) for layer in layers]
        document = {
            "schemaVersion": 2,
            "mediaType": spelling.image.value,
            "config": config.descriptor(),
            "layers": [layer.descriptor() for layer in stored],
        }
        return self.add_manifest(StoredContent(spelling.image, _json(document)))

    def add_index(self, image: StoredContent, spelling: Spelling) -> StoredContent:
        """Store an index with the image for linux/amd64 and the attestation that builders put beside it."""
        attestation = StoredContent(spelling.image, b"{}")
        document = {
            "schemaVersion": 2,
            "mediaType": spelling.index.value,
            "manifests": [
                {**attestation.descriptor(), "platform": {"os": "unknown", "architecture": "unknown"}},
                {**image.descriptor(), "platform": {"os": "linux", "architecture": "amd64"}},
            ],
        }
        return self.add_manifest(StoredContent(spelling.index, _json(document)))

    def add_manifest(self, manifest: StoredContent) -> StoredContent:
        """Store a manifest under its digest."""
        self.manifests[manifest.digest] = manifest
        return manifest

    def tag(self, tag: str, manifest: StoredContent) -> None:
        """Name a manifest."""
        self.manifests[tag] = manifest

    def _add_blob(self, blob: StoredContent) -> StoredContent:
        self.blobs[blob.digest] = blob
        return blob


def layer_of(files: Mapping[str, bytes]) -> bytes:
    """A tar.gz of plain files; equal files give equal bytes."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(target.getvalue(), mtime=0)


def _json(document: Manifest) -> bytes:
    return json.dumps(document, sort_keys=True, indent=2).encode()
