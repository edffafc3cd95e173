"""Processes of the rehearsal: they are stopped together, and a failure is shown with the end of the log."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.rehearsal.processes import Command, ProcessGroup, ProgramError

A_MINUTE = timedelta(minutes=1)


@pytest.fixture
def group() -> Iterator[ProcessGroup]:
    with ProcessGroup(secrets=["opensesame"]) as started:
        yield started


def shell(folder: Path, script: str) -> Command:
    return Command("shell", ("/bin/sh", "-c", script), folder, folder / "logs" / "shell.log")


def test_what_a_program_says_is_in_its_log(group: ProcessGroup, tmp_path: Path) -> None:
    process = group.start(shell(tmp_path, "echo out; echo err >&2"))

    assert process.wait(A_MINUTE) == 0
    assert process.log_tail() == "out\nerr"


def test_a_second_start_does_not_erase_the_first_log(group: ProcessGroup, tmp_path: Path) -> None:
    group.start(shell(tmp_path, "echo first")).wait(A_MINUTE)
    process = group.start(shell(tmp_path, "echo second"))

    process.wait(A_MINUTE)

    assert process.log_tail() == "first\nsecond"


def test_a_program_gets_its_variables_on_top_of_ours(group: ProcessGroup, tmp_path: Path) -> None:
    arguments = ("/bin/sh", "-c", 'echo "$COLOUR" "${PATH:+path}"')
    command = Command("shell", arguments, tmp_path, tmp_path / "log", {"COLOUR": "green"})

    process = group.start(command)

    process.wait(A_MINUTE)
    assert process.log_tail() == "green path"


def test_a_program_that_has_ended_is_named_with_its_last_lines(group: ProcessGroup, tmp_path: Path) -> None:
    group.start(shell(tmp_path, "seq 100; exit 3")).wait(A_MINUTE)

    with pytest.raises(ProgramError, match="exit code 3") as failure:
        group.raise_if_any_ended()

    assert "shell" in str(failure.value)
    assert "\n99\n100\n" in str(failure.value)
    assert "\n50\n" not in str(failure.value)


def test_a_program_that_a_signal_ended_is_named_with_the_signal(group: ProcessGroup, tmp_path: Path) -> None:
    process = group.start(shell(tmp_path, "exec sleep 1000"))
    process.send(signal.SIGKILL)
    process.wait(A_MINUTE)

    with pytest.raises(ProgramError, match="signal 9"):
        process.raise_if_ended()


def test_secrets_are_not_quoted_from_a_log(group: ProcessGroup, tmp_path: Path) -> None:
    process = group.start(shell(tmp_path, "echo token=opensesame"))

    process.wait(A_MINUTE)

    assert process.log_tail() == "token=(secret)"


def test_a_program_that_is_not_there_is_named(group: ProcessGroup, tmp_path: Path) -> None:
    command = Command("ghost", (str(tmp_path / "ghost"),), tmp_path, tmp_path / "log")

    with pytest.raises(ProgramError, match="No such file or directory"):
        group.start(command)


def test_a_running_program_raises_nothing(group: ProcessGroup, tmp_path: Path) -> None:
    process = group.start(shell(tmp_path, "exec sleep 1000"))

    group.raise_if_any_ended()

    assert process.exit_code() is None


def test_a_program_that_ignores_sigterm_is_killed(group: ProcessGroup, tmp_path: Path) -> None:
    process = group.start(shell(tmp_path, "trap '' TERM; touch deaf; while :; do sleep 1; done"))
    while not (tmp_path / "deaf").exists():
        group.raise_if_any_ended()

    assert process.stop(grace=timedelta(milliseconds=50)) == -signal.SIGKILL


def test_leaving_the_group_stops_every_program(tmp_path: Path) -> None:
    with ProcessGroup() as group:
        processes = [group.start(shell(tmp_path, "exec sleep 1000")) for _ in range(3)]

    assert [process.exit_code() for process in processes] == [-signal.SIGTERM] * 3


def test_a_group_can_be_stopped_twice(group: ProcessGroup) -> None:
    group.stop()

    group.stop()

    assert group.processes == ()


def test_a_waiting_caller_is_told_that_time_passes(group: ProcessGroup, tmp_path: Path) -> None:
    told: list[float] = []
    process = group.start(shell(tmp_path, "while [ ! -e told ]; do :; done; exit 4"))

    def tell(seconds: float) -> None:
        told.append(seconds)
        (tmp_path / "told").touch()

    assert process.wait_and_report(tell, every=timedelta(milliseconds=1)) == 4
    assert told[0] > 0
