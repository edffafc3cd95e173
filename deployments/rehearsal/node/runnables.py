"""What an image means on the node: a real program, a pause, a crash, or nothing that could be pulled."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from deployments.rehearsal.images import Image, RunnableProgram, program_of
from deployments.rehearsal.node.launching import Bind
from deployments.rehearsal.programs import Programs

CRASH_TAG = "crash"
"""An image with this tag has a program that prints one line and exits with 1, whatever its command."""

UNPULLABLE = "does-not-exist"
"""An image with this in its repository cannot be pulled."""

_CRASH = ("/bin/sh", "-c", "echo 'panic: the image that always crashes' >&2; exit 1")
_CATALOG_FOLDER = "/configs"
_CATALOG_PORT = "50051"
_WEBHOOKS = "0.0.0.0:9443"
_HEALTH = "0.0.0.0:8081"
_CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"  # noqa: S108 - the mount path inside the container


class ImageKind(StrEnum):
    """How the node treats a container."""

    PROGRAM = "PROGRAM"
    """A real program runs, and the container's state is the program's."""
    PAUSE = "PAUSE"
    """Nothing runs, and the container is running and ready for ever."""
    UNPULLABLE = "UNPULLABLE"
    """The image cannot be pulled."""


@dataclass(frozen=True)
class Runnable:
    """How a program starts.

    Attributes:
        arguments: The program, as the sandbox sees it, and its arguments.
        binds: What it needs to see of the machine.
        environment: Variables that its image sets.
        folders: Empty folders that its image has.
    """

    arguments: tuple[str, ...]
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


def image_kind(container: Mapping[str, Any]) -> ImageKind:
    """What the node does with a container's image."""
    image = container["image"]
    if UNPULLABLE in image:
        return ImageKind.UNPULLABLE
    if _always_crashes(image) or _program(container) is not None:
        return ImageKind.PROGRAM
    if image in (Image.OLM_0_46_0, Image.OLM_0_20_0) and container.get("command"):
        return ImageKind.PROGRAM
    return ImageKind.PAUSE


@dataclass(frozen=True)
class ProgramImages:
    """The programs behind the images.

    Attributes:
        programs: The built programs.
        operator: The command that stands for the OSOK manager; `--listen`, `--health` and `--certificates`
            are
            appended.
        python_path: Folders that the operator's Python has to find its modules in; also what it sees of the
            machine besides the interpreter.
    """

    programs: Programs
    operator: tuple[str, ...]
    python_path: tuple[Path, ...]

    def runnable(
        self, container: Mapping[str, Any], command: Sequence[str], arguments: Sequence[str]
    ) -> Runnable:
        """How a container of kind PROGRAM starts.

        Args:
            container: The container.
            command: Its command, expanded; empty for the image's own.
            arguments: Its arguments, expanded.

        Raises:
            PrerequisiteError: The program was not built.
        """
        if _always_crashes(container["image"]):
            return Runnable(_CRASH)
        match _program(container):
            case RunnableProgram.OSOK_MANAGER:
                return self._manager(command, arguments)
            case RunnableProgram.EMPTY_CATALOG:
                serve = ("/bin/opm", "serve", _CATALOG_FOLDER, "-p", _CATALOG_PORT)
                bind = self._bind("opm", container["image"])
                return Runnable((*serve, *arguments), (bind,), folders=(_CATALOG_FOLDER,))
            case RunnableProgram.METRICS_SERVER as program:
                entry = f"/{program.value}"
                bind = Bind(str(self.programs.path(program.value)), entry)
                return Runnable((*(command or [entry]), *arguments), (bind,))
            case RunnableProgram() as program:
                bind = self._bind(program.value, container["image"])
                return Runnable((*(command or [bind.target]), *arguments), (bind,))
            case None:
                return Runnable((*command, *arguments))

    def _bind(self, name: str, image: str) -> Bind:
        # The default module has OLM 0.46.0; an older OLM lies in a folder of its own that `path` prefers.
        newest = image == Image.OLM_0_46_0
        programs = Programs(self.programs.folder) if newest else self.programs
        return Bind(str(programs.path(name)), f"/bin/{name}")

    def _manager(self, command: Sequence[str], arguments: Sequence[str]) -> Runnable:
        if command and command[0] != "/manager":
            return Runnable((*command, *arguments))
        flags = ("--listen", _WEBHOOKS, "--health", _HEALTH, "--certificates", _CERTIFICATES)
        interpreter = {Path(sys.prefix), Path(sys.base_prefix), *self.python_path}
        binds = tuple(Bind(str(folder), str(folder)) for folder in sorted(interpreter))
        path = ":".join(str(folder) for folder in self.python_path)
        variables = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}
        return Runnable((*self.operator, *flags), binds, variables)


def _program(container: Mapping[str, Any]) -> RunnableProgram | None:
    return program_of(container["image"], container.get("command") or ())


def _always_crashes(image: str) -> bool:
    return image.rpartition(":")[2] == CRASH_TAG
