"""An operator bundle in the registry+v1 format, read and checked before anything of it reaches a cluster.

Format: operator-registry docs/design/operator-bundle.md. The rules are in `tasks.core.bundle_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from tasks.core.bundle_rules import (
    CRD_KIND,
    SUPPORTED_KINDS,
    BundleDocument,
    InstallMode,
    bundle_error,
    check_csv,
    check_custom_resources,
    check_plain_json,
    check_unique,
    items_of,
    mapping_at,
    only_csv,
    supported_modes,
)
from tasks.core.errors import ManifestError
from tasks.core.manifests import Manifest, read_manifests

ANNOTATIONS_FILE = "metadata/annotations.yaml"
_PREFIX = "operators.operatorframework.io.bundle."
_MEDIA_TYPE = "registry+v1"
MAX_METADATA_BYTES = 64 * 1024
"""One file of metadata/, in bytes; a few lines are usual."""
_MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Bundle:
    """One release of one operator, checked by `read_bundle`.

    Attributes:
        package: The package's name in catalogs.
        channels: The channels this release is published in, at least one.
        default_channel: One of them.
        csv: The ClusterServiceVersion.
        objects: Every other manifest, in the order of the file names.
        annotations: The bundle's annotations.
        dependencies: What the catalog has to say about required packages and APIs (`type`, `value`).
        source: Where the bundle came from, for messages and reports.
        digest: Digest of the image it was pulled from, empty for a folder or an archive.
    """

    package: str
    channels: tuple[str, ...]
    default_channel: str
    csv: Manifest
    objects: tuple[Manifest, ...]
    annotations: Mapping[str, str]
    dependencies: tuple[Manifest, ...]
    source: str
    digest: str = ""

    @property
    def name(self) -> str:
        """The ClusterServiceVersion's name, which is what a Subscription installs."""
        return str(self.csv["metadata"]["name"])

    @property
    def version(self) -> str:
        """The operator's version as its ClusterServiceVersion says it."""
        return str(self.csv["spec"]["version"])

    @property
    def install_modes(self) -> frozenset[InstallMode]:
        """The supported install modes."""
        return frozenset(InstallMode(mode) for mode in supported_modes(self.csv))

    @property
    def definitions(self) -> tuple[Manifest, ...]:
        """The CustomResourceDefinitions."""
        return tuple(manifest for manifest in self.objects if manifest["kind"] == CRD_KIND)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All manifests, the ClusterServiceVersion first."""
        return (self.csv, *self.objects)


def read_bundle(files: Mapping[str, bytes], source: str, digest: str = "") -> Bundle:
    """Read a bundle from its files.

    Args:
        files: Content by path, as in the image: `manifests/…`, `metadata/annotations.yaml`.
        source: Where they came from: an image reference, a folder or an archive.
        digest: Digest of the image, if it was one.

    Raises:
        ManifestError: It breaks a rule of the format, or OLM could not install it; names the file.
    """
    annotations = _read_annotations(files, source)
    documents = _read_documents(files, annotations, source)
    csv = only_csv(documents, source)
    check_unique(documents, source)
    check_csv(csv, source)
    check_custom_resources(csv, documents, source)
    channels = _channels(annotations, source)
    return Bundle(
        package=_required(annotations, "package.v1", source),
        channels=channels,
        default_channel=_default_channel(annotations, channels, source),
        csv=csv.manifest,
        objects=tuple(document.manifest for document in documents if document is not csv),
        annotations=annotations,
        dependencies=_read_dependencies(files, source),
        source=source,
        digest=digest,
    )


def _read_metadata(files: Mapping[str, bytes], path: str, source: str) -> Manifest:
    content = files.get(path, b"")
    if len(content) > MAX_METADATA_BYTES:
        raise bundle_error(source, path, f"at most {MAX_METADATA_BYTES} bytes", f"{len(content)} bytes")
    try:
        document = yaml.safe_load(content.decode())
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise bundle_error(source, path, "YAML", f"{error}"[:300]) from error
    if document is not None and not isinstance(document, dict):
        raise bundle_error(source, path, "a mapping", f"a {type(document).__name__}")
    check_plain_json(document or {}, source, path)
    return document or {}


def _read_annotations(files: Mapping[str, bytes], source: str) -> dict[str, str]:
    if ANNOTATIONS_FILE not in files:
        found = f"{len(files)} files: {', '.join(sorted(files)[:5])}" if files else "no file"
        raise bundle_error(source, ANNOTATIONS_FILE, "the bundle's annotations", found)
    document = _read_metadata(files, ANNOTATIONS_FILE, source)
    texts = {str(key): str(value) for key, value in mapping_at(document, "annotations").items()}
    media_type = _required(texts, "mediatype.v1", source)
    if media_type != _MEDIA_TYPE:
        raise bundle_error(source, ANNOTATIONS_FILE, f"media type {_MEDIA_TYPE}", media_type)
    return texts


def _required(annotations: Mapping[str, str], key: str, source: str) -> str:
    value = annotations.get(_PREFIX + key, "").strip()
    if not value:
        raise bundle_error(source, ANNOTATIONS_FILE, f"the annotation {_PREFIX}{key}", "none")
    return value


def _channels(annotations: Mapping[str, str], source: str) -> tuple[str, ...]:
    names = [name.strip() for name in _required(annotations, "channels.v1", source).split(",")]
    channels = tuple(name for name in names if name)
    if not channels:
        raise bundle_error(source, ANNOTATIONS_FILE, "at least one channel", "none")
    return channels


def _default_channel(annotations: Mapping[str, str], channels: tuple[str, ...], source: str) -> str:
    default = annotations.get(f"{_PREFIX}channel.default.v1", "").strip() or channels[0]
    if default not in channels:
        raise bundle_error(
            source, ANNOTATIONS_FILE, f"a default channel out of {', '.join(channels)}", default
        )
    return default


def _read_documents(
    files: Mapping[str, bytes], annotations: Mapping[str, str], source: str
) -> list[BundleDocument]:
    folder = PurePosixPath(_required(annotations, "manifests.v1", source))
    paths = sorted(path for path in files if PurePosixPath(path).parent == folder and _is_manifest(path))
    if not paths:
        raise bundle_error(source, f"{folder}/", "manifests", "no .yaml or .json file")
    return [BundleDocument(path, _read_manifest(files[path], source, path)) for path in paths]


def _is_manifest(path: str) -> bool:
    name = PurePosixPath(path).name
    return not name.startswith(".") and name.endswith(_MANIFEST_SUFFIXES)


def _read_manifest(content: bytes, source: str, path: str) -> Manifest:
    try:
        manifests = read_manifests(content.decode(), path)
    except ManifestError as error:
        raise bundle_error(source, path, error.expected, error.found) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise bundle_error(source, path, "a manifest in UTF-8", type(error).__name__) from error
    # opm reads the first object of a file only, so a second one would be lost without a word.
    if len(manifests) != 1:
        raise bundle_error(source, path, "one object in each file", f"{len(manifests)} objects")
    manifest = manifests[0]
    if manifest["kind"] not in SUPPORTED_KINDS:
        raise bundle_error(source, path, "a kind that OLM installs from a bundle", str(manifest["kind"]))
    check_plain_json(manifest, source, path)
    return manifest


def _read_dependencies(files: Mapping[str, bytes], source: str) -> tuple[Manifest, ...]:
    required = _read_entries(files, "metadata/dependencies.yaml", "dependencies", source)
    properties = _read_entries(files, "metadata/properties.yaml", "properties", source)
    return (*map(_as_catalog_property, required), *properties)


def _read_entries(files: Mapping[str, bytes], path: str, key: str, source: str) -> list[Manifest]:
    entries = items_of(_read_metadata(files, path, source), key)
    for entry in entries:
        if not isinstance(entry.get("type"), str) or "value" not in entry:
            raise bundle_error(
                source, path, "a type and a value in every entry", f"{sorted(map(str, entry))}"
            )
    return [{"type": entry["type"], "value": entry["value"]} for entry in entries]


def _as_catalog_property(dependency: Manifest) -> Manifest:
    # A bundle says olm.package {packageName, version} where a catalog says olm.package.required
    # {packageName, versionRange}; olm.gvk likewise; constraints are the same in both.
    kind, value = dependency["type"], dependency["value"]
    if kind == "olm.package" and isinstance(value, dict):
        value = {"packageName": value.get("packageName"), "versionRange": value.get("version")}
    return {"type": f"{kind}.required" if kind in ("olm.package", "olm.gvk") else kind, "value": value}
