"""HTTP reads that are bounded in size, in time and in whom they trust.

Transport security is never optional: plain HTTP is for loopback addresses only. Proxies are taken from the
environment (HTTPS_PROXY, NO_PROXY), except for loopback addresses.
"""

import ipaddress
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from types import TracebackType
from typing import Self

import httpx
from pydantic import SecretStr

from tasks.core.deadlines import Deadline
from tasks.core.errors import FleetError, InputError

MAX_REDIRECTS = 5
_UNAVAILABLE_STATUS = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECT_STATUS = frozenset({301, 302, 303, 307, 308})
_REQUEST_TIMEOUT = timedelta(seconds=30)
_USER_AGENT = "osok-fleet"


class Method(StrEnum):
    """The two HTTP methods that read."""

    GET = "GET"
    HEAD = "HEAD"


@dataclass(frozen=True)
class WebErrors:
    """Which errors the reader raises on behalf of its client.

    Attributes:
        unavailable: No usable answer; retryable.
        refused: An answer that must not be used.
    """

    unavailable: type[FleetError]
    refused: type[FleetError]


@dataclass(frozen=True)
class Pacing:
    """How often and how fast a request is repeated when no usable answer came.

    Attributes:
        attempts: Requests in all.
        first_pause: Before the second request; doubled each time.
        longest_pause: The end of the doubling.
        sleep: Waits for that many seconds.
        jitter: Returns a number from 0 to 1; a pause is shortened by up to half of it.
    """

    attempts: int = 4
    first_pause: timedelta = timedelta(milliseconds=500)
    longest_pause: timedelta = timedelta(seconds=8)
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random

    def pause_before(self, attempt: int, wanted_by_server: timedelta) -> timedelta:
        """How long to wait before attempt 2, 3, …; never shorter than the server asks for."""
        doublings = min(attempt - 2, 16)
        grown: timedelta = min(self.longest_pause, self.first_pause * 2**doublings)
        return max(grown * (1 - self.jitter() / 2), wanted_by_server)


@dataclass(frozen=True)
class ReadRequest:
    """One thing to read.

    Attributes:
        url: Where; https, or http on a loopback address.
        attempted: What is attempted, for messages.
        deadline: When it has to be finished, repetitions and pauses included.
        method: GET, or HEAD for the headers only.
        headers: Sent along redirects too, so nothing secret.
        authorization: Sent to the host of `url` only.
        limit_bytes: The largest body that is accepted.
    """

    url: str
    attempted: str
    deadline: Deadline
    method: Method = Method.GET
    headers: Mapping[str, str] = field(default_factory=dict)
    authorization: SecretStr | None = None
    limit_bytes: int = 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: The headers.
        body: Empty for HEAD.
        redirected: Whether another URL than the one asked for answered.
    """

    status: int
    headers: httpx.Headers
    body: bytes
    redirected: bool


class _NoUsableAnswerError(Exception):
    def __init__(self, found: str, wait: timedelta = timedelta(0)) -> None:
        super().__init__(found)
        self.found = found
        self.wait = wait


class WebReader:
    """Reads over HTTP(S); thread-safe like the client below it.

    Args:
        errors: The error types of the client that it reads for.
        pacing: Repetitions and pauses.
        ca_certificates: PEM certificates that are trusted besides the public ones.

    Raises:
        InputError: `ca_certificates` holds no certificate.
    """

    def __init__(self, errors: WebErrors, pacing: Pacing | None = None, ca_certificates: str = "") -> None:
        self._errors = errors
        self._pacing = pacing or Pacing()
        context = _ssl_context(ca_certificates)
        self._outside = httpx.Client(verify=context)
        self._loopback = httpx.Client(verify=context, trust_env=False)

    def __enter__(self) -> Self:
        """Nothing is opened before the first request."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._outside.close()
        self._loopback.close()

    def read(self, request: ReadRequest) -> Answer:
        """Read, repeat while no usable answer comes, follow redirects.

        Answers like 401, 403 and 404 are returned; what they mean is known to the caller.

        Raises:
            FleetError: `errors.unavailable` after the last attempt or at the deadline; `errors.refused` for
                a body over the limit, a redirect that loses its protection, or an untrusted certificate.
            InputError: The URL cannot be used.
        """
        check_url(request.url, request.attempted)
        attempt = 1
        while True:
            try:
                return self._follow(request)
            except _NoUsableAnswerError as failure:
                attempt += 1
                pause = self._pacing.pause_before(attempt, failure.wait)
                if attempt > self._pacing.attempts or pause >= request.deadline.left():
                    raise self._unavailable(request, failure) from None
                self._pacing.sleep(pause.total_seconds())

    def _unavailable(self, request: ReadRequest, failure: _NoUsableAnswerError) -> FleetError:
        return self._errors.unavailable(
            request.attempted,
            shown_url(request.url),
            "an answer",
            failure.found,
            "Run it again later, and check the address, the proxy and the rate limits of the server.",
        )

    def _follow(self, request: ReadRequest) -> Answer:
        url, authorization = httpx.URL(request.url), request.authorization
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._exchange(request, url, authorization)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECT_STATUS or not location:
                return answer
            target = self._redirect_target(request, url, location)
            if _origin(target) != _origin(url):
                authorization = None
            url = target
        raise self._refused(request, f"at most {MAX_REDIRECTS} redirects", "more")

    def _redirect_target(self, request: ReadRequest, url: httpx.URL, location: str) -> httpx.URL:
        try:
            return redirect_target(url, location, request.attempted)
        except InputError as error:
            raise self._refused(request, f"a redirect to {error.expected}", error.found) from None

    def _exchange(self, request: ReadRequest, url: httpx.URL, authorization: SecretStr | None) -> Answer:
        headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity", **request.headers}
        if authorization is not None:
            headers["Authorization"] = authorization.get_secret_value()
        client = self._loopback if is_loopback(url.host) else self._outside
        timeout = min(_REQUEST_TIMEOUT, request.deadline.left()).total_seconds()
        if timeout <= 0:
            raise _NoUsableAnswerError("nothing before the deadline")
        with (
            self._translated(request),
            client.stream(request.method.value, url, headers=headers, timeout=timeout) as response,
        ):
            if response.status_code in _UNAVAILABLE_STATUS:
                raise _unavailable_answer(response)
            body = b"".join(self._body(request, response))
            redirected = url != httpx.URL(request.url)
            return Answer(response.status_code, response.headers, body, redirected)

    @contextmanager
    def _translated(self, request: ReadRequest) -> Iterator[None]:
        # The causes are dropped: httpx exceptions hold the request, and with it the credentials.
        try:
            yield
        except (httpx.TransportError, httpx.StreamError) as error:
            untrusted = _untrusted_certificate(error)
            if untrusted is not None:
                raise self._refused(request, "a certificate from a trusted authority", untrusted) from None
            # This one quotes the header that we sent.
            detail = "" if isinstance(error, httpx.LocalProtocolError) else f": {error}"
            raise _NoUsableAnswerError(f"{type(error).__name__}{detail}"[:200]) from None

    def _body(self, request: ReadRequest, response: httpx.Response) -> Iterator[bytes]:
        if request.method is Method.HEAD:
            return
        encoding = response.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise self._refused(request, "an answer as it is stored", f"content encoding {encoding[:40]!r}")
        received = 0
        for chunk in response.iter_raw():
            received += len(chunk)
            if received > request.limit_bytes:
                raise self._refused(request, f"at most {request.limit_bytes} bytes", "more")
            if request.deadline.expired:
                raise _NoUsableAnswerError(f"{received} bytes and no end before the deadline")
            yield chunk

    def _refused(self, request: ReadRequest, expected: str, found: str) -> FleetError:
        return self._errors.refused(request.attempted, shown_url(request.url), expected, found)


def check_url(url: str, attempted: str) -> None:
    """Accept https URLs, and http on a loopback address.

    Raises:
        InputError: It is another scheme, has no host, or carries credentials.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InputError(attempted, url[:100], "an https URL", "a malformed address") from error
    if parsed.userinfo:
        raise InputError(attempted, shown_url(url), "a URL without credentials in it", "a user or a password")
    safe = parsed.scheme == "https" or (parsed.scheme == "http" and is_loopback(parsed.host))
    if not parsed.host or not safe:
        expected = "an https URL (http is for loopback addresses only)"
        raise InputError(attempted, shown_url(url), expected, shown_url(url))


def redirect_target(url: httpx.URL, location: str, attempted: str) -> httpx.URL:
    """Where a redirect leads.

    Raises:
        InputError: It loses its protection, or a server outside sends the worker to services that only the
            worker's own machine or network sees.
    """
    try:
        target = url.join(location)
    except httpx.InvalidURL as error:
        raise InputError(attempted, shown_url(str(url)), "an https URL", "a malformed address") from error
    check_url(str(target), attempted)
    if _is_internal(target.host) and not is_loopback(url.host):
        raise InputError(attempted, shown_url(str(url)), "a public host", shown_url(str(target)))
    return target


def shown_url(url: str) -> str:
    """A URL as messages may show it: without credentials and query, which can hold a signature."""
    parsed = httpx.URL(url)
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.scheme}://{parsed.host}{port}{parsed.path}"[:300]


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_internal(host: str) -> bool:
    if is_loopback(host):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # Link-local addresses serve a cloud machine's own credentials (169.254.169.254).
    return address.is_link_local or address.is_unspecified


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _unavailable_answer(response: httpx.Response) -> _NoUsableAnswerError:
    wait = response.headers.get("retry-after", "")
    seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 7 else 0  # noqa: PLR2004 - a week
    note = f", Retry-After: {wait[:40]}" if wait.isprintable() and wait else ""
    return _NoUsableAnswerError(f"HTTP {response.status_code}{note}", timedelta(seconds=seconds))


def _untrusted_certificate(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        cause = cause.__cause__ or cause.__context__
    return None


@lru_cache(maxsize=16)  # Reading the public authorities takes longer than a request.
def _ssl_context(ca_certificates: str) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_certificates:
        try:
            context.load_verify_locations(cadata=ca_certificates)
        except (ssl.SSLError, ValueError) as error:
            raise InputError("use the CA certificates", "", "certificates in PEM form", "none") from error
    return context
