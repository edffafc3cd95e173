"""Release files, each pinned by its SHA-256, and the releases listing of GitHub."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx

from tasks.clients.files import read_file
from tasks.clients.web import Answer, Pacing, ReadRequest, WebErrors, WebReader, shown_url
from tasks.core.deadlines import Deadline
from tasks.core.errors import DownloadError, DownloadUnavailableError, InputError
from tasks.core.manifests import sha256_hex

MAX_DOWNLOAD_BYTES = 16 * 1024 * 1024
"""One file, in bytes. OLM's crds.yaml has about one MiB."""
MAX_RELEASE_PAGES = 10
RELEASES_PER_PAGE = 100

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REPOSITORY = re.compile(r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")
_ERRORS = WebErrors(unavailable=DownloadUnavailableError, refused=DownloadError)
_OK = 200


@dataclass(frozen=True)
class PinnedFile:
    """A file and the only content it may have.

    Attributes:
        location: An https URL (http on a loopback address), a `file://` URL or a path on the worker.
        sha256: 64 lower-case hexadecimal digits; never optional.

    Raises:
        InputError: `sha256` is missing or malformed.
    """

    location: str
    sha256: str

    def __post_init__(self) -> None:
        """A file without a pin could be replaced by anybody between it and us."""
        if not _SHA256.fullmatch(self.sha256):
            raise InputError(
                "use a release file",
                self.location,
                "its SHA-256 as 64 lower-case hexadecimal digits",
                repr(self.sha256[:80]),
                "Take it from the release's checksums, or compute it from a file that you trust.",
            )


def fetch_file(file: PinnedFile, deadline: Deadline, pacing: Pacing | None = None) -> bytes:
    """Read a file and verify its SHA-256.

    Raises:
        DownloadUnavailableError: No usable answer; retryable.
        DownloadError: It is not there, too large, or has other content than the pinned one.
        InputError: The location is neither a usable URL nor a path.
    """
    attempted = "get a release file"
    path = _local_path(file.location)
    if path is not None:
        content = read_file(path, MAX_DOWNLOAD_BYTES, attempted)
    else:
        content = _download(file.location, attempted, deadline, pacing)
    found = sha256_hex(content)
    if found != file.sha256:
        raise DownloadError(
            attempted,
            file.location if path else shown_url(file.location),
            f"SHA-256 {file.sha256}",
            f"{found} ({len(content)} bytes)",
            "The file is not the one that was pinned. Do not change the pin before you know why.",
        )
    return content


def list_releases(
    repository: str, deadline: Deadline, api_url: str = "https://api.github.com", pacing: Pacing | None = None
) -> list[dict[str, Any]]:
    """All releases of a GitHub repository, newest first as GitHub lists them.

    Args:
        repository: `owner/name`.
        deadline: When it has to be finished.
        api_url: Root of the GitHub API or of a mirror.
        pacing: Repetitions and pauses.

    Raises:
        DownloadUnavailableError: No usable answer, or GitHub's rate limit; retryable.
        DownloadError: Any other answer than a listing.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError("list releases", repository[:100], "owner/name")
    releases: list[dict[str, Any]] = []
    url = f"{api_url.rstrip('/')}/repos/{repository}/releases?per_page={RELEASES_PER_PAGE}"
    with WebReader(_ERRORS, pacing) as web:
        for _ in range(MAX_RELEASE_PAGES):
            answer = web.read(_listing_request(url, deadline))
            releases += _releases(answer, url)
            following = _next_page(answer, url)
            if following is None:
                return releases
            url = following
    return releases


def _local_path(location: str) -> Path | None:
    if "://" not in location:
        return Path(location).expanduser()
    parts = urlsplit(location)
    if parts.scheme != "file":
        return None
    if parts.netloc not in ("", "localhost"):
        raise InputError("get a release file", location[:200], "file:///path on this worker", parts.netloc)
    return Path(unquote(parts.path))


def _download(url: str, attempted: str, deadline: Deadline, pacing: Pacing | None) -> bytes:
    request = ReadRequest(url, attempted, deadline, limit_bytes=MAX_DOWNLOAD_BYTES)
    with WebReader(_ERRORS, pacing) as web:
        answer = web.read(request)
    if answer.status != _OK:
        found = f"HTTP {answer.status}"
        raise DownloadError(
            attempted, shown_url(url), "HTTP 200", found, "Check the location and the version."
        )
    return answer.body


def _listing_request(url: str, deadline: Deadline) -> ReadRequest:
    headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
    return ReadRequest(url, "list releases", deadline, headers=headers, limit_bytes=MAX_DOWNLOAD_BYTES)


def _releases(answer: Answer, url: str) -> list[dict[str, Any]]:
    attempted, subject = "list releases", shown_url(url)
    if answer.status in (403, 429) and answer.headers.get("x-ratelimit-remaining") == "0":
        raise DownloadUnavailableError(
            attempted,
            subject,
            "an answer",
            "GitHub's rate limit",
            "Name the version explicitly instead; then no listing is needed.",
        )
    try:
        document = json.loads(answer.body) if answer.status == _OK else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, list):
        raise DownloadError(attempted, subject, "a list of releases", f"HTTP {answer.status}")
    return [item for item in document if isinstance(item, dict)]


def _next_page(answer: Answer, url: str) -> str | None:
    # RFC 8288. A listing must not continue on another host.
    match = re.search(r'<([^<>]+)>\s*;\s*rel="next"', answer.headers.get("link", ""))
    if match is None:
        return None
    here = httpx.URL(url)
    try:
        following = here.join(match[1])
    except httpx.InvalidURL:
        return None
    same = (following.scheme, following.host, following.port) == (here.scheme, here.host, here.port)
    return str(following) if same else None
