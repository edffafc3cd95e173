"""The database that a rehearsal's Prefect server begins with."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from deployments.rehearsal.prefect_database import empty_database


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_it_has_the_tables_of_a_prefect_server_and_nothing_in_them(cache: Path) -> None:
    found = empty_database(cache)

    with closing(sqlite3.connect(found)) as connection:
        rows = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 - literals below
            for table in ("flow_run", "block_document", "artifact", "deployment")
        ]
    assert rows == [0, 0, 0, 0]


def test_it_is_made_once(cache: Path) -> None:
    before = empty_database(cache).stat().st_mtime_ns

    again = empty_database(cache)

    assert again.stat().st_mtime_ns == before
    assert list(again.parent.iterdir()) == [again]
