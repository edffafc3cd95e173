"""What the rehearsal's registry holds: the bundle in several spellings, and one repository per fault."""

from collections.abc import Mapping
from enum import StrEnum

from deployments.rehearsal.releases.image_building import DOCKER, OCI, Repository, StoredContent, layer_of

VERSION = "1.1.9"
OVERSIZED_LAYER_BYTES = 40 * 1024 * 1024 * 1024
"""What the layer of `faults/huge-layer` claims to have."""


class RepositoryName(StrEnum):
    """The repositories; the bundle's tag is `1.1.9` in each."""

    PUBLIC = "oracle/oci-service-operator-bundle"
    """Anonymous tokens are given out; blobs are redirected to a storage host, as clouds do it."""
    PRIVATE = "private/oci-service-operator-bundle"
    """Token challenge without a scope; tokens for the rehearsal's user only."""
    BASIC = "basic/oci-service-operator-bundle"
    """Basic challenge; the rehearsal's user only."""
    BEARER = "bearer/oci-service-operator-bundle"
    """Takes the rehearsal's bearer token only."""
    TOO_MANY_REQUESTS = "faults/too-many-requests"
    UNAVAILABLE_TWICE = "faults/unavailable-twice"
    """503 for the first two requests."""
    TAMPERED_MANIFEST = "faults/tampered-manifest"
    TAMPERED_BLOB = "faults/tampered-blob"
    OVERSIZED_BLOB = "faults/oversized-blob"
    """More bytes than the manifest says."""
    HUGE_LAYER = "faults/huge-layer"
    """A manifest that announces a layer of 40 GiB."""
    TRUNCATED_BLOB = "faults/truncated-blob"
    """The connection ends in the middle, each time."""
    HOSTILE_ARCHIVE = "faults/hostile-archive"
    """A layer with a name outside of it."""
    TOKEN_ELSEWHERE = "faults/token-elsewhere"  # noqa: S105 - the name of a repository
    """The challenge names a token server on another host."""
    REDIRECT_LOOP = "faults/redirect-loop"
    """Blobs are redirected in a circle."""


class Tag(StrEnum):
    """The tags of the bundle."""

    INDEX = VERSION
    """An OCI index."""
    OCI_IMAGE = f"{VERSION}-oci"
    DOCKER_IMAGE = f"{VERSION}-docker"
    DOCKER_LIST = f"{VERSION}-docker-list"
    LAYERED = f"{VERSION}-layered"
    """Three layers: a draft, the bundle, and a whiteout of the draft's own file."""


def bundle_repositories(files: Mapping[str, bytes], labels: Mapping[str, str]) -> dict[str, Repository]:
    """Make all repositories for one bundle."""
    repositories = {name.value: _repository(files, labels) for name in RepositoryName}
    _announce_huge_layer(repositories[RepositoryName.HUGE_LAYER])
    _make_hostile(repositories[RepositoryName.HOSTILE_ARCHIVE], labels)
    return repositories


def _repository(files: Mapping[str, bytes], labels: Mapping[str, str]) -> Repository:
    repository = Repository()
    manifests = {path: content for path, content in files.items() if path.startswith("manifests/")}
    others = {path: content for path, content in files.items() if path not in manifests}
    layers = [layer_of(manifests), layer_of(others)]
    for spelling, image_tag, index_tag in (
        (OCI, Tag.OCI_IMAGE, Tag.INDEX),
        (DOCKER, Tag.DOCKER_IMAGE, Tag.DOCKER_LIST),
    ):
        image = repository.add_image(layers, labels, spelling)
        repository.tag(image_tag, image)
        repository.tag(index_tag, repository.add_index(image, spelling))
    draft = layer_of({"manifests/draft.yaml": b"kind: Draft", **dict.fromkeys(files, b"draft")})
    whiteout = layer_of({"manifests/.wh.draft.yaml": b""})
    repository.tag(Tag.LAYERED, repository.add_image([draft, *layers, whiteout], labels, OCI))
    return repository


def _announce_huge_layer(repository: Repository) -> None:
    image = repository.manifests[Tag.OCI_IMAGE]
    sizes = [blob.descriptor()["size"] for blob in repository.blobs.values()]
    body = image.body
    for size in sizes:
        body = body.replace(f'"size": {size}'.encode(), f'"size": {OVERSIZED_LAYER_BYTES}'.encode())
    repository.tag(Tag.INDEX, repository.add_manifest(StoredContent(image.media_type, body)))


def _make_hostile(repository: Repository, labels: Mapping[str, str]) -> None:
    layer = layer_of({"../../etc/cron.d/bundle": b"* * * * * root true"})
    repository.tag(Tag.INDEX, repository.add_image([layer], labels, OCI))
