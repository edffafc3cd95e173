"""The rehearsal's programs: real Kubernetes, etcd, KWOK and OLM, built once from pinned Go modules.

They lie in `$OSOK_FLEET_CACHE/programs` (default `~/.cache/osok-fleet/programs`), outside the checkout, in a
folder per module whose name changes with everything that decides what is built. Go's own caches are the usual
ones. `python -m deployments.rehearsal.programs` builds what is not there yet.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from deployments.rehearsal.build import Builder
from deployments.rehearsal.recipes import RECIPES, GoModule
from deployments.rehearsal.toolchain import Report, find_go
from tasks.core.errors import FleetError, PrerequisiteError

__all__ = ["GoModule", "OlmVersion", "Programs", "cache_folder", "ensure_programs", "module_folder"]


class OlmVersion(StrEnum):
    """The releases of OLM that can be rehearsed."""

    V0_46_0 = "0.46.0"
    V0_20_0 = "0.20.0"


@dataclass(frozen=True)
class Programs:
    """Built programs.

    Attributes:
        folder: Where the programs of the default module are.
        more: Folders of other modules; what they hold goes before `folder`.
    """

    folder: Path
    more: tuple[Path, ...] = ()

    def path(self, program: str) -> Path:
        """The file of a program, such as `kube-apiserver`, `etcd`, `olm`, `catalog` or `package-server`.

        Raises:
            PrerequisiteError: It was not built.
        """
        return self._find(program)

    def files(self, name: str) -> tuple[Path, ...]:
        """Data files out of the programs' modules, sorted: `kwok-stages` or `olm-crds`.

        Raises:
            PrerequisiteError: There are none of that name.
        """
        return tuple(sorted(self._find(name).iterdir()))

    def _find(self, name: str) -> Path:
        folders = (*self.more, self.folder)
        for folder in folders:
            if (folder / name).exists():
                return folder / name
        where = ", ".join(str(folder) for folder in folders)
        raise PrerequisiteError(
            "find a program of the rehearsal",
            name,
            expected=f"it in {where}",
            found="nothing of that name",
            next_step="Name its module in `ensure_programs`.",
        )


def cache_folder() -> Path:
    """Where the rehearsal keeps what is expensive to make: `$OSOK_FLEET_CACHE` or `~/.cache/osok-fleet`."""
    chosen = os.environ.get("OSOK_FLEET_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache" / "osok-fleet"


def ensure_programs(olm: OlmVersion, report: Report, extras: Iterable[GoModule] = ()) -> Programs:
    """Build what is not built yet.

    Args:
        olm: Whose programs `path` finds under `olm`, `catalog` and `package-server`, and whose CRDs `files`
            finds under `olm-crds`.
        report: Told about the progress, at least every ten seconds while something is built.
        extras: Modules on top of the control plane and OLM.

    Raises:
        ToolchainError: There is no Go.
        BuildError: `go build` failed.
    """
    older_olm = (GoModule.OLM_0_20_0,) if olm is OlmVersion.V0_20_0 else ()
    modules = (GoModule.DEFAULT, *older_olm, *extras)
    folders = [
        _build(module, _prefixed(report, f"programs {position} of {len(modules)}: "))
        for position, module in enumerate(modules, start=1)
    ]
    return Programs(folders[0], tuple(folders[1:]))


def module_folder(module: str, version: str) -> Path:
    """The sources of a Go module in the module cache; downloaded when they are not there.

    Raises:
        ToolchainError: There is no Go, or the module is not to be had.
    """
    recipe = RECIPES[GoModule.DEFAULT]
    go = find_go(recipe.go_line(), cache_folder(), lambda _line: None)
    return go.module_folder(module, version, recipe.folder)


def _build(module: GoModule, report: Report) -> Path:
    recipe = RECIPES[module]
    go = find_go(recipe.go_line(), cache_folder(), report)
    return Builder(go, cache_folder() / "programs", report).build(recipe)


def _prefixed(report: Report, prefix: str) -> Report:
    return lambda line: report(prefix + line)


def main() -> None:
    """Build the programs and say where they are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--olm", type=OlmVersion, choices=list(OlmVersion), default=OlmVersion.V0_46_0)
    parser.add_argument("extras", type=GoModule, nargs="*", metavar="module", help=", ".join(GoModule))
    arguments = parser.parse_args()
    try:
        programs = ensure_programs(arguments.olm, _say, arguments.extras)
    except FleetError as error:
        sys.exit(str(error))
    for folder in (programs.folder, *programs.more):
        _say(str(folder))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
