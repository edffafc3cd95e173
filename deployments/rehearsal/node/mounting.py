"""Files that change together, as a kubelet writes them: `key` → `..data/key`, `..data` swapped at once."""

import itertools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_CURRENT = "..data"
_counter = itertools.count()


def write_together(folder: Path, files: Mapping[str, bytes]) -> bool:
    """Make a folder hold exactly these files; readers see all of the old ones or all of the new ones.

    Args:
        folder: It is made when it is missing.
        files: The content of each file by its path inside the folder.

    Returns:
        Whether anything changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    current = folder / _CURRENT
    if current.is_dir() and _content(current) == dict(files):
        return False
    fresh = folder / f"..{os.getpid()}_{next(_counter)}"
    for name, content in files.items():
        (fresh / name).parent.mkdir(parents=True, exist_ok=True)
        (fresh / name).write_bytes(content)
    fresh.mkdir(exist_ok=True)
    previous = current.resolve() if current.is_symlink() else None
    swap = folder / "..data_tmp"
    swap.symlink_to(fresh.name)
    swap.replace(current)
    _link_names(folder, {name.partition("/")[0] for name in files})
    if previous is not None:
        shutil.rmtree(previous)
    return True


def _content(folder: Path) -> dict[str, bytes]:
    base = folder.resolve()
    return {
        str(path.relative_to(base)): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()
    }


def _link_names(folder: Path, names: set[str]) -> None:
    for link in folder.iterdir():
        if not link.name.startswith("..") and link.name not in names:
            link.unlink()
    for name in names:
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{_CURRENT}/{name}")
