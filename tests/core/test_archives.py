"""Archives from strangers: what is read, and what is refused (R5: a bundle may be an archive)."""

import gzip
import io
import tarfile

import pytest

from tasks.core.archives import MAX_ARCHIVE_BYTES, MAX_FILE_BYTES, unpack_archive, unpack_layers
from tasks.core.errors import ManifestError


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return target.getvalue()


def _file(name: str, data: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, data


def _special(name: str, entry_type: bytes, target: str = "") -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type = entry_type
    info.linkname = target
    return info, b""


def test_files_are_named_by_their_path_without_leading_dot() -> None:
    content = _tar(_special("./manifests", tarfile.DIRTYPE), _file("./manifests/a.yaml", b"kind: A"))

    assert unpack_archive(content, "test") == {"manifests/a.yaml": b"kind: A"}


def test_gzip_is_recognised_by_its_first_bytes() -> None:
    assert unpack_archive(gzip.compress(_tar(_file("a", b"1"))), "test") == {"a": b"1"}


def test_a_gzip_stream_in_several_members_is_one_archive() -> None:
    content = _tar(_file("a", b"1"), _file("b", b"2"))

    joined = gzip.compress(content[:700]) + gzip.compress(content[700:])

    assert unpack_archive(joined, "test") == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (_file("/etc/passwd"), "inside the archive's own folder"),
        (_file("../outside"), "inside the archive's own folder"),
        (_file("manifests/../../outside"), "inside the archive's own folder"),
        (_file("manifests\\..\\outside"), "without backslashes"),
        (_file("a\x07b"), "printable names"),
        (_file("n" * 300), "at most 255 characters"),
        (_special("link", tarfile.SYMTYPE, "/etc/passwd"), "a symbolic link"),
        (_special("link", tarfile.LNKTYPE, "manifests/a"), "a hard link"),
        (_special("device", tarfile.CHRTYPE), "a device"),
        (_special("device", tarfile.BLKTYPE), "a device"),
        (_special("pipe", tarfile.FIFOTYPE), "a pipe"),
        (_file("big", bytes(MAX_FILE_BYTES + 1)), f"at most {MAX_FILE_BYTES} bytes"),
    ],
)
def test_hostile_members_are_refused(member: tuple[tarfile.TarInfo, bytes], reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        unpack_archive(_tar(member), "test")


def test_a_name_that_appears_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="the same name twice"):
        unpack_archive(_tar(_file("a", b"1"), _file("./a", b"2")), "test")


def test_too_many_entries_are_refused() -> None:
    content = _tar(*[_file(f"f{number}", b"") for number in range(2_001)])

    with pytest.raises(ManifestError, match="at most 2000 entries"):
        unpack_archive(content, "test")


def test_a_decompression_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(MAX_ARCHIVE_BYTES + 1))

    with pytest.raises(ManifestError, match="after decompression"):
        unpack_archive(bomb, "test")


def test_an_uncompressed_archive_over_the_limit_is_refused() -> None:
    with pytest.raises(ManifestError, match=f"at most {MAX_ARCHIVE_BYTES} bytes"):
        unpack_archive(bytes(MAX_ARCHIVE_BYTES + 1), "test")


def test_a_negative_size_is_refused_instead_of_looping() -> None:
    """CVE-2025-8194: tarfile walks backwards for ever over a member of negative size."""
    header = bytearray(_tar(_file("a", b""))[:512])
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()

    with pytest.raises(ManifestError, match="found -512 bytes"):
        unpack_archive(bytes(header) + bytes(1024), "test")


def test_a_long_chain_of_extended_headers_is_refused() -> None:
    header = tarfile.TarInfo("header")
    header.type = tarfile.XGLTYPE
    chain = header.tobuf(tarfile.USTAR_FORMAT) * 5_000

    with pytest.raises(ManifestError, match="a sound tar archive"):
        unpack_archive(chain + _tar(_file("a")), "test")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "sound tar archive"),
        (b"no archive at all" * 100, "sound tar archive"),
        (gzip.compress(_tar(_file("a", b"1" * 5000)))[:-30], "its end is missing"),
        (gzip.compress(b"a" * 3000)[:12] + b"\xff" * 40, "sound gzip stream"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd compression"),
        (_tar(_file("a", b"1" * 5000))[:2000], "sound tar archive"),
    ],
    # gzip writes the time into its header, and parallel test processes have to find tests of the same names.
    ids=["empty", "text", "gzip cut off", "gzip damaged", "zstd", "tar cut off"],
)
def test_damaged_archives_are_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason):
        unpack_archive(content, "test")


def test_a_higher_layer_replaces_files() -> None:
    layers = [_tar(_file("a", b"old"), _file("b", b"kept")), _tar(_file("a", b"new"))]

    assert unpack_layers(layers, "test") == {"a": b"new", "b": b"kept"}


def test_a_whiteout_removes_a_file_of_a_lower_layer() -> None:
    layers = [_tar(_file("dir/a"), _file("dir/b", b"kept")), _tar(_file("dir/.wh.a", b""))]

    assert unpack_layers(layers, "test") == {"dir/b": b"kept"}


def test_a_whiteout_of_a_folder_removes_everything_under_it() -> None:
    layers = [_tar(_file("dir/sub/a"), _file("other", b"kept")), _tar(_file(".wh.dir", b""))]

    assert unpack_layers(layers, "test") == {"other": b"kept"}


def test_an_opaque_whiteout_hides_lower_files_but_not_those_of_its_own_layer() -> None:
    """The order inside the layer does not matter (OCI image layer.md, "Opaque Whiteout")."""
    layers = [_tar(_file("dir/old")), _tar(_file("dir/new", b"1"), _file("dir/.wh..wh..opq", b""))]

    assert unpack_layers(layers, "test") == {"dir/new": b"1"}


def test_a_whiteout_does_not_reach_into_higher_layers() -> None:
    layers = [_tar(_file("a")), _tar(_file(".wh.a", b"")), _tar(_file("a", b"again"))]

    assert unpack_layers(layers, "test") == {"a": b"again"}


def test_an_error_in_a_layer_names_the_layer() -> None:
    with pytest.raises(ManifestError, match="image, layer 2"):
        unpack_layers([_tar(_file("a")), _tar(_file("../b"))], "image")
