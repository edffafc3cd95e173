"""The Pushgateway of the Prometheus project on loopback, with or without a login."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deployments.rehearsal.ports import free_ports
from deployments.rehearsal.processes import Command, ProcessGroup
from deployments.rehearsal.programs import GoModule, OlmVersion, Programs, ensure_programs
from tasks.clients.polling import deadline_after, wait_for

USER, PASSWORD = "ada", "correct:horse"
_USERS = "basic_auth_users:\n  ada: $2b$04$abcdefghijklmnopqrstuuVNvsIE4XrZdqzz2Nwuq7yOWE8bL0/Ly\n"
"""The web configuration of the exporter toolkit: bcrypt of the password."""
_PATIENCE = timedelta(minutes=1)


class RunningPushgateway:
    """One that runs.

    Args:
        url: Its address.
        auth: What reading it takes; None: nothing.
    """

    def __init__(self, url: str, auth: tuple[str, str] | None) -> None:
        self.url = url
        self._auth = auth

    def series(self, name: str) -> dict[tuple[str, str], float]:
        """The values of a metric in all groups, by cluster and fleet."""
        text = self._get("/metrics").text
        found = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return {(one.labels["cluster"], one.labels["fleet"]): one.value for one in found if one.name == name}

    def groups(self) -> list[dict[str, str]]:
        """The labels of all groups, ordered by the fleet."""
        found = [group["labels"] for group in self._get("/api/v1/metrics").json()["data"]]
        return sorted(found, key=lambda labels: labels["fleet"])

    def answers(self) -> bool:
        """Whether it takes requests."""
        try:
            return self._get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def _get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", auth=self._auth)


@contextmanager
def running_pushgateway(programs: Programs, folder: Path, *, guarded: bool) -> Iterator[RunningPushgateway]:
    """Start one, and wait until it answers.

    Args:
        programs: With the Pushgateway's.
        folder: For its files.
        guarded: Whether it wants the login of `USER`.
    """
    (folder / "users.yaml").write_text(_USERS)
    login = (f"--web.config.file={folder / 'users.yaml'}",) if guarded else ()
    [port] = free_ports("127.0.0.1", 1)
    arguments = (str(programs.path("pushgateway")), f"--web.listen-address=127.0.0.1:{port}", *login)
    gateway = RunningPushgateway(f"http://127.0.0.1:{port}", (USER, PASSWORD) if guarded else None)
    with ProcessGroup() as group:
        process = group.start(Command("pushgateway", arguments, folder, folder / "pushgateway.log"))
        ready = wait_for(gateway.answers, lambda answers: answers, deadline_after(_PATIENCE))
        assert ready, process.log_tail()
        yield gateway


@pytest.fixture(scope="session")
def pushgateway_program(report: Callable[[str], None]) -> Programs:
    """Built, or found in the cache."""
    return ensure_programs(OlmVersion.V0_46_0, report, [GoModule.PUSHGATEWAY])


@pytest.fixture
def pushgateway(pushgateway_program: Programs, tmp_path: Path) -> Iterator[RunningPushgateway]:
    """One with nothing in it that takes what anybody pushes."""
    with running_pushgateway(pushgateway_program, tmp_path, guarded=False) as running:
        yield running


@pytest.fixture
def guarded_pushgateway(pushgateway_program: Programs, tmp_path: Path) -> Iterator[RunningPushgateway]:
    """One with nothing in it that wants a login."""
    with running_pushgateway(pushgateway_program, tmp_path, guarded=True) as running:
        yield running
