"""Builds the Go program of the agreement tests once per run and asks it questions."""

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

GO = shutil.which("go")
needs_go = pytest.mark.skipif(GO is None, reason="no Go toolchain: Go's answers cannot be compared")

_SOURCE = Path(__file__).parent / "goverify"


def build(folder: Path) -> Path:
    """Compile the program (standard library only, no network)."""
    assert GO is not None
    program = folder / "goverify"
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    command = [GO, "build", "-o", str(program), "."]
    subprocess.run(command, cwd=_SOURCE, env=environment, check=True, capture_output=True)  # noqa: S603 - our program
    return program


def ask(program: Path, question: str, items: list[Any]) -> list[Any]:
    """Ask one kind of question about many items; bytes travel as base64, as Go's JSON wants them."""
    content = json.dumps(items, default=lambda value: base64.b64encode(value).decode()).encode()
    done = subprocess.run([str(program), question], input=content, check=True, capture_output=True)  # noqa: S603 - ours
    answers: list[Any] = json.loads(done.stdout)
    return answers
