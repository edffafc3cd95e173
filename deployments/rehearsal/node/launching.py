"""Starts programs in sandboxes and keeps hold of them."""

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from tasks.core.errors import PrerequisiteError

_SCRIPT = Path(__file__).with_name("sandbox.py")

_OBEYS_WITHIN = timedelta(seconds=2)


@dataclass(frozen=True)
class Bind:
    """A file or folder of the machine that the program sees.

    Attributes:
        source: Where it is on the machine.
        target: Where the program sees it.
        writable: Whether it may be changed there.
    """

    source: str
    target: str
    writable: bool = False


@dataclass(frozen=True)
class SandboxSpec:
    """What runs in a sandbox.

    Attributes:
        root: An empty folder; the sandbox mounts its root on it, invisible to everybody else.
        arguments: The program, as the sandbox sees it, and its arguments.
        environment: All of its environment variables.
        binds: What it sees of the machine besides the system's folders; outer targets before inner ones.
        address: The pod's IP, which exists inside the sandbox only.
        links: Symbolic links to make, by their path.
        folders: Empty folders to make.
        folder: The working folder.
    """

    root: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    binds: tuple[Bind, ...]
    address: str
    links: Mapping[str, str] = field(default_factory=lambda: {"/bin/sh": "/usr/bin/sh"})
    folders: tuple[str, ...] = ()
    folder: str = "/"


class Sandbox:
    """One program in namespaces of its own; `go` starts it. It never outlives this process.

    Args:
        spec: What to run.
        log: The file that its output is appended to.
        on_exit: Called once from a thread of its own when the program has ended.
    """

    def __init__(self, spec: SandboxSpec, log: Path, on_exit: Callable[[], None]) -> None:
        self.address = spec.address
        self._control, theirs = socket.socketpair()
        self._lock = threading.Lock()
        with theirs, log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own script in our own interpreter
                # -I -S: nothing of our environment is needed in there, and it starts in a tenth of the time.
                [sys.executable, "-I", "-S", str(_SCRIPT)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
            self._hand_over(spec, theirs.fileno())
        self._waiter = threading.Thread(target=self._wait, args=(on_exit,), daemon=True)
        self._waiter.start()

    @property
    def pid(self) -> int:
        """The process id of the sandbox; the program is its only child."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The program's exit code, 128 + number for a signal; None while it runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def go(self) -> None:
        """Start the program.

        Raises:
            OSError: The sandbox could not be set up; its exit code and its log say why.
        """
        with self._lock:
            self._control.sendall(b"g")

    def tcp_socket(self) -> socket.socket:
        """A new TCP socket in the program's network.

        Raises:
            OSError: The program has ended.
        """
        return self._socket(b"t")

    def udp_socket(self) -> socket.socket:
        """A new UDP socket in the program's network.

        Raises:
            OSError: The program has ended.
        """
        return self._socket(b"u")

    def _socket(self, wanted: bytes) -> socket.socket:
        with self._lock:
            self._control.sendall(wanted)
            answer, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not answer or not descriptors:
            raise ConnectionResetError("the sandbox has ended")
        return socket.socket(fileno=descriptors[0])

    def stop(self, grace: timedelta) -> None:
        """End the program: SIGTERM, after `grace` SIGKILL. Returns when it has ended."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(grace.total_seconds())
        except subprocess.TimeoutExpired:
            # Without its control socket the sandbox kills the program and all that this started, and ends.
            self._control.shutdown(socket.SHUT_RDWR)
            self._waiter.join(_OBEYS_WITHIN.total_seconds())
            # It might not obey when it is stopped itself; killed, it takes at least the program along.
            self._process.kill()
        self._waiter.join()
        with self._lock:
            self._control.close()

    def _hand_over(self, spec: SandboxSpec, control: int) -> None:
        # Through a pipe and not in a file, because the environment may hold credentials.
        content = json.dumps({**asdict(spec), "root": str(spec.root), "control": control}).encode()
        if self._process.stdin is None:
            return
        try:
            with self._process.stdin as pipe:
                pipe.write(content)
        except BrokenPipeError:
            # It has ended already; its exit code and its log say why.
            return

    def _wait(self, on_exit: Callable[[], None]) -> None:
        self._process.wait()
        on_exit()


def check_sandboxes(folder: Path) -> None:
    """Try whether this machine lets us make sandboxes at all.

    Args:
        folder: For the trial; it is made when it is missing.

    Raises:
        PrerequisiteError: It does not.
    """
    root = folder / "root"
    root.mkdir(parents=True, exist_ok=True)
    log = folder / "log"
    ended = threading.Event()
    trial = Sandbox(SandboxSpec(root, ("/bin/sh", "-c", "exit 0"), {}, (), "198.18.0.1"), log, ended.set)
    # When it has ended already, the exit code says why.
    with suppress(OSError):
        trial.go()
    ended.wait()
    exit_code = trial.exit_code()
    trial.stop(timedelta(0))
    if exit_code != 0:
        raise PrerequisiteError(
            "start a program in namespaces of its own",
            expected="user, mount and network namespaces",
            found=log.read_text().strip() or f"exit code {exit_code}",
            next_step="Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, "
            "kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0), or run as "
            "root; a container needs the capability SYS_ADMIN.",
        )
