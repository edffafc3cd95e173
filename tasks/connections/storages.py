"""Storage blocks that parameters name, and files in them that are whole or not there."""

import inspect
import secrets
from pathlib import Path
from typing import Any

from prefect.filesystems import LocalFileSystem, WritableFileSystem
from prefect.results import resolve_result_storage
from prefect.utilities.asyncutils import run_coro_as_sync

from tasks.core.errors import InputError


def find_storage(attempted: str, location: str) -> WritableFileSystem:
    """The storage that a parameter names.

    Args:
        attempted: What is attempted, for messages.
        location: `block-type/name` of a storage block, or an absolute folder.

    Raises:
        InputError: There is no such block.
    """
    if Path(location).is_absolute():
        return LocalFileSystem(basepath=location)
    try:
        storage: WritableFileSystem = completed(resolve_result_storage(location))
    except (ValueError, TypeError):
        raise InputError(
            attempted,
            location,
            "block-type/name of a saved storage block, an absolute folder, or nothing",
            "no such block",
            "Create it in the Prefect UI under Blocks, or correct the name.",
        ) from None
    return storage


def write_file(storage: WritableFileSystem, path: str, content: bytes) -> str:
    """Write a file that somebody may be reading: they see the old one or the new one, never half of one.

    Object stores do so by themselves. In a folder the new file gets its name once it is complete.

    Returns:
        Where it is, as far as the storage says: the whole path in a folder.
    """
    if not isinstance(storage, LocalFileSystem):
        completed(storage.write_path(path, content))
        return path
    # Not through the temporary folder: a file is renamed within one file system only.
    unfinished = f"{path}.{secrets.token_hex(4)}.unfinished"
    written = Path(completed(storage.write_path(unfinished, content)))
    target = written.with_name(Path(path).name)
    try:
        written.replace(target)
    except OSError:
        written.unlink(missing_ok=True)
        raise
    return str(target)


def completed(answer: Any) -> Any:  # noqa: ANN401 - Prefect and its storage blocks answer at once or with a coroutine
    """What a call of Prefect or of a storage block returned, whether it is asynchronous or not."""
    return run_coro_as_sync(answer) if inspect.iscoroutine(answer) else answer
