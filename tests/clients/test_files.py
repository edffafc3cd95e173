"""Bundles that lie on the worker's disk (R5: a directory or an archive instead of an image)."""

import io
import tarfile
from pathlib import Path

import pytest

from tasks.clients.files import read_bundle_archive, read_bundle_folder, read_file
from tasks.core.errors import InputError, ManifestError
from tests.support.bundle_files import bundle_files


def _write(folder: Path) -> None:
    for name, content in bundle_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def test_a_folder_is_read_by_the_paths_in_it(tmp_path: Path) -> None:
    _write(tmp_path)

    assert read_bundle_folder(tmp_path) == bundle_files()


def test_an_archive_of_the_folder_has_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    _write(folder)
    with tarfile.open(tmp_path / "bundle.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=".")

    assert read_bundle_archive(tmp_path / "bundle.tar.gz") == bundle_files()


def test_a_hostile_archive_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bundle.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../outside"), io.BytesIO())

    with pytest.raises(ManifestError, match=r"bundle\.tar\): expected names inside"):
        read_bundle_archive(tmp_path / "bundle.tar")


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    with pytest.raises(InputError, match="plain files and folders only"):
        read_bundle_folder(tmp_path)


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    for number in range(2_001):
        (tmp_path / f"f{number}").touch()

    with pytest.raises(InputError, match="at most 2000 files"):
        read_bundle_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bundle\): expected a folder on the worker"):
        read_bundle_folder(tmp_path / "bundle")


def test_a_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"123456")

    with pytest.raises(InputError, match="at most 5 bytes"):
        read_file(tmp_path / "large", 5, "read a file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a readable file on the worker; found Is a directory"):
        read_file(tmp_path, 5, "read a file")
