"""A Prefect server, a work pool and a worker of our own, their files in the rehearsal's folder."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

from deployments.rehearsal.ports import free_ports
from deployments.rehearsal.prefect_database import DATABASE_FILE, empty_database
from deployments.rehearsal.processes import Command, ProcessGroup, ProgramError, RunningProcess
from deployments.rehearsal.programs import cache_folder

WORK_POOL = "osok-fleet"
_PROJECT = Path(__file__).parents[2]
_SERVER_PATIENCE = timedelta(minutes=5)
_COMMAND_PATIENCE = timedelta(minutes=5)


class PrefectServices:
    """Prefect as a person would run it on one machine: `prefect server start` and `prefect worker start`.

    Args:
        folder: Where the database, the results and the logs go.
        database: URL of another database, as Prefect's server takes it; empty for SQLite in the folder.
    """

    def __init__(self, folder: Path, database: str = "") -> None:
        self.folder = folder
        self._database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": database} if database else {}
        [self.port] = free_ports("127.0.0.1", 1)
        self.ui_url = f"http://127.0.0.1:{self.port}"
        self.api_url = f"{self.ui_url}/api"
        self._processes = ProcessGroup()
        self._server: RunningProcess | None = None
        self._worker: RunningProcess | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings that make a Prefect process talk to this server and keep its files in the folder."""
        return {
            "PREFECT_HOME": str(self.folder),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_PROFILES_PATH": str(self.folder / "profiles.toml"),
            "PREFECT_LOCAL_STORAGE_PATH": str(self.folder / "storage"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_CLI_PROMPT": "false",
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.5",
            # As in production: so the server answers while its database is gone or busy.
            "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
            "OSOK_FLEET_HOME": str(_PROJECT),
            "PYTHONPATH": str(_PROJECT),
        }

    @property
    def server(self) -> RunningProcess:
        """The server's process.

        Raises:
            ProgramError: No server was started.
        """
        if self._server is None:
            raise ProgramError("find the Prefect server", expected="start_server() before")
        return self._server

    @property
    def worker(self) -> RunningProcess:
        """The worker's process.

        Raises:
            ProgramError: No worker was started.
        """
        if self._worker is None:
            raise ProgramError("find the worker", expected="start_worker() before")
        return self._worker

    def start_server(self) -> None:
        """Start the server and wait until its API answers.

        Raises:
            ProgramError: It ended, or did not answer in time; the message holds its last log lines.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        database = self.folder / DATABASE_FILE
        if not self._database and not database.exists():
            shutil.copyfile(empty_database(cache_folder()), database)
        arguments = ("server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        self._server = self._start("prefect-server", arguments, self._database)
        deadline = time.monotonic() + _SERVER_PATIENCE.total_seconds()
        while not self._answers():
            self._server.raise_if_ended()
            if time.monotonic() > deadline:
                raise ProgramError(
                    "start the Prefect server", self.api_url, "an answer", self._server.log_tail()
                )
            time.sleep(0.2)

    def kill_server(self) -> None:
        """End the server (SIGKILL) as a crash does; `start_server` brings it back at the same address.

        Raises:
            ProgramError: No server was started.
        """
        self._processes.stop_one(self.server, timedelta(0))
        self._server = None

    def start_worker(self, home: Path | None = None) -> None:
        """Start a process worker on the work pool; it must exist.

        Args:
            home: The home and temporary folder of the worker and its flow runs; None: those of ours.
        """
        folders = {} if home is None else {"HOME": str(home), "TMPDIR": str(home)}
        self._worker = self._start_worker(WORK_POOL, folders)

    def start_worker_elsewhere(self, pool: str, home: Path) -> RunningProcess:
        """Start another process worker as on another machine: it shares no folder with the server.

        Args:
            pool: The work pool; it must exist.
            home: Its home and temporary folder, for Prefect's files too.
        """
        folders = ("HOME", "TMPDIR", "PREFECT_HOME")
        settings = {
            "PREFECT_PROFILES_PATH": str(home / "profiles.toml"),
            "PREFECT_LOCAL_STORAGE_PATH": str(home / "storage"),
        }
        return self._start_worker(pool, {**dict.fromkeys(folders, str(home)), **settings})

    def _start_worker(self, pool: str, settings: Mapping[str, str]) -> RunningProcess:
        # Without --with-healthcheck: that listens on every address of the machine.
        arguments = ("worker", "start", "--pool", pool, "--name", f"{pool}-worker")
        return self._start(f"prefect-worker-{pool}", arguments, settings)

    def deploy(self) -> None:
        """Create the work pool and every deployment of prefect.yaml, as `make deploy` does; schedules rest.

        Raises:
            ProgramError: Prefect refused; the message holds what it said.
        """
        # By the client where a command would do the same: each command is a process of several seconds.
        with SyncPrefectClient(self.api_url) as client:
            template = ProcessWorker.get_default_base_job_template()
            pool = WorkPoolCreate(name=WORK_POOL, type=ProcessWorker.type, base_job_template=template)
            client.create_work_pool(pool, overwrite=True)
            self.run("--no-prompt", "deploy", "--all")
            # A run at the full hour, with the parameters of production, would find no network.
            for deployment in client.read_deployments():
                for schedule in deployment.schedules:
                    client.update_deployment_schedule(deployment.id, schedule.id, active=False)

    def run(self, *arguments: str) -> str:
        """Run the prefect command line against this server and return what it printed.

        Raises:
            ProgramError: It failed; the message holds what it said.
        """
        finished = subprocess.run(  # noqa: S603 - our own arguments
            _prefect(*arguments),
            cwd=_PROJECT,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=_COMMAND_PATIENCE.total_seconds(),
            check=False,
        )
        if finished.returncode:
            raise ProgramError(
                f"run prefect {' '.join(arguments)}", found=(finished.stdout + finished.stderr)[-2000:]
            )
        return finished.stdout

    def stop(self) -> None:
        """End the worker (its flow runs with it) and the server."""
        self._processes.stop()

    def _start(
        self, name: str, arguments: tuple[str, ...], more: Mapping[str, str] | None = None
    ) -> RunningProcess:
        log, environment = self.folder / f"{name}.log", {**self.environment, **(more or {})}
        return self._processes.start(Command(name, _prefect(*arguments), _PROJECT, log, environment))

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.api_url}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _prefect(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "prefect", *arguments)
