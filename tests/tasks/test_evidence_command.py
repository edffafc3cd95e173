"""The shipped command that checks evidence offline (issue 4)."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployments.evidence import main
from tasks.core.evidence import EvidenceEvent, EvidenceRecord, append, head_of, write_records

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def chain() -> tuple[EvidenceRecord, ...]:
    started = append((), EvidenceEvent.STARTED, "fra-1", {"run": "one"}, NOW)
    return append(started, EvidenceEvent.DECIDED, "fra-1", {"approver": "Ada"}, NOW)


CHAIN = chain()
HEAD = head_of(CHAIN)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "evidence.jsonl"
    path.write_text(write_records(CHAIN))
    return path


def test_an_intact_chain_is_told_record_by_record(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file), "--head", HEAD]) == 0

    assert capsys.readouterr().out.splitlines() == [
        "   0 2026-11-20T12:00:00+00:00 STARTED     fra-1",
        "   1 2026-11-20T12:00:00+00:00 DECIDED     fra-1",
        f"INTACT 2 records, last digest {HEAD}: as it was kept",
    ]


def test_without_a_kept_digest_the_command_says_what_is_missing(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(file)]) == 0

    assert "compare it with the one that was kept" in capsys.readouterr().out


def test_a_changed_record_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("Ada", "Eve"))

    assert main([str(file)]) == 1

    assert capsys.readouterr().out.startswith("CHANGED at record 1: its content has the digest ")


def test_a_missing_end_is_seen_by_the_kept_digest(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(write_records(CHAIN[:1]))

    assert main([str(file), "--head", HEAD]) == 1

    assert capsys.readouterr().out.startswith("CUT at record 0: ")


def test_nothing_is_no_evidence(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("")

    assert main([str(file)]) == 1

    assert capsys.readouterr().out == "EMPTY: there is no record\n"


@pytest.mark.parametrize("content", [b"{}\n", b"not JSON\n", b"\xff\xfe"])
def test_what_is_no_evidence_cannot_be_read(
    file: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(content)

    assert main([str(file)]) == 2

    assert capsys.readouterr().out.startswith(f"UNREADABLE {file}: ")


def test_a_file_that_does_not_exist_cannot_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none")]) == 2

    assert "FileNotFoundError" in capsys.readouterr().out


def test_the_folder_of_a_flow_run_is_read_as_well(tmp_path: Path) -> None:
    """A run that was killed before its end has no evidence.jsonl yet."""
    for record in CHAIN:
        (tmp_path / f"{record.position:04}.json").write_text(write_records((record,)))

    assert main([str(tmp_path), "--head", HEAD]) == 0


def test_a_saved_artifact_is_read_with_its_fence(file: Path) -> None:
    file.write_text(f"```json\n{write_records(CHAIN)}```\n")

    assert main([str(file), "--head", HEAD]) == 0


def test_it_runs_as_a_module_without_prefect(file: Path) -> None:
    """Offline: the command does not even import Prefect."""
    program = "import sys, runpy; sys.argv[1:] = sys.argv[1:]; sys.modules['prefect'] = None; "
    program += "runpy.run_module('deployments.evidence', run_name='__main__')"

    finished = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program, str(file)],
        check=False,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": "."},
    )

    assert finished.returncode == 0, finished.stderr
    assert b"INTACT 2 records" in finished.stdout
