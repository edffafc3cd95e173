"""Sends metrics to a Prometheus Pushgateway (github.com/prometheus/pushgateway, README, "API").

A push replaces everything that was pushed under the same grouping key, so that series of clusters that are
gone go with it. Redirects are not followed: they could lead the login elsewhere.
"""

import base64
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import httpx
from prometheus_client import CollectorRegistry, push_to_gateway
from pydantic import SecretStr

from tasks.clients.web import check_url, is_loopback, shown_url
from tasks.core.errors import PublicationError, PublicationUnavailableError

JOB = "osok-verify-fleet"
"""The label `job` of everything that is pushed."""
_ATTEMPTED = "push the metrics"
_UNAVAILABLE_STATUS = frozenset({408, 429})
_FIRST_SERVER_ERROR = 500
_SHOWN = 200


@dataclass(frozen=True)
class Pushgateway:
    """Where metrics are pushed.

    Attributes:
        url: https, or http on a loopback address.
        authorization: The header of that name; None for none.
        timeout: For connecting and for each pause of the answer.
    """

    url: str
    authorization: SecretStr | None = None
    timeout: timedelta = timedelta(seconds=10)


def push_metrics(gateway: Pushgateway, fleet: str, registry: CollectorRegistry) -> None:
    """Put the metrics in place of all that were pushed for that fleet before.

    Raises:
        InputError: The address is not one that may be used.
        PublicationUnavailableError: There is no usable answer; it may come later.
        PublicationError: The Pushgateway refuses the metrics or the login.
    """
    check_url(gateway.url, _ATTEMPTED)
    push_to_gateway(
        gateway.url,
        JOB,
        registry,
        {"fleet": fleet},
        gateway.timeout.total_seconds(),
        _handler(gateway),
        compression="gzip",
    )


def authorization_of(login: SecretStr) -> SecretStr:
    """The header for `user:password` (RFC 7617), or for a bearer token, which has no colon (RFC 6750).

    Raises:
        PublicationError: It is neither.
    """
    text = login.get_secret_value().strip()
    if not text or not text.isprintable():
        raise PublicationError(
            "log in to the Pushgateway",
            expected="user:password, or a bearer token",
            found="an empty value" if not text else "characters that no header may have",
            next_step="Correct the Secret block.",
        )
    if ":" in text:
        return SecretStr(f"Basic {base64.b64encode(text.encode()).decode()}")
    return SecretStr(f"Bearer {text}")


def _handler(gateway: Pushgateway) -> Callable[..., Callable[[], None]]:
    """prometheus_client's interface for the one who sends the request."""

    def prepare(
        url: str, method: str, timeout: float | None, headers: Iterable[tuple[str, str]], data: bytes
    ) -> Callable[[], None]:
        request = httpx.Request(method, url, headers=dict(headers), content=data)
        if gateway.authorization is not None:
            request.headers["authorization"] = gateway.authorization.get_secret_value()
        return lambda: _send(request, timeout)

    return prepare


def _send(request: httpx.Request, timeout: float | None) -> None:
    outside = not is_loopback(request.url.host)
    place = shown_url(str(request.url))
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=outside) as client,
            closing(client.send(request, stream=True)) as answer,
        ):
            beginning = next(answer.iter_text(_SHOWN), "")
    except httpx.HTTPError as error:
        raise PublicationUnavailableError(
            _ATTEMPTED,
            place,
            "an answer",
            type(error).__name__,
            "Is the Pushgateway up, and may the worker reach it?",
        ) from None
    if answer.is_success:
        return
    text = "".join(one if one.isprintable() else " " for one in beginning).strip()
    found = f"HTTP {answer.status_code}" + (f": {text}" if text else "")
    again = answer.status_code >= _FIRST_SERVER_ERROR or answer.status_code in _UNAVAILABLE_STATUS
    kind = PublicationUnavailableError if again else PublicationError
    raise kind(_ATTEMPTED, place, "HTTP 200", found, _advice(answer.status_code))


def _advice(status: int) -> str:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return "Name a Secret block with a valid login in pushgateway_login."
    return "The log of the Pushgateway says more."
