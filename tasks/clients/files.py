"""Files on the worker's disk, bounded in size: release files and bundles that were brought by hand (R5)."""

from pathlib import Path

from tasks.core.archives import MAX_ARCHIVE_BYTES, MAX_ENTRIES, MAX_FILE_BYTES, unpack_archive
from tasks.core.errors import InputError


def read_file(path: Path, limit_bytes: int, attempted: str) -> bytes:
    """Read one file.

    Raises:
        InputError: It cannot be read or has more than `limit_bytes`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(limit_bytes + 1)
    except OSError as error:
        found = error.strerror or type(error).__name__
        raise InputError(attempted, str(path), "a readable file on the worker", found) from error
    if len(content) > limit_bytes:
        raise InputError(attempted, str(path), f"at most {limit_bytes} bytes", "more")
    return content


def read_bundle_folder(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their path in it, as `tasks.core.bundles.read_bundle` takes them.

    Raises:
        InputError: There is no such folder, or it holds a link, too many or too large files.
    """
    attempted = "read the bundle's folder"
    if not folder.is_dir():
        raise InputError(attempted, str(folder), "a folder on the worker", "none")
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise InputError(attempted, str(path), "plain files and folders only", "a link or a special file")
        if path.is_file():
            files[path.relative_to(folder).as_posix()] = read_file(path, MAX_FILE_BYTES, attempted)
        if len(files) > MAX_ENTRIES:
            raise InputError(attempted, str(folder), f"at most {MAX_ENTRIES} files", "more")
    return files


def read_bundle_archive(path: Path) -> dict[str, bytes]:
    """The files of a tar or tar.gz archive.

    Raises:
        InputError: It cannot be read.
        ManifestError: It is damaged or hostile.
    """
    return unpack_archive(read_file(path, MAX_ARCHIVE_BYTES, "read the bundle's archive"), str(path))
