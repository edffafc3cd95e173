"""The tenancy's listener: one address per region, signatures verified, lists cut into pages, faults made."""

import itertools
import json
import ssl
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import rsa
from typing_extensions import override

from deployments.rehearsal.tenancy.answers import (
    Answer,
    Caller,
    Listing,
    RefusedError,
    Request,
    Route,
    not_found,
)
from deployments.rehearsal.tenancy.certificates import CertificatesService
from deployments.rehearsal.tenancy.clusters import ClusterService
from deployments.rehearsal.tenancy.dump import dump_text
from deployments.rehearsal.tenancy.faults import Fault, FaultKind, Faults
from deployments.rehearsal.tenancy.identity import IdentityService
from deployments.rehearsal.tenancy.platform import FEDERATION_PATH, InstanceAuthority
from deployments.rehearsal.tenancy.sessions import PREFIX
from deployments.rehearsal.tenancy.signatures import SignedRequest, verify
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.tokens import ClusterTokens, NamespaceService, RegistryTokens
from deployments.rehearsal.tenancy.vaults import VaultService

_LARGEST_PAGE = 1000
STATE_PATH = "/rehearsal/state"


@dataclass(frozen=True)
class Listen:
    """Where a region's address is.

    Attributes:
        host: An address of 127.0.0.0/8.
        port: The port; 0 for any that is free.
        tls: The server's certificate and key; None for plain HTTP, which the SDK speaks too.
    """

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None


@dataclass
class Traffic:
    """What was asked: how often each operation, and how many requests at once at most."""

    operations: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, method: str, path: str) -> None:
        """Count a request."""
        with self.lock:
            self.operations[f"{method} {path}"] += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)

    def end(self) -> None:
        """The request was answered."""
        with self.lock:
            self.at_once -= 1


class TenancyServer:
    """One region of the rehearsal's tenancies.

    Args:
        store: The tenancies, shared by the servers of all regions.
        region: The region, as `eu-frankfurt-1`.
        listen: Where to listen.
        page_size: How many items a page has when the caller does not say.
    """

    def __init__(self, store: Store, region: str, listen: Listen | None = None, page_size: int = 100) -> None:
        self.store = store
        self.region = region
        self.page_size = page_size
        self.faults = Faults()
        self.traffic = Traffic()
        self.registry = RegistryTokens()
        self.cluster_tokens = ClusterTokens(store, self._find_key, lambda: self.url)
        self.after_write: Callable[[int], None] = lambda _count: None
        """Called after every write that was carried out, before it is answered, with its number."""
        self._writes = itertools.count(1)
        self._listen = listen or Listen()
        self._server = _Listener((self._listen.host, self._listen.port), _handler_for(self))
        if self._listen.tls:
            self._server.socket = self._listen.tls.wrap_socket(self._server.socket, server_side=True)
        self._routes: list[Route] = [
            *IdentityService(store, region).routes(),
            *VaultService(store, region, lambda: self.url).routes(),
            *CertificatesService(store, region).routes(),
            *ClusterService(store, region).routes(),
            *NamespaceService(store).routes(),
        ]

    @cached_property
    def instances(self) -> InstanceAuthority:
        """Who knows the instances of this region; made when the first one is needed."""
        return InstanceAuthority(self.store)

    @property
    def url(self) -> str:
        """The address for `service_endpoint` of the SDK's clients."""
        scheme = "https" if self._listen.tls else "http"
        return f"{scheme}://{self._listen.host}:{self._server.server_address[1]}"

    def start(self) -> None:
        """Answer requests until `stop`."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def respond(self, signed: SignedRequest) -> Answer:
        """Answer a request, or refuse it the way the services do."""
        parts = urlsplit(signed.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == STATE_PATH:
            return Answer(dump_text(self.store))
        if parts.path == RegistryTokens.PATH:
            return self._respond_with_token(signed, query)
        if parts.path == FEDERATION_PATH:
            return self.instances.exchange(signed)
        if parts.path.startswith(ClusterTokens.PATH):
            return self.cluster_tokens.review(parts.path.removeprefix(ClusterTokens.PATH), signed.body)
        caller = verify(signed, self._find_key, self.store.clock())
        for route in self._routes:
            values = route.match(signed.method, parts.path)
            if values is not None:
                request = Request(caller, values, query, signed.headers, signed.body)
                with self.store.lock:
                    answer = self._page(route.handler(request), request)
                if signed.method != "GET":
                    self.after_write(next(self._writes))
                return answer
        raise not_found()

    def _respond_with_token(self, signed: SignedRequest, query: dict[str, str]) -> Answer:
        authorization = signed.headers.get("authorization", "")
        if authorization.startswith("Signature "):
            verify(signed, self._find_key, self.store.clock())
            return self.registry.answer_signed(query.get("scope", ""))
        return self.registry.answer(authorization, query.get("scope", ""))

    def _find_key(self, key_id: str) -> tuple[rsa.RSAPublicKey, Caller] | None:
        if key_id.startswith(PREFIX):
            return self.store.sessions.read(key_id.removeprefix(PREFIX), self.store.clock())
        tenancy_id, _, rest = key_id.partition("/")
        tenancy = self.store.tenancies.get(tenancy_id)
        key = tenancy.keys.get(key_id) if tenancy else None
        return (key, Caller(tenancy_id, rest.partition("/")[0])) if key else None

    def _page(self, answer: Answer | Listing, request: Request) -> Answer:
        if isinstance(answer, Answer):
            return answer
        size = min(int(request.query.get("limit", self.page_size)), _LARGEST_PAGE)
        start = int(request.query.get("page", "0"))
        items = answer.items[start : start + size]
        more = start + size < len(answer.items)
        headers = {"opc-next-page": str(start + size)} if more else {}
        return Answer({"items": items} if answer.wrapped else items, headers=headers)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news; the faults do it on purpose."""


def _handler_for(server: TenancyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        tenancy_server = server

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without these two every answer waits 40 ms for a delayed acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = -1
    tenancy_server: TenancyServer

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Requests are counted, not printed."""

    def _handle(self) -> None:
        path = urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.tenancy_server.traffic.begin(self.command, path)
        try:
            fault = self.tenancy_server.faults.next_for(self.command, path)
            if fault and fault.kind is FaultKind.RESET:
                self._hang_up()
                return
            self._answer(fault, body)
        finally:
            self.tenancy_server.traffic.end()

    def _answer(self, fault: Fault | None, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        signed = SignedRequest(self.command, self.path, headers, body)
        try:
            _apply(fault)
            answer = self.tenancy_server.respond(signed)
        except RefusedError as error:
            data = {"code": error.code, "message": error.message}
            extra = {"retry-after": f"{fault.seconds:g}"} if fault and error.status == 429 else {}  # noqa: PLR2004 - HTTP
            answer = Answer(data, error.status, extra)
        if fault and fault.kind is FaultKind.LOST:
            self._hang_up()
            return
        self._send(answer)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _send(self, answer: Answer) -> None:
        payload = answer.data if isinstance(answer.data, bytes) else json.dumps(answer.data).encode()
        self.send_response(answer.status)
        request_id = self.headers.get("opc-request-id") or uuid.uuid4().hex.upper()
        shared = {"Content-Type": "application/json", "Content-Length": str(len(payload))}
        for name, value in {**shared, "opc-request-id": request_id, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()


def _apply(fault: Fault | None) -> None:
    match fault:
        case Fault(kind=FaultKind.THROTTLED):
            raise RefusedError(429, "TooManyRequests", "Tenancy request rate limit exceeded.")
        case Fault(kind=FaultKind.BROKEN):
            raise RefusedError(500, "InternalServerError", "Out of host capacity.")
        case Fault(kind=FaultKind.NOT_FOUND):
            raise not_found()
        case Fault(kind=FaultKind.SLOW):
            time.sleep(fault.seconds)
        case _:
            return
