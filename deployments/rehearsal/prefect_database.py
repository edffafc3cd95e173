"""An empty database of a Prefect server, made once per version: its migrations take ten seconds."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import prefect

from deployments.rehearsal.processes import ProgramError

DATABASE_FILE = "prefect.db"
"""Prefect's name for it, in PREFECT_HOME."""
_PATIENCE = timedelta(minutes=5)


def empty_database(cache: Path) -> Path:
    """A SQLite database that Prefect's own command has brought to the installed version; nothing is in it.

    Args:
        cache: A folder outside the checkout, where it is kept for the next server.

    Raises:
        ProgramError: Prefect refused; the message holds what it said.
    """
    target = cache / "prefect" / f"{prefect.__version__}.db"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target: several processes may make one at the same time, each moves a whole one there.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            made = Path(folder) / DATABASE_FILE
            _migrate(Path(folder), made)
            packed = Path(folder) / "packed.db"
            # One file, without the write-ahead log beside it.
            with closing(sqlite3.connect(made)) as connection:
                connection.execute("VACUUM INTO ?", (str(packed),))
            packed.replace(target)
    return target


def _migrate(home: Path, database: Path) -> None:
    settings = {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{database}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    finished = subprocess.run(
        (sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"),
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=_PATIENCE.total_seconds(),
        check=False,
    )
    if finished.returncode:
        said = (finished.stdout + finished.stderr)[-2000:]
        raise ProgramError("make the Prefect server's database", str(database), found=said)
