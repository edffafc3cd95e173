"""Starting and stopping control planes: side by side, in part, by accident, and never leaving a process."""

import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import pidfd_open
from pathlib import Path
from threading import Thread

import pytest

from deployments.rehearsal.control_plane import (
    ControlPlane,
    ControlPlaneSettings,
    Part,
    start_control_plane,
    start_first_free,
)
from deployments.rehearsal.controlplane.addresses import NumberTakenError
from deployments.rehearsal.processes import ProgramError
from deployments.rehearsal.programs import Programs
from tasks.core.errors import ClusterUnavailableError, InputError
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.control_planes import FreshControlPlane

pytestmark = pytest.mark.cluster

ProcessesOf = Callable[[Path], list[int]]

MARK: Manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mark"}}
MARK_REF = ObjectRef("v1", "Namespace", "mark")


def wait_for_the_end_of(pids: list[int]) -> None:
    for pid in pids:
        try:
            descriptor = pidfd_open(pid)
        except ProcessLookupError:
            continue
        # A pidfd becomes readable when its process ends.
        select.select([descriptor], [], [])


def test_two_control_planes_know_nothing_of_each_other(
    control_plane: ControlPlane, fresh_control_plane: FreshControlPlane
) -> None:
    second = fresh_control_plane()

    second.client().create(MARK)

    assert second.client().get(MARK_REF) is not None
    assert control_plane.client().get(MARK_REF) is None
    assert control_plane.service_range != second.service_range


def test_a_number_is_given_once(control_plane: ControlPlane, programs: Programs, tmp_path: Path) -> None:
    taken = control_plane.number

    with pytest.raises(NumberTakenError, match=f"number {taken}"):
        start_control_plane(programs, tmp_path / "second", taken)


def test_a_folder_with_files_is_not_started_in(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()

    with pytest.raises(InputError, match="an empty folder"):
        start_first_free(programs, tmp_path, range(50, 189))


@pytest.mark.parametrize("number", [-1, 189])
def test_a_number_without_a_service_range_is_refused(programs: Programs, tmp_path: Path, number: int) -> None:
    with pytest.raises(InputError, match="0 to 188"):
        start_control_plane(programs, tmp_path / "new", number)


def test_stopping_leaves_no_process(
    fresh_control_plane: FreshControlPlane, processes_of: ProcessesOf
) -> None:
    control_plane = fresh_control_plane()
    assert len(processes_of(control_plane.folder)) == 5

    control_plane.stop()

    assert processes_of(control_plane.folder) == []


def test_a_wrong_flag_is_shown_with_the_program_that_refused_it(
    fresh_control_plane: FreshControlPlane,
    processes_of: ProcessesOf,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = ControlPlaneSettings(extra_flags={Part.SCHEDULER: ["--no-such-flag"]})

    with pytest.raises(ProgramError, match="kube-scheduler") as failure:
        fresh_control_plane(settings)

    assert "unknown flag: --no-such-flag" in str(failure.value)
    assert processes_of(tmp_path_factory.getbasetemp() / "fresh") == []


@contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_a_port_that_is_taken_is_shown_with_the_program_that_wanted_it(
    fresh_control_plane: FreshControlPlane,
) -> None:
    with listener() as port:
        flags = ["--bind-address=127.0.0.1", f"--secure-port={port}"]
        settings = ControlPlaneSettings(extra_flags={Part.API_SERVER: flags})

        with pytest.raises(ProgramError, match="kube-apiserver") as failure:
            fresh_control_plane(settings)

    assert "address already in use" in str(failure.value)


@contextmanager
def command_line(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = [sys.executable, "-m", "deployments.rehearsal.control_plane", "--folder", str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as parent:  # noqa: S603 - our own module
        assert parent.stdout is not None
        assert b"ready" in parent.stdout.readline()
        yield parent


def test_killing_the_parent_leaves_no_process(processes_of: ProcessesOf, tmp_path: Path) -> None:
    folder = tmp_path / "orphaned"
    with command_line(folder) as parent:
        pids = [pid for pid in processes_of(folder) if pid != parent.pid]
        assert len(pids) == 5

        parent.send_signal(signal.SIGKILL)
        wait_for_the_end_of(pids)

    assert processes_of(folder) == []


@pytest.mark.parametrize("request_to_stop", [signal.SIGTERM, signal.SIGINT])
def test_asking_the_command_line_to_stop_leaves_no_process(
    request_to_stop: signal.Signals, processes_of: ProcessesOf, tmp_path: Path
) -> None:
    folder = tmp_path / "asked"
    with command_line(folder) as parent:
        parent.send_signal(request_to_stop)
        parent.communicate()

    assert parent.returncode == 0
    assert processes_of(folder) == []


def test_it_outlives_the_thread_that_started_it(fresh_control_plane: FreshControlPlane) -> None:
    started: list[ControlPlane] = []
    thread = Thread(target=lambda: started.append(fresh_control_plane()))
    thread.start()
    thread.join()

    assert started[0].client().read_text("/readyz") == "ok"


def test_an_outage_of_the_api_server_loses_nothing(fresh_control_plane: FreshControlPlane) -> None:
    control_plane = fresh_control_plane()
    control_plane.client().create(MARK)

    control_plane.stop_program(Part.API_SERVER)
    with pytest.raises(ClusterUnavailableError):
        control_plane.client().get(MARK_REF)
    control_plane.start_program(Part.API_SERVER)

    assert control_plane.client().get(MARK_REF) is not None


def test_an_outage_of_etcd_loses_nothing(fresh_control_plane: FreshControlPlane) -> None:
    control_plane = fresh_control_plane()
    control_plane.client().create(MARK)

    control_plane.restart(Part.ETCD)

    assert control_plane.client().get(MARK_REF) is not None


def test_a_program_that_is_not_part_of_it_cannot_be_restarted(control_plane: ControlPlane) -> None:
    with pytest.raises(InputError, match="kube-apiserver, kube-controller-manager"):
        control_plane.restart("kubelet")


def test_api_servers_of_one_control_plane_share_its_objects(fresh_control_plane: FreshControlPlane) -> None:
    control_plane = fresh_control_plane(ControlPlaneSettings(api_servers=2))

    control_plane.client(index=0).create(MARK)

    assert control_plane.client(index=1).get(MARK_REF) is not None
    assert len(set(control_plane.servers)) == 2
