"""A verification of a hundred clusters goes through the loss of database, server and worker (R1-R22).

One more than a hundred, and processes of their own look at them.
"""

import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import AwaitingRetry, Crashed

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.mishaps import dark_block_fields
from deployments.rehearsal.postgres import Postgres, find_postgres
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import FinishedRun, follow, prefect_environment, submit
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.results import FleetVerification
from tasks.core.errors import PrerequisiteError
from tests.support.artifacts import document_in
from tests.support.crashes import descendants, is_running, kill_worker_and_flow_runs
from tests.support.installed import WorldReport, installed_world_in
from tests.support.rotations import FLEET_ACCOUNT

pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.parametrize("clusters", [100, 101])]

DEPLOYMENT = "verify-fleet/verify-fleet"
REACHABLE, DARK = 96, 5
BEGUN = 20
"""So many looks have begun when something is lost."""
OUTAGE = 25.0
"""Seconds without a server: longer than the looks take, so that the run wants to publish meanwhile."""


@dataclass(frozen=True)
class Site:
    """A server of its own with a worker, and 101 clusters: names of one, and some that are gone."""

    services: PrefectServices
    client: SyncPrefectClient
    control_plane: ControlPlane
    parameters: dict[str, Any]

    def begin(self, clusters: int) -> UUID:
        """Start a run with so many clusters; returns when it is in the middle of them.

        The audit log is the clock: a task run reaches Prefect's API up to seconds after it began.
        """
        offset = self.control_plane.audit_log.stat().st_size
        chosen = self.parameters["clusters"][:clusters]
        run = submit(self.client, DEPLOYMENT, {**self.parameters, "clusters": chosen})
        while self.looked_at(offset) < BEGUN:
            state = self.client.read_flow_run(run.id).state
            assert state is None or not state.is_final(), state
            time.sleep(0.2)
        state = self.client.read_flow_run(run.id).state
        assert state is not None
        assert state.is_running()
        return run.id

    def looked_at(self, offset: int) -> int:
        """How many looks have begun since the audit log had that size."""
        asked = self.control_plane.audited_requests(offset)
        return sum((one.path, one.user) == ("/version", FLEET_ACCOUNT) for one in asked)

    def follow(self, run: UUID) -> FinishedRun:
        """Wait for its end."""
        return follow(self.client, self.client.read_flow_run(run), lambda _: None)


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres | None]:
    """PostgreSQL, as in production; without one on this machine it is SQLite."""
    try:
        find_postgres()
    except PrerequisiteError:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="osok-fleet-postgres-") as folder:
        # Its programs run as another account, which may not look into the folders of tests.
        Path(folder).chmod(0o755)
        with Postgres(Path(folder) / "server") as database:
            yield database


@pytest.fixture(scope="module")
def site(
    database: Postgres | None, tmp_path_factory: pytest.TempPathFactory, report: WorldReport
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("outages")
    with (
        # Nobody accepts there: connecting takes its ten seconds, and so the run lasts as long as that.
        socket.create_server(("127.0.0.1", 0)) as silence,
        PrefectServices(folder / "prefect", database.url if database else "") as services,
    ):
        silent = f"https://127.0.0.1:{silence.getsockname()[1]}"
        services.start_server()
        with (
            prefect_environment(services) as client,
            installed_world_in(folder / "world", OlmVersion.V0_46_0, "outages", report) as world,
        ):
            services.deploy()
            services.start_worker()
            names = [f"outage-{number}" for number in range(REACHABLE)]
            fields = world.clusters[0].block_fields()
            for name in names:
                KubernetesCluster.model_validate(fields).save(name)
            darks = [f"dark-{number}" for number in range(DARK)]
            for name in darks:
                KubernetesCluster.model_validate(dark_block_fields(silent)).save(name)
            choice = {"live_checks": "NONE", "confirm_after": "PT0.1S"}
            parameters = {**world.parameters(), "clusters": [*darks, *names], "choice": choice}
            yield Site(services, client, world.clusters[0].control_plane, parameters)


def helpers_of(services: PrefectServices) -> frozenset[int]:
    """The processes that flow runs of the worker started for their own work."""
    found = descendants(services.worker.pid)
    return frozenset(pid for pid in found if b"multiprocessing" in Path(f"/proc/{pid}/cmdline").read_bytes())


def states_in(ended: FinishedRun) -> Counter[str]:
    fleet = FleetVerification.model_validate(document_in(ended.artifacts["fleet-status-json"]))
    return Counter(one.state.value for one in fleet.clusters)


def test_a_run_goes_through_a_restart_of_the_server(site: Site, clusters: int) -> None:
    run = site.begin(clusters)

    site.services.kill_server()
    time.sleep(OUTAGE)
    site.services.start_server()
    ended = site.follow(run)

    assert ended.state == "NotVerified", ended.message
    assert states_in(ended) == {"FINE": clusters - DARK, "UNREACHABLE": DARK}


def test_a_run_goes_through_a_restart_of_postgresql(
    site: Site, database: Postgres | None, clusters: int
) -> None:
    if database is None:
        pytest.skip("no PostgreSQL on this machine; Debian has it in the package postgresql")
    run = site.begin(clusters)

    database.stop()
    time.sleep(OUTAGE)
    database.start()
    ended = site.follow(run)

    assert ended.state == "NotVerified", ended.message
    assert states_in(ended) == {"FINE": clusters - DARK, "UNREACHABLE": DARK}


def test_a_run_that_lost_its_worker_tells_every_cluster_when_it_is_tried_again(
    site: Site, clusters: int
) -> None:
    """What its processes started ends with them."""
    run = site.begin(clusters)

    looking = helpers_of(site.services)
    kill_worker_and_flow_runs(site.services, spared=looking)
    wait_for(
        lambda: any(map(is_running, looking)), lambda left: not left, deadline_after(timedelta(seconds=10))
    )
    site.services.start_worker()
    # What a person does, or the automation for lost runs.
    site.client.set_flow_run_state(run, Crashed(), force=True)
    site.client.set_flow_run_state(run, AwaitingRetry(), force=True)
    ended = site.follow(run)

    assert ended.state == "NotVerified", ended.message
    assert states_in(ended) == {"FINE": clusters - DARK, "UNREACHABLE": DARK}
