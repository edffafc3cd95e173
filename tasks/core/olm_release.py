"""An OLM release as manifests: its pins, its order, and what it must not be asked to do (R2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.errors import InputError, ManifestError
from tasks.core.manifests import Manifest, read_manifests, ref_of
from tasks.core.settings import OlmRelease

_CRD_KIND = "CustomResourceDefinition"

BUILT_IN_PINS: Mapping[str, tuple[str, str]] = {
    "0.20.0": (
        "b3041ba41aae1d3de393a8b92eff6bf2725dc5232bf6ba7c41c3763e72ac60ff",
        "e9c4d05fd1c565ef68e63878a880d44ad2cfb17173ea0e87794b8426897e7786",
    )
}
"""SHA-256 of crds.yaml and olm.yaml as released (operator-sdk v1.20.1, hack/generate/olm_bindata.sh)."""


@dataclass(frozen=True)
class ReleaseFile:
    """One file of a release.

    Attributes:
        location: URL or path.
        sha256: The pin, 64 hexadecimal digits.
    """

    location: str
    sha256: str


class OlmManifests:
    """What an OLM release installs, in the order in which it has to be written.

    Not a dataclass: Prefect walks through dataclasses in task arguments, and these are megabytes of JSON.
    """

    def __init__(self, version: str, crds: tuple[Manifest, ...], objects: tuple[Manifest, ...]) -> None:
        self.version = version
        self.crds = crds
        self.objects = objects


def normalised_version(version: str) -> str:
    """A version without the leading `v`: releases and CSV labels disagree about it (operator-sdk#5951)."""
    return version.removeprefix("v")


def release_files(release: OlmRelease) -> tuple[ReleaseFile, ReleaseFile]:
    """Where crds.yaml and olm.yaml come from, with their pins.

    Raises:
        InputError: The release has no pin for one of the files.
    """
    version = normalised_version(release.version)
    known = BUILT_IN_PINS.get(version, ("", ""))
    base = release.location.replace("{version}", version).rstrip("/")
    files = (
        ReleaseFile(f"{base}/crds.yaml", release.crds_sha256 or known[0]),
        ReleaseFile(f"{base}/olm.yaml", release.olm_sha256 or known[1]),
    )
    missing = [
        name
        for name, file in zip(("olm.crds_sha256", "olm.olm_sha256"), files, strict=True)
        if not file.sha256
    ]
    if missing:
        raise InputError(
            f"install OLM {version}",
            " and ".join(missing),
            "the SHA-256 of the release file",
            "nothing, and no pin is built in for that version",
            "Download the file once, check it, and give the output of sha256sum as the parameter.",
        )
    return files


def read_release(version: str, crds_yaml: str, olm_yaml: str) -> OlmManifests:
    """Read both files of a release.

    Raises:
        ManifestError: A file is malformed, crds.yaml holds something else than CRDs, or the files are of
            another version than asked for (the packageserver CSV tells).
    """
    crds = read_manifests(crds_yaml, "crds.yaml")
    objects = read_manifests(olm_yaml, "olm.yaml")
    for manifest in crds:
        if manifest["kind"] != _CRD_KIND:
            raise ManifestError("read the OLM release", "crds.yaml", "CRDs only", str(ref_of(manifest)))
        manifest.pop("status", None)
    found = {
        normalised_version(str(manifest.get("spec", {}).get("version", "")))
        for manifest in objects
        if manifest["kind"] == "ClusterServiceVersion" and manifest["metadata"]["name"] == "packageserver"
    }
    for manifest in objects:
        _normalise_csv_version(manifest)
    wanted = normalised_version(version)
    if found != {wanted}:
        raise ManifestError(
            "read the OLM release",
            "olm.yaml: ClusterServiceVersion packageserver",
            f"spec.version {wanted}",
            ", ".join(sorted(found)) or "no such object",
            "Do not use OLM's deploy/upstream/quickstart: it is a stale 0.18.3.",
        )
    return OlmManifests(wanted, tuple(crds), tuple(objects))


def _normalise_csv_version(manifest: Manifest) -> None:
    # OLM rewrites spec.version as it parsed it, without the `v` of the releases, and owns the field then.
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "ClusterServiceVersion" and "version" in spec:
        spec["version"] = normalised_version(str(spec["version"]))
