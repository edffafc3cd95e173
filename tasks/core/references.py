"""Image references: `registry/repository:tag@sha256:…`, read strictly and written back the same way.

The grammar follows the OCI distribution specification ("Pulling manifests") and the reference grammar of the
container engines, without their unwritten defaults: a registry is always named, and a tag is never invented.
"""

import re
from dataclasses import dataclass, replace

from typing_extensions import override

from tasks.core.errors import InputError

_ATTEMPTED = "read an image reference"
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LONGEST = 512
_EXAMPLE = "registry.example.com/team/bundle:1.1.9"


@dataclass(frozen=True)
class ImageReference:
    """One image or artifact in one registry.

    Attributes:
        registry: Host, with a port where one is named.
        repository: Path inside the registry.
        tag: Empty when only a digest is known.
        digest: `sha256:` and 64 hexadecimal digits, empty when only a tag is known. It wins over the tag.
    """

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @override
    def __str__(self) -> str:
        """The reference as it was written."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def target(self) -> str:
        """What the registry is asked for: the digest when there is one, the tag otherwise."""
        return self.digest or self.tag

    def pinned(self, digest: str) -> "ImageReference":
        """The same image, bound to the bytes with this digest.

        Raises:
            InputError: It is not a SHA-256 digest.
        """
        return replace(self, digest=checked_digest(digest, str(self)))


def checked_digest(digest: str, subject: str) -> str:
    """Return a digest unchanged when it is one.

    Raises:
        InputError: It is anything but `sha256:` and 64 lower-case hexadecimal digits.
    """
    if not _DIGEST.fullmatch(digest):
        expected = "sha256: and 64 lower-case hexadecimal digits"
        raise InputError("read an image digest", subject, expected, digest[:100] or "nothing")
    return digest


def parse_reference(text: str) -> ImageReference:
    """Read an image reference that names its registry and a tag or a digest.

    Raises:
        InputError: A part is missing or malformed; the message says which.
    """
    subject = text[:200]
    if len(text) > _LONGEST or text != text.strip():
        raise InputError(_ATTEMPTED, subject, f"at most {_LONGEST} characters and no white space around them")
    if "://" in text:
        raise InputError(_ATTEMPTED, subject, f"a reference without a scheme, such as {_EXAMPLE}", "a URL")
    name, at, digest = text.partition("@")
    if at:
        checked_digest(digest, subject)
    registry, repository, tag = _split_name(name, subject)
    if not tag and not digest:
        raise InputError(
            _ATTEMPTED, subject, "a tag or a digest", "neither", "Nothing is pulled as 'latest' by default."
        )
    return ImageReference(registry, repository, tag, digest)


def _split_name(name: str, subject: str) -> tuple[str, str, str]:
    registry, slash, rest = name.partition("/")
    looks_like_host = "." in registry or ":" in registry or registry == "localhost"
    if not slash or not looks_like_host or not _HOST.fullmatch(registry):
        raise InputError(
            _ATTEMPTED, subject, f"a registry host before the first slash, as in {_EXAMPLE}", registry[:100]
        )
    repository, colon, tag = rest.partition(":")
    if not _REPOSITORY.fullmatch(repository):
        expected = "a repository of lower-case letters, digits and single . _ - between them"
        raise InputError(_ATTEMPTED, subject, expected, repository[:100] or "nothing")
    if colon and not _TAG.fullmatch(tag):
        expected = "a tag of at most 128 letters, digits and . _ -"
        raise InputError(_ATTEMPTED, subject, expected, tag[:150] or "nothing")
    return registry.lower(), repository, tag
