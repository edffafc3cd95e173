"""Image manifests and indexes, in the OCI and in the Docker spelling, as far as a bundle needs them.

OCI image specification: manifest.md, image-index.md, descriptor.md.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.clients.registry.errors import RegistryContentError
from tasks.core.errors import InputError
from tasks.core.references import checked_digest

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
"""In bytes; the distribution specification makes registries take 4 MiB, and clients need not take more."""
MAX_LAYERS = 64
MAX_LAYER_BYTES = 16 * 1024 * 1024
"""One compressed layer, in bytes. Bundles have some ten kilobytes."""
MAX_IMAGE_BYTES = 32 * 1024 * 1024
"""All compressed layers together, in bytes."""

INDEX_TYPES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
IMAGE_TYPES = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
LAYER_TYPES = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
)
ACCEPT = ", ".join(sorted(INDEX_TYPES | IMAGE_TYPES))

_ATTEMPTED = "read the image's manifest"


@dataclass(frozen=True)
class Platform:
    """Which image of an index to take."""

    os: str = "linux"
    architecture: str = "amd64"


@dataclass(frozen=True)
class Descriptor:
    """Names some bytes: their media type, digest and size."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True)
class StoredManifest:
    """A manifest or an index as the registry stores it, its digest verified.

    Attributes:
        subject: Which image it belongs to, for messages.
        media_type: One of INDEX_TYPES or IMAGE_TYPES.
        digest: Of the stored bytes.
        document: Their content.
    """

    subject: str
    media_type: str
    digest: str
    document: Mapping[str, Any]

    @property
    def is_index(self) -> bool:
        """Whether it lists images for several platforms."""
        return self.media_type in INDEX_TYPES

    def select(self, platform: Platform) -> Descriptor:
        """The image of an index for a platform; a single image without a platform fits every one.

        Raises:
            RegistryContentError: There is none, or its descriptor is malformed.
        """
        entries = _mappings(self.document.get("manifests"))
        fitting = [entry for entry in entries if _fits(entry, platform)]
        if not fitting and len(entries) == 1 and not entries[0].get("platform"):
            fitting = entries
        if not fitting:
            found = ", ".join(_platform_name(entry) for entry in entries[:10]) or "none"
            raise self._error(f"an image for {platform.os}/{platform.architecture}", found)
        return self._descriptor(fitting[0], IMAGE_TYPES)

    def layers(self) -> list[Descriptor]:
        """The layers from the lowest to the highest, within the limits.

        Raises:
            RegistryContentError: There are too many, they are too large, or of a kind that a bundle has not.
        """
        entries = _mappings(self.document.get("layers"))
        if not 0 < len(entries) <= MAX_LAYERS:
            raise self._error(f"1 to {MAX_LAYERS} layers", str(len(entries)))
        layers = [self._descriptor(entry, LAYER_TYPES) for entry in entries]
        total = sum(layer.size for layer in layers)
        if total > MAX_IMAGE_BYTES or any(layer.size > MAX_LAYER_BYTES for layer in layers):
            expected = f"layers of at most {MAX_LAYER_BYTES} bytes, together {MAX_IMAGE_BYTES}"
            raise self._error(expected, f"{[layer.size for layer in layers]}"[:200])
        return layers

    def _descriptor(self, entry: Mapping[str, Any], allowed: frozenset[str]) -> Descriptor:
        media_type, digest, size = str(entry.get("mediaType")), entry.get("digest"), entry.get("size")
        if media_type not in allowed:
            raise self._error(f"the media type {' or '.join(sorted(allowed))}", media_type[:100])
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise self._error("a size in every descriptor", repr(size)[:100])
        try:
            return Descriptor(media_type, checked_digest(str(digest), self.subject), size)
        except InputError as error:
            raise self._error(error.expected, error.found) from error

    def _error(self, expected: str, found: str) -> RegistryContentError:
        return RegistryContentError(_ATTEMPTED, self.subject, expected, found)


def read_stored_manifest(body: bytes, content_type: str, digest: str, subject: str) -> StoredManifest:
    """Read a manifest whose digest was verified.

    Raises:
        RegistryContentError: It is no JSON object, of an unknown type, or says two different things about it.
    """
    document = _json_object(body, subject)
    header_type = content_type.partition(";")[0].strip().lower()
    media_type = str(document.get("mediaType", header_type))
    known = INDEX_TYPES | IMAGE_TYPES
    # One document must not be an index to one reader and an image to another (CVE-2021-41190).
    ambiguous = "manifests" in document and ("layers" in document or "config" in document)
    if media_type not in known or (header_type in known and header_type != media_type) or ambiguous:
        raise RegistryContentError(
            _ATTEMPTED,
            subject,
            "one image manifest or index of the OCI or Docker (schema 2) kind",
            f"Content-Type {header_type[:80]!r}, mediaType {media_type[:80]!r}"
            + (", both layers and manifests" if ambiguous else ""),
        )
    return StoredManifest(subject, media_type, digest, document)


def _json_object(body: bytes, subject: str) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RegistryContentError(_ATTEMPTED, subject, "JSON", "something else") from error
    if not isinstance(document, dict):
        raise RegistryContentError(_ATTEMPTED, subject, "a JSON object", f"a {type(document).__name__}")
    return document


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _fits(entry: Mapping[str, Any], platform: Platform) -> bool:
    found = entry.get("platform")
    if not isinstance(found, dict):
        return False
    return (found.get("os"), found.get("architecture")) == (platform.os, platform.architecture)


def _platform_name(entry: Mapping[str, Any]) -> str:
    found = entry.get("platform")
    if not isinstance(found, dict):
        return "no platform"
    return f"{found.get('os')}/{found.get('architecture')}"[:40]
