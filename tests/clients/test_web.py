"""Bounded HTTP reads against a real server: redirects, limits, deadlines, repetitions, certificates."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import httpx
import pytest
import trustme
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tasks.clients.web import Method, Pacing, ReadRequest, WebErrors, WebReader, redirect_target
from tasks.core.deadlines import Deadline
from tasks.core.errors import DownloadError, DownloadUnavailableError, InputError
from tests.support.release_server import NO_PAUSES, deadline

ERRORS = WebErrors(unavailable=DownloadUnavailableError, refused=DownloadError)


@pytest.fixture
def web() -> Iterator[WebReader]:
    with WebReader(ERRORS, NO_PAUSES) as reader:
        yield reader


def _request(url: str, authorization: str = "", limit_bytes: int = 1024) -> ReadRequest:
    secret = SecretStr(authorization) if authorization else None
    return ReadRequest(url, "read a page", deadline(), authorization=secret, limit_bytes=limit_bytes)


def test_an_answer_has_status_headers_and_body(web: WebReader, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data("tea", headers={"X-Kind": "green"})

    answer = web.read(_request(httpserver.url_for("/a")))

    assert (answer.status, answer.headers["x-kind"], answer.body) == (200, "green", b"tea")
    assert not answer.redirected


def test_a_head_request_reads_headers_only(web: WebReader, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a", method="HEAD").respond_with_data("tea")
    request = ReadRequest(httpserver.url_for("/a"), "read a page", deadline(), Method.HEAD, limit_bytes=0)

    answer = web.read(request)

    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_other_answers_are_for_the_caller_to_judge(
    web: WebReader, httpserver: HTTPServer, status: int
) -> None:
    httpserver.expect_request("/a").respond_with_data("no", status=status)

    assert web.read(_request(httpserver.url_for("/a"))).status == status


def test_a_redirect_is_followed_with_the_credentials_of_the_same_host(
    web: WebReader, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/a").respond_with_data(status=302, headers={"Location": "/b"})
    httpserver.expect_request("/b", headers={"Authorization": "Basic x"}).respond_with_data("tea")

    answer = web.read(_request(httpserver.url_for("/a"), "Basic x"))

    assert (answer.body, answer.redirected) == (b"tea", True)


def test_a_redirect_to_another_host_carries_no_credentials(web: WebReader, httpserver: HTTPServer) -> None:
    elsewhere = httpserver.url_for("/b").replace("localhost", "127.0.0.1")
    httpserver.expect_request("/a").respond_with_data(status=307, headers={"Location": elsewhere})
    httpserver.expect_request("/b").respond_with_handler(_authorization)

    assert web.read(_request(httpserver.url_for("/a"), "Basic x")).body == b"None"


def test_credentials_do_not_come_back_with_a_redirect_that_returns(
    web: WebReader, httpserver: HTTPServer
) -> None:
    elsewhere = httpserver.url_for("/b").replace("localhost", "127.0.0.1")
    httpserver.expect_request("/a").respond_with_data(status=307, headers={"Location": elsewhere})
    back = httpserver.url_for("/c")
    httpserver.expect_request("/b").respond_with_data(status=307, headers={"Location": back})
    httpserver.expect_request("/c").respond_with_handler(_authorization)

    assert web.read(_request(httpserver.url_for("/a"), "Basic x")).body == b"None"


def _authorization(request: Request) -> Response:
    return Response(str(request.headers.get("Authorization")))


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://example.com/b", "a redirect to an https URL"),
        ("ftp://example.com/b", "a redirect to an https URL"),
        ("https://user:secret@example.com/b", "a URL without credentials"),
    ],
)
def test_a_redirect_that_loses_its_protection_is_refused(
    web: WebReader, httpserver: HTTPServer, location: str, reason: str
) -> None:
    httpserver.expect_request("/a").respond_with_data(status=302, headers={"Location": location})

    with pytest.raises(DownloadError, match=reason) as caught:
        web.read(_request(httpserver.url_for("/a")))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.1/x", "https://localhost/x", "https://169.254.169.254/x", "https://0.0.0.0/x"],
)
def test_a_server_outside_cannot_send_the_worker_to_its_own_network(location: str) -> None:
    """169.254.169.254 gives a cloud machine's credentials to whoever asks from it."""
    with pytest.raises(InputError, match="a public host"):
        redirect_target(httpx.URL("https://registry.example.com/v2/"), location, "test")


def test_a_redirect_to_a_malformed_address_is_refused() -> None:
    with pytest.raises(InputError, match="a malformed address"):
        redirect_target(httpx.URL("https://registry.example.com/v2/"), "https://[::1", "test")


def test_a_server_outside_may_send_the_worker_to_another_one() -> None:
    here = httpx.URL("https://registry.example.com/v2/")

    assert redirect_target(here, "https://cdn.example.net/x", "test").host == "cdn.example.net"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/a", "an https URL"),
        ("file:///etc/passwd", "an https URL"),
        ("https:///a", "an https URL"),
        ("https://user:secret@example.com/a", "without credentials"),
        ("https://[::1/a", "a malformed address"),
        ("http://127.0.0.1.example.com/a", "an https URL"),
    ],
)
def test_an_address_that_protects_nothing_is_refused(web: WebReader, url: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        web.read(_request(url))

    assert "secret" not in str(caught.value)


def test_a_body_over_the_limit_is_refused(web: WebReader, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data(b"x" * 1025)

    with pytest.raises(DownloadError, match="at most 1024 bytes; found more"):
        web.read(_request(httpserver.url_for("/a")))


def test_an_encoded_body_is_refused(web: WebReader, httpserver: HTTPServer) -> None:
    """A digest is one of the bytes as they are stored; and a small encoded body may be a large one."""
    httpserver.expect_request("/a").respond_with_data(b"x", headers={"Content-Encoding": "gzip"})

    with pytest.raises(DownloadError, match="content encoding 'gzip'"):
        web.read(_request(httpserver.url_for("/a")))


def _busy_twice(httpserver: HTTPServer, retry_after: str = "") -> str:
    headers = {"Retry-After": retry_after} if retry_after else {}
    for _ in range(2):
        httpserver.expect_ordered_request("/a").respond_with_data(status=503, headers=headers)
    httpserver.expect_ordered_request("/a").respond_with_data("tea")
    return httpserver.url_for("/a")


def test_the_pauses_grow(httpserver: HTTPServer) -> None:
    pauses: list[float] = []
    with WebReader(ERRORS, Pacing(sleep=pauses.append, jitter=lambda: 0.0)) as web:
        answer = web.read(_request(_busy_twice(httpserver)))

    assert (answer.body, pauses) == (b"tea", [0.5, 1.0])


def test_jitter_shortens_a_pause_by_up_to_half() -> None:
    pacing = Pacing(jitter=lambda: 1.0)

    assert pacing.pause_before(2, timedelta(0)) == timedelta(milliseconds=250)


def test_a_pause_has_an_upper_end() -> None:
    pacing = Pacing(jitter=lambda: 0.0)

    assert pacing.pause_before(60, timedelta(0)) == timedelta(seconds=8)


def test_the_server_says_how_long_to_wait(httpserver: HTTPServer) -> None:
    pauses: list[float] = []
    with WebReader(ERRORS, Pacing(sleep=pauses.append, jitter=lambda: 0.0)) as web:
        web.read(_request(_busy_twice(httpserver, retry_after="7")))

    assert pauses == [7.0, 7.0]


@pytest.mark.parametrize("nonsense", ["soon", "-1", "99999999999999", "²"])
def test_nonsense_in_retry_after_is_ignored(httpserver: HTTPServer, nonsense: str) -> None:
    pauses: list[float] = []
    with WebReader(ERRORS, Pacing(sleep=pauses.append, jitter=lambda: 0.0)) as web:
        web.read(_request(_busy_twice(httpserver, retry_after=nonsense)))

    assert pauses == [0.5, 1.0]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_after_the_last_attempt_the_error_is_retryable(
    web: WebReader, httpserver: HTTPServer, status: int
) -> None:
    httpserver.expect_request("/a").respond_with_data(status=status)

    with pytest.raises(DownloadUnavailableError, match=f"found HTTP {status}") as caught:
        web.read(_request(httpserver.url_for("/a?signature=secret")))

    assert len(httpserver.log) == NO_PAUSES.attempts
    assert "secret" not in str(caught.value)


def test_a_wait_that_would_miss_the_deadline_is_not_begun(httpserver: HTTPServer) -> None:
    pauses: list[float] = []
    httpserver.expect_request("/a").respond_with_data(status=429, headers={"Retry-After": "600"})

    with (
        WebReader(ERRORS, Pacing(sleep=pauses.append)) as web,
        pytest.raises(DownloadUnavailableError, match="HTTP 429, Retry-After: 600"),
    ):
        web.read(_request(httpserver.url_for("/a")))

    assert pauses == []


def test_a_body_that_does_not_end_is_given_up_at_the_deadline(web: WebReader, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/a").respond_with_data(b"x" * 1000)
    ticks = itertools.count()
    soon = Deadline(clock=lambda: next(ticks) * 1000.0, expires_at=1000.0)

    with pytest.raises(DownloadUnavailableError, match="no end before the deadline"):
        web.read(ReadRequest(httpserver.url_for("/a"), "read a page", soon))


def test_nothing_is_sent_after_the_deadline(web: WebReader, httpserver: HTTPServer) -> None:
    over = Deadline(clock=lambda: 1.0, expires_at=1.0)

    with pytest.raises(DownloadUnavailableError, match="nothing before the deadline"):
        web.read(ReadRequest(httpserver.url_for("/a"), "read a page", over))

    assert httpserver.log == []


def test_a_header_that_cannot_be_sent_is_not_quoted(web: WebReader, httpserver: HTTPServer) -> None:
    with pytest.raises(DownloadUnavailableError, match="LocalProtocolError") as caught:
        web.read(_request(httpserver.url_for("/a"), "Bearer secret\nsecond line"))

    assert "secret" not in str(caught.value)


def test_loopback_addresses_are_reached_without_the_proxy(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    httpserver.expect_request("/a").respond_with_data("tea")

    with WebReader(ERRORS, NO_PAUSES) as web:
        assert web.read(_request(httpserver.url_for("/a"))).body == b"tea"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_server(authority: trustme.CA) -> Iterator[HTTPServer]:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with HTTPServer(host="localhost", ssl_context=context) as server:
        server.expect_request("/a").respond_with_data("tea")
        yield server


def test_a_private_authority_is_trusted_when_it_is_named(
    tls_server: HTTPServer, authority: trustme.CA
) -> None:
    """R5: a registry of a disconnected realm has a certificate of its own authority."""
    pem = authority.cert_pem.bytes().decode()

    with WebReader(ERRORS, NO_PAUSES, ca_certificates=pem) as web:
        assert web.read(_request(tls_server.url_for("/a"))).body == b"tea"


def test_an_unknown_authority_is_refused_and_not_retried(web: WebReader, tls_server: HTTPServer) -> None:
    with pytest.raises(DownloadError, match="a certificate from a trusted authority") as caught:
        web.read(_request(tls_server.url_for("/a")))

    assert not caught.value.retryable


def test_ca_certificates_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="certificates in PEM form"):
        WebReader(ERRORS, ca_certificates="-----BEGIN NOTHING-----")
