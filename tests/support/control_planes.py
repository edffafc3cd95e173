"""Fixtures for tests that need a real control plane. tests/conftest.py registers them.

`control_plane` is one for the whole test run, started when the first test asks for it: tests that use it make
objects in namespaces of their own. `fresh_control_plane` starts one for a single test.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from deployments.rehearsal.control_plane import ControlPlane, ControlPlaneSettings, start_first_free
from deployments.rehearsal.controlplane.addresses import ALL_NUMBERS
from deployments.rehearsal.programs import GoModule, OlmVersion, Programs, ensure_programs

# Below 60 are the numbers that people choose by hand; other test runs take theirs from the same.
_NUMBERS = ALL_NUMBERS[60:]


class FreshControlPlane(Protocol):
    """Starts a control plane that the test's end stops; without settings it is a usual one."""

    def __call__(self, settings: ControlPlaneSettings | None = None) -> ControlPlane:
        """Start it."""


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Shows progress of slow fixtures on the terminal, past pytest's capturing; parallel runs have none."""
    terminal = request.config.pluginmanager.getplugin("terminalreporter")
    return terminal.write_line if isinstance(terminal, pytest.TerminalReporter) else _tell_nobody


@pytest.fixture(scope="session")
def programs(report: Callable[[str], None]) -> Programs:
    """Kubernetes, etcd, KWOK, opm and OLM 0.46.0."""
    return ensure_programs(OlmVersion.V0_46_0, report)


@pytest.fixture(scope="session")
def programs_olm020(report: Callable[[str], None]) -> Programs:
    """The same with OLM 0.20.0."""
    return ensure_programs(OlmVersion.V0_20_0, report)


@pytest.fixture(scope="session")
def kubectl(report: Callable[[str], None]) -> Path:
    """The kubectl of the same Kubernetes release."""
    return ensure_programs(OlmVersion.V0_46_0, report, [GoModule.KUBECTL]).path("kubectl")


@pytest.fixture(scope="session")
def control_plane(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane of this test run."""
    with start_first_free(programs, tmp_path_factory.mktemp("control-plane"), _NUMBERS) as running:
        yield running


@pytest.fixture
def fresh_control_plane(
    programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshControlPlane]:
    """Starts control planes for one test."""
    with ExitStack() as started:

        def start(settings: ControlPlaneSettings | None = None) -> ControlPlane:
            folder = tmp_path_factory.mktemp("fresh")
            return started.enter_context(start_first_free(programs, folder, _NUMBERS, settings))

        yield start


@pytest.fixture
def processes_of() -> Callable[[Path], list[int]]:
    """Finds the processes whose command line names a folder."""
    return _processes_of


def _tell_nobody(_line: str) -> None:
    return


def _processes_of(folder: Path) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found
