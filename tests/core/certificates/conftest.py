"""The Go program is compiled once for all agreement tests."""

from pathlib import Path

import pytest

from tests.core.certificates import goprogram


@pytest.fixture(scope="session")
def go_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return goprogram.build(tmp_path_factory.mktemp("goverify"))
