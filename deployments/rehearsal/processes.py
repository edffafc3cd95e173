"""Programs of the rehearsal as processes that never outlive the one who started them.

A guard (a two-command shell) leads the process group and reads from a pipe that only we hold open. When we
end in any way, SIGKILL included, the kernel closes the pipe, the guard reads the end of it and kills the
group. The usual alternative, PR_SET_PDEATHSIG, fires when the *thread* that started the process ends, which
is no good for programs started from worker threads. A program that leaves the process group (setsid) escapes
the guard, and a process that was forked from us without exec keeps the pipe open.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tasks.core.errors import FleetError

DEFAULT_GRACE = timedelta(seconds=10)
"""How long a program may take to end after SIGTERM before it gets SIGKILL."""

REPORT_EVERY = timedelta(seconds=5)
"""How often a person who waits hears something."""

_GUARD = ("/bin/sh", "-c", "read -r _; kill -KILL 0")
_TAIL_LINES = 12
_TAIL_BYTES = 16_384


class ProgramError(FleetError):
    """A program of the rehearsal could not be started, ended by itself or did not become ready."""


@dataclass(frozen=True, eq=False)
class Command:
    """What to start.

    Attributes:
        name: The program's name in messages and the name of its log file.
        arguments: The program's path and its arguments.
        folder: The working folder.
        log: The file that standard output and standard error are appended to.
        environment: Variables on top of our own environment.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class RunningProcess:
    """One started program. Get one from `ProcessGroup.start`."""

    def __init__(self, command: Command, process: "subprocess.Popen[bytes]", secrets: Sequence[str]) -> None:
        self.command = command
        self._process = process
        self._secrets = tuple(secrets)

    @property
    def name(self) -> str:
        """The program's name."""
        return self.command.name

    @property
    def pid(self) -> int:
        """The process id, also after the process has ended."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """The exit code (negative: the signal that ended it); None while the process runs."""
        return self._process.poll()

    def wait(self, at_most: timedelta) -> int | None:
        """Wait for the end of the process; its exit code, or None when it still runs after `at_most`."""
        try:
            return self._process.wait(at_most.total_seconds())
        except subprocess.TimeoutExpired:
            return None

    def wait_and_report(self, report: Callable[[float], None], every: timedelta = REPORT_EVERY) -> int:
        """Wait for the end of the process and return its exit code.

        Args:
            report: Called again and again with the seconds since the call.
            every: How often.
        """
        started = time.monotonic()
        while (exit_code := self.wait(every)) is None:
            report(time.monotonic() - started)
        return exit_code

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended."""
        self._process.send_signal(number)

    def stop(self, grace: timedelta = DEFAULT_GRACE) -> int:
        """End the process: SIGTERM, after `grace` SIGKILL. Returns the exit code."""
        self.send(signal.SIGTERM)
        exit_code = self.wait(grace)
        if exit_code is not None:
            return exit_code
        self.send(signal.SIGKILL)
        return self._process.wait()

    def log_tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines of the log, with every known secret replaced."""
        with self.command.log.open("rb") as log:
            log.seek(max(0, self.command.log.stat().st_size - _TAIL_BYTES))
            text = log.read().decode(errors="replace")
        for secret in self._secrets:
            text = text.replace(secret, "(secret)")
        return "\n".join(text.splitlines()[-lines:])

    def raise_if_ended(self) -> None:
        """Check that the process still runs.

        Raises:
            ProgramError: It has ended; the message holds its exit code and the last lines of its log.
        """
        exit_code = self.exit_code()
        if exit_code is not None:
            raise ProgramError(
                f"keep {self.name} running",
                expected="a running process",
                found=f"{_ending(exit_code)}. Last lines of {self.command.log}:\n{self.log_tail()}\n",
            )


class ProcessGroup:
    """Programs that are stopped together and that the kernel ends with us.

    Args:
        secrets: Texts that are never shown when a log is quoted.

    A context manager: leaving it stops every program.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._secrets = tuple(secrets)
        self._running: list[RunningProcess] = []
        # process_group=0: the guard leads a group of its own, so that Ctrl-C in a terminal reaches only us.
        self._guard = subprocess.Popen(  # noqa: S603 - a constant command
            _GUARD,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def processes(self) -> tuple[RunningProcess, ...]:
        """What was started and not taken out again, in the order of starting."""
        return tuple(self._running)

    def start(self, command: Command) -> RunningProcess:
        """Start a program in the group; its log is appended to.

        Raises:
            ProgramError: The operating system could not start it.
        """
        command.log.parent.mkdir(parents=True, exist_ok=True)
        with command.log.open("ab") as log, _start_errors(command):
            process = subprocess.Popen(  # noqa: S603 - the callers name programs that we have built ourselves
                command.arguments,
                cwd=command.folder,
                env={**os.environ, **command.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self._guard.pid,
            )
        running = RunningProcess(command, process, self._secrets)
        self._running.append(running)
        return running

    def stop_one(self, process: RunningProcess, grace: timedelta = DEFAULT_GRACE) -> int:
        """Stop one program and forget it; returns its exit code."""
        exit_code = process.stop(grace)
        self._running = [other for other in self._running if other is not process]
        return exit_code

    def raise_if_any_ended(self) -> None:
        """Check that all programs still run.

        Raises:
            ProgramError: The first one that has ended.
        """
        for process in self.processes:
            process.raise_if_ended()

    def stop(self, grace: timedelta = DEFAULT_GRACE) -> None:
        """Stop all programs, the last one started first, and the guard. A second call does nothing."""
        for process in reversed(self.processes):
            self.stop_one(process, grace)
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin is not None:
            self._guard.stdin.close()

    def __enter__(self) -> Self:
        """Nothing to do: the guard runs since the constructor."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop every program."""
        self.stop()


@contextmanager
def _start_errors(command: Command) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProgramError(
            f"start {command.name}",
            command.arguments[0],
            expected="a program that can be started",
            found=error.strerror or type(error).__name__,
        ) from error


def _ending(exit_code: int) -> str:
    return f"ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
