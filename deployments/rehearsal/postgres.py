"""A PostgreSQL of our own for Prefect, from the programs of the distribution."""

import getpass
import os
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from deployments.rehearsal.ports import free_ports
from deployments.rehearsal.processes import Command, ProcessGroup, ProgramError
from tasks.core.errors import PrerequisiteError

_HOST = "127.0.0.1"
_INSTALLED = Path("/usr/lib/postgresql")
_ACCOUNT = "postgres"
_PATIENCE = timedelta(minutes=2)


def find_postgres() -> Path:
    """The folder of the newest installed PostgreSQL's programs.

    Raises:
        PrerequisiteError: There is none.
    """
    found = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda path: int(path.parents[1].name))
    if not found:
        raise PrerequisiteError(
            "start PostgreSQL",
            "PostgreSQL",
            f"its programs under {_INSTALLED}",
            "none",
            "Install it, on Debian with `apt-get install postgresql`.",
        )
    return found[-1].parent


class Postgres:
    """Starts on entering, stops on leaving; open to this machine's loopback address without a password.

    Args:
        folder: An empty folder that any account may pass through.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = find_postgres()
        self._folder = folder
        [self._port] = free_ports(_HOST, 1)
        self._group = ProcessGroup()

    @property
    def url(self) -> str:
        """What Prefect's server takes as its database."""
        return f"postgresql+asyncpg://{self._user}@{_HOST}:{self._port}/postgres"

    @property
    def version(self) -> str:
        """As it says itself."""
        return self._run("postgres", "--version").strip()

    def __enter__(self) -> Self:
        self._folder.mkdir()
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            shutil.chown(self._folder, _ACCOUNT)
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-E", "UTF8", "-U", self._user)
        self.start()
        return self

    def start(self) -> None:
        """Start it on its data, and wait until it answers.

        Raises:
            ProgramError: It ended, or did not answer in time; the message holds its last log lines.
        """
        arguments = ("-D", str(self._data), "-h", _HOST, "-p", str(self._port), "-k", str(self._folder))
        command = self._command("postgres", *arguments, "-c", "max_connections=200")
        log = self._folder.parent / "postgres.log"
        process = self._group.start(Command("postgres", command, self._folder, log))
        deadline = time.monotonic() + _PATIENCE.total_seconds()
        while not self._answers():
            process.raise_if_ended()
            if time.monotonic() > deadline:
                raise ProgramError("start PostgreSQL", expected="an answer", found=process.log_tail())
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, cutting every connection off, as its restart does; `start` brings it back."""
        self._run("pg_ctl", "stop", "-D", str(self._data), "-m", "immediate", "-w")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._group.stop()

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _user(self) -> str:
        return _ACCOUNT if os.geteuid() == 0 else getpass.getuser()

    def _command(self, program: str, *arguments: str) -> tuple[str, ...]:
        changed = ("runuser", "-u", _ACCOUNT, "--") if os.geteuid() == 0 else ()
        return (*changed, str(self._programs / program), *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        finished = subprocess.run(  # noqa: S603 - our own arguments
            self._command(program, *arguments), cwd="/", capture_output=True, text=True, check=False
        )
        if finished.returncode:
            raise ProgramError(f"run {program}", found=(finished.stdout + finished.stderr)[-2000:])
        return finished.stdout

    def _answers(self) -> bool:
        command = self._command("pg_isready", "-h", _HOST, "-p", str(self._port))
        return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0  # noqa: S603 - our own arguments
