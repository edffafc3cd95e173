"""Which release of the OCI Service Operator to install (R6): a fixed 1.x version, never 'latest'."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from typing_extensions import override

from tasks.core.errors import InputError, PrerequisiteError

SUPPORTED_MAJOR = 1
"""The release line with OCI Service Mesh. Version 2 has none, so its bundle lacks what R8–R10 verify."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_ATTEMPTED = "choose the operator's release"
_EXAMPLE = "a version such as 1.1.9"


@dataclass(frozen=True, order=True)
class ReleaseVersion:
    """A semantic version; ordered among stable versions."""

    major: int
    minor: int
    patch: int
    prerelease: str = ""

    @override
    def __str__(self) -> str:
        """The version as bundle tags spell it, without a leading v."""
        suffix = f"-{self.prerelease}" if self.prerelease else ""
        return f"{self.major}.{self.minor}.{self.patch}{suffix}"


def choose_version(wanted: str) -> ReleaseVersion:
    """Accept an explicit version, with or without a leading v.

    Raises:
        InputError: It is 'latest', not a version, a prerelease, or of a line without OCI Service Mesh.
    """
    if wanted.strip().lower() == "latest":
        raise InputError(
            _ATTEMPTED,
            expected=_EXAMPLE,
            found="'latest'",
            next_step="It names another release tomorrow, and today one without OCI Service Mesh.",
        )
    version = parse_version(wanted.strip())
    if version is None:
        raise InputError(_ATTEMPTED, expected=_EXAMPLE, found=repr(wanted[:60]))
    _refuse_unsupported(version)
    return version


def newest_supported(releases: Iterable[Mapping[str, object]]) -> ReleaseVersion:
    """The newest stable release of the supported line in GitHub's listing (`GET /repos/…/releases`).

    Drafts, prereleases and tags that are no versions are passed over.

    Raises:
        PrerequisiteError: The listing has no such release.
    """
    stable = list(_stable(releases))
    supported = [version for version in stable if version.major == SUPPORTED_MAJOR]
    if not supported:
        others = ", ".join(str(version) for version in sorted(stable)) or "no stable release at all"
        raise PrerequisiteError(
            _ATTEMPTED,
            "the releases listing",
            f"a stable release {SUPPORTED_MAJOR}.x",
            others,
            "Name the version explicitly, or check the releases URL.",
        )
    return max(supported)


def _stable(releases: Iterable[Mapping[str, object]]) -> Iterator[ReleaseVersion]:
    for release in releases:
        version = parse_version(str(release.get("tag_name", "")))
        unfinished = release.get("draft") or release.get("prerelease")
        if version is not None and not unfinished and not version.prerelease:
            yield version


def parse_version(text: str) -> ReleaseVersion | None:
    """Read a semantic version, with or without a leading v; None when it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        return None
    major, minor, patch, prerelease, _ = match.groups()
    return ReleaseVersion(int(major), int(minor), int(patch), (prerelease or "")[1:])


def _refuse_unsupported(version: ReleaseVersion) -> None:
    if version.major != SUPPORTED_MAJOR:
        raise InputError(
            _ATTEMPTED,
            expected=f"a release {SUPPORTED_MAJOR}.x",
            found=str(version),
            next_step="Releases since 2.0 have no OCI Service Mesh: its CRDs and webhooks are not in them.",
        )
    if version.prerelease:
        raise InputError(_ATTEMPTED, expected="a stable release", found=str(version))
