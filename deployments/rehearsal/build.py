"""Carries out a recipe: one `go build` for all programs, into a folder that is complete once it is there."""

import fcntl
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.rehearsal.processes import REPORT_EVERY, Command, ProcessGroup, RunningProcess
from deployments.rehearsal.recipes import DataFiles, Recipe
from deployments.rehearsal.toolchain import GoToolchain, Report
from tasks.core.errors import FleetError

_LOOK_EVERY = 0.5  # seconds
_LOG_LINES = 30
_DOWNLOADING = "go: downloading"


class BuildError(FleetError):
    """The programs of a recipe could not be built."""


@dataclass(frozen=True)
class Builder:
    """Builds recipes into a cache folder.

    Attributes:
        go: The toolchain.
        cache: Where finished builds are, one folder each.
        report: Told about the progress, at least every ten seconds while a recipe is built.
    """

    go: GoToolchain
    cache: Path
    report: Report

    def build(self, recipe: Recipe) -> Path:
        """The folder with the recipe's programs; built when it is not there yet.

        Raises:
            BuildError: `go` failed; the message holds the end of what it said.
        """
        target = self.cache / f"{recipe.module}-{recipe.key(self.go.version)}"
        if target.is_dir():
            return target
        self.cache.mkdir(parents=True, exist_ok=True)
        with self._lock(recipe):
            # Another process may have built it while we waited for the lock.
            if not target.is_dir():
                self._build_into(target, recipe)
        return target

    def _build_into(self, target: Path, recipe: Recipe) -> None:
        prefix = f".{recipe.module}-"
        for leftover in self.cache.glob(f"{prefix}*"):
            shutil.rmtree(leftover)
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.cache))
        try:
            log = self.cache / f"{recipe.module}.log"
            log.unlink(missing_ok=True)
            _Run(self.go, recipe, folder, log, self.report, time.monotonic()).carry_out()
            folder.chmod(0o755)
            folder.rename(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _lock(self, recipe: Recipe) -> Iterator[None]:
        """Keep other processes from building the same; the kernel releases the lock when we end."""
        started = said = time.monotonic()
        with (self.cache / f"{recipe.module}.lock").open("w") as lock:
            while not _try_lock(lock.fileno()):
                time.sleep(_LOOK_EVERY)
                if time.monotonic() - said >= REPORT_EVERY.total_seconds():
                    said = time.monotonic()
                    self.report(f"{recipe.module}: another process builds it, {said - started:.0f} s")
            yield


@dataclass(frozen=True)
class _Run:
    """One build that is being carried out.

    Attributes:
        go: The toolchain.
        recipe: What is built.
        folder: Where the programs go; not the final folder.
        log: What `go build` says.
        report: Told about the progress.
        started: Seconds on the monotonic clock.
    """

    go: GoToolchain
    recipe: Recipe
    folder: Path
    log: Path
    report: Report
    started: float

    def carry_out(self) -> None:
        """Download, compile, link, and put the data files beside the programs."""
        with ProcessGroup() as group:
            packages = self._load(group)
            self._compile(group, packages)
        for package, program in self.recipe.programs.items():
            (self.folder / _output_name(package)).rename(self.folder / program)
        for name, files in self.recipe.data_files.items():
            self._copy(files, self.folder / name)
        self._say("built")

    def _load(self, group: ProcessGroup) -> int:
        """Have the modules downloaded; the number of packages to be compiled."""
        listing = self.folder / "packages.log"
        arguments = ("list", self.recipe.build_flags[0], "-deps", "-f={{.ImportPath}}", *self.recipe.programs)
        process = self._start(group, listing, arguments)
        self._follow(process, lambda: f"{_count_lines(listing, _DOWNLOADING)} modules downloaded")
        packages = _count_lines(listing, "") - _count_lines(listing, _DOWNLOADING)
        listing.unlink()
        return packages

    def _compile(self, group: ProcessGroup, packages: int) -> None:
        flags = (*self.recipe.build_flags, "-v", f"-o={self.folder}/")
        process = self._start(group, self.log, ("build", *flags, *self.recipe.programs))
        outputs = [self.folder / _output_name(package) for package in self.recipe.programs]

        def progress() -> str:
            compiled = _count_lines(self.log, "") - _count_lines(self.log, _DOWNLOADING)
            linked = sum(output.exists() for output in outputs)
            return (
                # What Go's build cache holds is not compiled again and not counted.
                f"{compiled} of at most {packages} packages compiled, "
                f"{linked} of {len(outputs)} programs linked"
            )

        self._follow(process, progress)

    def _start(self, group: ProcessGroup, log: Path, arguments: tuple[str, ...]) -> RunningProcess:
        name = f"go {arguments[0]} ({self.recipe.module})"
        command = (str(self.go.program), *arguments)
        return group.start(Command(name, command, self.recipe.folder, log, self.go.environment))

    def _follow(self, process: RunningProcess, progress: Callable[[], str]) -> None:
        exit_code = process.wait_and_report(lambda _seconds: self._say(progress()))
        self._say(progress())
        if exit_code:
            raise BuildError(
                f"build the programs of {self.recipe.module}",
                process.name,
                expected="exit code 0",
                found=f"exit code {exit_code}. Last lines:\n{process.log_tail(_LOG_LINES)}\n",
                next_step="Modules come from GOPROXY; check that it is reachable, then run again.",
            )

    def _copy(self, files: DataFiles, target: Path) -> None:
        source = self.go.module_folder(files.module, "", self.recipe.folder)
        target.mkdir()
        for pattern in files.patterns:
            for file in source.glob(pattern):
                shutil.copyfile(file, target / file.name)

    def _say(self, what: str) -> None:
        self.report(f"{self.recipe.module}: {what}, {time.monotonic() - self.started:.0f} s")


def _output_name(package: str) -> str:
    """The name that `go build` chooses: the last element that is not a major version (`go help build`)."""
    elements = package.split("/")
    return elements[-2] if re.fullmatch(r"v\d+", elements[-1]) else elements[-1]


def _count_lines(log: Path, prefix: str) -> int:
    with log.open() as lines:
        return sum(line.startswith(prefix) for line in lines)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
