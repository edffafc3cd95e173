"""Pushes to the real Pushgateway and to servers that answer otherwise: groups, logins, every failure."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tasks.clients.pushgateway import Pushgateway, authorization_of, push_metrics
from tasks.core.drift.metrics import registry_of
from tasks.core.drift.results import FleetVerification
from tasks.core.errors import InputError, PublicationError, PublicationUnavailableError, Reaction
from tests.support.fleet_results import fleet, item, verified
from tests.support.pushgateways import PASSWORD, USER, RunningPushgateway

LOGIN = f"{USER}:{PASSWORD}"


def push(
    gateway: RunningPushgateway, name: str, of: FleetVerification, authorization: SecretStr | None = None
) -> None:
    push_metrics(Pushgateway(gateway.url, authorization), name, registry_of(name, of))


def push_to(server: HTTPServer, authorization: SecretStr | None = None) -> None:
    target = Pushgateway(server.url_for("/"), authorization)
    push_metrics(target, "prod", registry_of("prod", fleet(verified("a"))))


def test_a_push_replaces_the_group_so_that_series_of_clusters_that_are_gone_go(
    pushgateway: RunningPushgateway,
) -> None:
    push(pushgateway, "prod", fleet(verified("gone", item()), verified("stays")))
    push(pushgateway, "prod", fleet(verified("stays")))

    assert pushgateway.series("osok_verification_reads") == {("stays", "prod"): 18.0}


def test_two_fleets_have_two_groups(pushgateway: RunningPushgateway) -> None:
    push(pushgateway, "prod", fleet(verified("a")))
    push(pushgateway, "test", fleet(verified("b")))

    assert pushgateway.groups() == [
        {"job": "osok-verify-fleet", "fleet": "prod"},
        {"job": "osok-verify-fleet", "fleet": "test"},
    ]
    assert pushgateway.series("osok_verification_reads") == {("a", "prod"): 18.0, ("b", "test"): 18.0}


def test_a_login_is_a_user_with_password(guarded_pushgateway: RunningPushgateway) -> None:
    push(guarded_pushgateway, "prod", fleet(verified("a")), authorization_of(SecretStr(LOGIN)))

    assert guarded_pushgateway.series("osok_verification_reads") == {("a", "prod"): 18.0}


def test_a_login_without_a_colon_is_a_bearer_token(httpserver: HTTPServer) -> None:
    """A Pushgateway knows none; proxies in front of it do."""
    token = {"Authorization": "Bearer eyJ0.abc_-+/="}
    httpserver.expect_request(
        "/metrics/job/osok-verify-fleet/fleet/prod", method="PUT", headers=token
    ).respond_with_data()

    push_to(httpserver, authorization_of(SecretStr("eyJ0.abc_-+/=")))

    assert len(httpserver.log) == 1


def test_a_refused_login_is_told_without_it(guarded_pushgateway: RunningPushgateway) -> None:
    wrong = authorization_of(SecretStr(f"{USER}:not:it"))

    with pytest.raises(PublicationError) as caught:
        push(guarded_pushgateway, "prod", fleet(verified("a")), wrong)

    assert str(caught.value) == (
        f"Could not push the metrics ({guarded_pushgateway.url}/metrics/job/osok-verify-fleet/fleet/prod): "
        "expected HTTP 200; found HTTP 401: Unauthorized. "
        "Name a Secret block with a valid login in pushgateway_login."
    )
    assert caught.value.retryable is False


@pytest.mark.parametrize("login", ["", " ", "ada:pass\r\nX-Evil: 1"])
def test_a_login_that_no_header_can_carry_is_refused_without_being_shown(login: str) -> None:
    with pytest.raises(PublicationError, match="bearer token") as caught:
        authorization_of(SecretStr(login))

    assert "Evil" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (400, Reaction.REFUSE),
        (404, Reaction.REFUSE),
        (429, Reaction.RETRY),
        (503, Reaction.RETRY),
    ],
)
def test_an_answer_other_than_200_is_an_error_that_may_pass_or_not(
    httpserver: HTTPServer, status: int, reaction: Reaction
) -> None:
    httpserver.expect_request("/metrics/job/osok-verify-fleet/fleet/prod", method="PUT").respond_with_data(
        "pushed metrics are\ninvalid " + "x" * 10_000, status=status
    )

    with pytest.raises(PublicationError, match=f"HTTP {status}: pushed metrics are invalid x") as caught:
        push_to(httpserver)

    assert caught.value.reaction is reaction
    assert len(str(caught.value)) < 500


def test_a_redirect_is_not_followed_with_the_login(httpserver: HTTPServer) -> None:
    asked: list[str] = []

    def redirect(request: Request) -> Response:
        asked.append(request.path)
        return Response(status=307, headers={"Location": httpserver.url_for("/elsewhere")})

    httpserver.expect_request("/metrics/job/osok-verify-fleet/fleet/prod").respond_with_handler(redirect)

    with pytest.raises(PublicationError, match="HTTP 307"):
        push_to(httpserver, SecretStr("Basic YWRh"))

    assert asked == ["/metrics/job/osok-verify-fleet/fleet/prod"]


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_gateway_that_says_nothing_is_given_up_in_time(silent: str) -> None:
    target = Pushgateway(silent, timeout=timedelta(milliseconds=200))

    with pytest.raises(PublicationUnavailableError, match="found ReadTimeout"):
        push_metrics(target, "prod", registry_of("prod", fleet(verified("a"))))


def test_a_gateway_that_is_not_there_may_come_back() -> None:
    with pytest.raises(PublicationUnavailableError, match="found ConnectError") as caught:
        push_metrics(Pushgateway("http://127.0.0.1:1"), "prod", registry_of("prod", fleet(verified("a"))))

    assert caught.value.retryable is True


def test_metrics_and_login_never_cross_a_network_in_the_clear() -> None:
    with pytest.raises(InputError, match="an https URL"):
        push_metrics(Pushgateway("http://192.0.2.1:9091"), "prod", registry_of("prod", fleet(verified("a"))))
