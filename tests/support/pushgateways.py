"""A Pushgateway on loopback: PUT replaces a group, GET shows everything that was pushed, by its API's rules.

It reads what it gets with prometheus_client's own parser, so that nothing but the text format passes.
"""

import gzip
import re

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response


class PushgatewayServer:
    """Groups of metrics by the path under which they were pushed.

    Attributes:
        logins: The headers `Authorization` of all pushes.
        login: What a push has to have in that header; empty: nothing.
    """

    def __init__(self, server: HTTPServer) -> None:
        self._groups: dict[str, list[Metric]] = {}
        self.logins: list[str] = []
        self.login = ""
        self.url = server.url_for("").rstrip("/")
        server.expect_request(re.compile("/metrics/.*")).respond_with_handler(self._answer)

    def series(self, name: str) -> dict[tuple[str, ...], float]:
        """The values of a metric in all groups, by cluster and fleet and the other labels."""
        found = [sample for group in self._groups.values() for family in group for sample in family.samples]
        return {_key(sample): sample.value for sample in found if sample.name == name}

    def paths(self) -> list[str]:
        """The paths of all groups."""
        return sorted(self._groups)

    def _answer(self, request: Request) -> Response:
        """One push."""
        login = request.headers.get("Authorization", "")
        self.logins.append(login)
        if login != self.login:
            return Response("Unauthorized\n", 401)
        if request.method != "PUT":
            return Response("no such method\n", 405)
        text = gzip.decompress(request.get_data()).decode()
        self._groups[request.path] = list(text_string_to_metric_families(text))
        return Response(status=200)


def _key(sample: Sample) -> tuple[str, ...]:
    return tuple(sample.labels.values())
