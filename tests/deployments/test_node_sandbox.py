"""Programs in namespaces of their own, started for real: what they see, where they listen, how they end."""

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.rehearsal.node.launching import Bind, Sandbox, SandboxSpec, check_sandboxes
from deployments.rehearsal.node.network import Network, connect_to
from deployments.rehearsal.node.probes import Probe
from tasks.core.errors import PrerequisiteError
from tests.support.crashes import is_running

ADDRESS = "198.18.0.7"
NO_GRACE = timedelta(0)


class Started:
    """A sandbox of a test and its log."""

    def __init__(self, folder: Path, command: str, *binds: Bind) -> None:
        self.ended = threading.Event()
        self.log = folder / "log"
        root = folder / "root"
        root.mkdir()
        spec = SandboxSpec(
            root=root,
            arguments=("/bin/sh", "-c", command),
            environment={"PATH": "/bin:/usr/bin", "GREETING": "hello"},
            binds=binds,
            address=ADDRESS,
        )
        self.sandbox = Sandbox(spec, self.log, self.ended.set)

    def finish(self) -> str:
        """Let it run to its end and return what it wrote."""
        self.sandbox.go()
        self.ended.wait()
        return self.log.read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    started: list[Started] = []

    def begin(command: str, *binds: Bind) -> Started:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Started(folder, command, *binds))
        return started[-1]

    yield begin
    for each in started:
        each.sandbox.stop(NO_GRACE)


@pytest.fixture
def network() -> Iterator[Network]:
    running = Network()
    running.start()
    yield running
    running.stop()


def test_has_its_environment_and_nothing_else(start: Callable[..., Started]) -> None:
    output = start("echo $GREETING $HOME-").finish()

    assert output == "hello -\n"


def test_sees_only_what_is_bound(start: Callable[..., Started], tmp_path: Path) -> None:
    (tmp_path / "certificate").write_text("pem")
    bind = Bind(str(tmp_path / "certificate"), "/etc/own/certificate")

    output = start("cat /etc/own/certificate; ls /etc; ls -d /home /root /var/lib", bind).finish()

    assert output.startswith("pemown\n")
    assert output.count("No such file or directory") == 3


def test_cannot_change_what_is_bound_read_only(start: Callable[..., Started], tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()

    output = start(
        "touch /read-only/x; touch /writable/x",
        Bind(str(folder), "/read-only"),
        Bind(str(folder), "/writable", writable=True),
    ).finish()

    assert "Read-only file system" in output
    assert list(folder.iterdir()) == [folder / "x"]


@pytest.mark.parametrize(("command", "exit_code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_passes_the_exit_code_on(start: Callable[..., Started], command: str, exit_code: int) -> None:
    started = start(command)

    started.finish()

    assert started.sandbox.exit_code() == exit_code


def test_a_program_that_is_not_there_says_so(start: Callable[..., Started]) -> None:
    started = start("exec /bin/nothing")

    output = started.finish()

    assert "nothing" in output
    assert started.sandbox.exit_code() in (126, 127)


def test_a_sandbox_that_cannot_be_set_up_ends_with_125(start: Callable[..., Started], tmp_path: Path) -> None:
    started = start("exit 0", Bind(str(tmp_path / "missing"), "/x"))

    started.ended.wait()

    assert started.sandbox.exit_code() == 125
    assert "could not set up the sandbox" in started.log.read_text()


def test_the_program_waits_for_go(start: Callable[..., Started], tmp_path: Path) -> None:
    started = start("touch /shared/x", Bind(str(tmp_path), "/shared", writable=True))

    started.sandbox.tcp_socket().close()
    before = (tmp_path / "x").exists()
    started.finish()

    assert not before
    assert (tmp_path / "x").exists()


def test_is_ended_by_term_within_its_grace_and_killed_after(start: Callable[..., Started]) -> None:
    gentle = start("trap 'exit 3' TERM; echo up; while :; do sleep 0.05; done")
    stubborn = start("trap '' TERM; echo up; while :; do sleep 0.05; done")
    for each in (gentle, stubborn):
        each.sandbox.go()
        _wait_for_output(each)

    gentle.sandbox.stop(timedelta(seconds=60))
    stubborn.sandbox.stop(timedelta(milliseconds=50))

    assert gentle.sandbox.exit_code() == 3
    assert stubborn.sandbox.exit_code() == 128 + signal.SIGKILL


def test_what_the_program_started_ends_with_it(start: Callable[..., Started], tmp_path: Path) -> None:
    started = start("sleep 1000 & echo $!; wait")
    started.sandbox.go()
    _wait_for_output(started)
    child = int(started.log.read_text())

    started.sandbox.stop(NO_GRACE)

    _wait_until(lambda: not is_running(child))


def test_two_programs_listen_on_the_same_port_without_meeting(
    start: Callable[..., Started], network: Network
) -> None:
    answers = []
    for name in ("one", "two"):
        started = start(_server(name), *_python())
        started.sandbox.go()
        _wait_for_output(started)
        answers.append(_ask_through(network, started.sandbox))

    assert answers == [b"one", b"two"]


def test_a_program_reaches_an_address_that_is_listened_on_for_it(
    start: Callable[..., Started], network: Network
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as outside:
        target = outside.getsockname()
        code = "import socket; print(socket.create_connection(('127.77.0.1', 443)).recv(9).decode())"
        started = start(f'{sys.executable} -I -S -c "{code}"', *_python())
        inside = started.sandbox.tcp_socket()
        inside.bind(("127.77.0.1", 443))
        network.listen(inside, lambda: connect_to(socket.socket(), target))
        started.sandbox.go()
        connection, _ = outside.accept()
        with connection:
            connection.sendall(b"outside")
    started.ended.wait()

    assert started.log.read_text() == "outside\n"


def test_a_probe_asks_inside_the_sandbox(start: Callable[..., Started]) -> None:
    started = start(_server("x"), *_python())
    container = {"readinessProbe": {"tcpSocket": {"port": 8080}}}
    probe = Probe.of(container)
    closed = Probe.of({"readinessProbe": {"tcpSocket": {"port": 8081}}})
    assert probe is not None
    assert closed is not None
    started.sandbox.go()
    _wait_for_output(started)

    assert probe.failure(ADDRESS, started.sandbox.tcp_socket) == ""
    assert "connection refused" in closed.failure(ADDRESS, started.sandbox.tcp_socket)


def test_the_trial_succeeds_where_sandboxes_can_be_made(tmp_path: Path) -> None:
    check_sandboxes(tmp_path / "trial")

    assert list((tmp_path / "trial" / "root").iterdir()) == []


def test_the_trial_says_what_is_missing_where_they_cannot(tmp_path: Path) -> None:
    """A folder on which no file system can be mounted stands for a machine that refuses."""
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "root").symlink_to("/proc/self/fdinfo")

    with pytest.raises(PrerequisiteError, match="Allow user namespaces"):
        check_sandboxes(tmp_path / "trial")


def test_no_program_outlives_the_process_that_started_it(tmp_path: Path) -> None:
    """As when the rehearsal is killed with SIGKILL."""
    owner = subprocess.run(  # noqa: S603 - our own code in our own interpreter
        [sys.executable, "-c", _OWNER, str(tmp_path)], capture_output=True, text=True, check=False
    )
    program = int((tmp_path / "pid").read_text())

    assert owner.returncode == -signal.SIGKILL
    _wait_until(lambda: not is_running(program))


_OWNER = """
import os, signal, sys, time
from pathlib import Path
from deployments.rehearsal.node.launching import Bind, Sandbox, SandboxSpec, check_sandboxes
folder = Path(sys.argv[1])
(folder / "root").mkdir()
command = ("/bin/sh", "-c", "echo up; while :; do sleep 1; done")
spec = SandboxSpec(folder / "root", command, {"PATH": "/bin:/usr/bin"}, (), "198.18.0.8")
sandbox = Sandbox(spec, folder / "log", lambda: None)
sandbox.go()
while "up" not in (folder / "log").read_text():
    time.sleep(0.01)
(folder / "pid").write_text(Path(f"/proc/{sandbox.pid}/task/{sandbox.pid}/children").read_text())
os.kill(os.getpid(), signal.SIGKILL)
"""


def _server(answer: str) -> str:
    code = (
        "import socket; s = socket.create_server(('0.0.0.0', 8080)); print('up', flush=True)\n"
        f"while True: c, _ = s.accept(); c.sendall(b'{answer}'); c.close()"
    )
    return f'{sys.executable} -I -S -c "{code}"'


def _python() -> list[Bind]:
    folders = sorted({sys.prefix, sys.base_prefix})
    return [Bind(folder, folder) for folder in folders]


def _ask_through(network: Network, sandbox: Sandbox) -> bytes:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    address = listener.getsockname()
    opened = network.listen(listener, lambda: connect_to(sandbox.tcp_socket(), (ADDRESS, 8080)))
    with socket.create_connection(address) as connection:
        answer = connection.makefile("rb").read()
    opened.close()
    return answer


def _wait_for_output(started: Started) -> None:
    _wait_until(lambda: bool(started.log.read_bytes()) or started.ended.is_set())
    assert not started.ended.is_set(), started.log.read_text()


def _wait_until(condition: Callable[[], bool]) -> None:
    while not condition():
        threading.Event().wait(0.01)
