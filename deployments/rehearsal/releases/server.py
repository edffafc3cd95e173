"""The release server: one process-local HTTP server on two loopback addresses, ready when `start` returns."""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import override

from deployments.rehearsal.bundle.writing import bundle_files, bundle_labels
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases.exchange import Reply, SeenRequest
from deployments.rehearsal.releases.files import (
    METRICS_SERVER_PATH,
    ReleaseFiles,
    crds_from_modules,
    olm_path,
)
from deployments.rehearsal.releases.listing import REPOSITORY, releases
from deployments.rehearsal.releases.registry import Registry, RegistryLogin
from deployments.rehearsal.releases.repositories import RepositoryName, Tag, bundle_repositories
from tasks.core.manifests import sha256_hex

_ADDRESS = "127.0.0.1"
_STORAGE_ADDRESS = "127.0.0.2"
_LISTING_PATH = f"/repos/{REPOSITORY}/releases"


@dataclass(frozen=True)
class ReleasedFile:
    """A file that can be downloaded, and the pin for it."""

    url: str
    sha256: str


class ReleaseServer:
    """Stands in for the hosts outside: release downloads, a container registry, the GitHub API.

    Args:
        olm_crds: Finds the CRD files of an OLM release when they are first asked for.
        bundle: The operator's bundle by path; None: the rehearsal's own.
    """

    def __init__(
        self,
        olm_crds: Callable[[OlmVersion], Sequence[Path]] = crds_from_modules,
        bundle: Mapping[str, bytes] | None = None,
    ) -> None:
        self.login = RegistryLogin()
        """What the private repositories take."""
        self.seen: list[SeenRequest] = []
        """Every request, in the order of their arrival."""
        self._files = ReleaseFiles(olm_crds)
        own = {path: content.encode() for path, content in bundle_files().items()}
        files = own if bundle is None else bundle
        self._repositories = bundle_repositories(files, bundle_labels())
        self._registry = Registry(self._repositories, self.login)
        self._servers: list[ThreadingHTTPServer] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1 (and on 127.0.0.2 as the storage host); port 0 takes a free one."""
        for address, wanted in ((_ADDRESS, port), (_STORAGE_ADDRESS, 0)):
            server = ThreadingHTTPServer((address, wanted), _handler(self._reply))
            self._servers.append(server)
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), name=f"releases {address}")
            thread.start()
            self._threads.append(thread)
        self._registry.storage = self.storage

    def stop(self) -> None:
        """Stop listening; returns when the ports are free."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()
        self._servers.clear()
        self._threads.clear()

    @property
    def url(self) -> str:
        """The root of all paths, also of the stand-in for the GitHub API."""
        return f"http://{self.registry}"

    @property
    def registry(self) -> str:
        """host:port, as image references name the registry."""
        return f"{_ADDRESS}:{self._servers[0].server_address[1]}"

    @property
    def storage(self) -> str:
        """host:port of the host that blobs of the public repository are redirected to."""
        return f"{_STORAGE_ADDRESS}:{self._servers[1].server_address[1]}"

    @property
    def olm_location(self) -> str:
        """Where an OLM release's crds.yaml and olm.yaml are, with {version} left to be replaced."""
        return f"{self.url}/olm/{{version}}"

    @property
    def metrics_server_location(self) -> str:
        """Where the metrics server's manifest is, with {version} left to be replaced."""
        return f"{self.url}/metrics-server/v{{version}}/high-availability.yaml"

    def file(self, path: str) -> ReleasedFile:
        """A file by its path, such as `/olm/0.46.0/crds.yaml`.

        Raises:
            KeyError: There is none.
        """
        content = self._files.find(path)
        if content is None:
            raise KeyError(path)
        return ReleasedFile(self.url + path, sha256_hex(content))

    def olm_file(self, version: OlmVersion, name: str) -> ReleasedFile:
        """`crds.yaml` or `olm.yaml` of a release."""
        return self.file(olm_path(version, name))

    def metrics_server_file(self) -> ReleasedFile:
        """The manifest of the metrics server."""
        return self.file(METRICS_SERVER_PATH)

    def image(self, repository: RepositoryName = RepositoryName.PUBLIC, tag: str = Tag.INDEX) -> str:
        """A reference to the bundle image in one of the repositories."""
        return f"{self.registry}/{repository.value}:{tag}"

    def image_digest(self, repository: RepositoryName = RepositoryName.PUBLIC, tag: str = Tag.INDEX) -> str:
        """The digest that the tag stands for."""
        return self._repositories[repository].manifests[tag].digest

    def _reply(self, request: SeenRequest) -> Reply:
        self.seen.append(request)
        content = self._files.find(request.path)
        if content is not None:
            return Reply(200, content, {"Content-Type": "application/yaml"})
        if request.path == _LISTING_PATH:
            return _listing(request)
        return self._registry.answer(request) or Reply(404, b"nothing here")


def _listing(request: SeenRequest) -> Reply:
    everything = releases()
    size = int(request.query.get("per_page", "30"))
    page = int(request.query.get("page", "1"))
    following = f"http://{request.host}{_LISTING_PATH}?per_page={size}&page={page + 1}"
    more = {"Link": f'<{following}>; rel="next"'} if page * size < len(everything) else {}
    body = json.dumps(everything[(page - 1) * size : page * size]).encode()
    return Reply(200, body, {"Content-Type": "application/json", **more})


def _handler(reply_to: Callable[[SeenRequest], Reply]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Requests are kept in `seen` instead."""

        def _answer(self, *, with_body: bool) -> None:
            parts = urlsplit(self.path)
            reply = reply_to(
                SeenRequest(
                    host=self.headers.get("Host", ""),
                    method=self.command,
                    path=parts.path,
                    query=dict(parse_qsl(parts.query)),
                    authorization=self.headers.get("Authorization", ""),
                )
            )
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self.wfile.write(reply.body[: reply.sent_bytes])
            self.close_connection = self.close_connection or reply.sent_bytes is not None

    return Handler
