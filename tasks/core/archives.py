"""Unpacks tar archives from strangers in memory: plain files only, bounded in number and size.

Image layers follow the OCI image specification ("Image Layer Filesystem Changeset", layer.md), whiteouts
included. Nothing is written to a disk. A hostile name could hurt whoever trusts it later, so it is refused.
"""

import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tasks.core.errors import ManifestError

MAX_ENTRIES = 2_000
"""Files and folders in one archive; a bundle has some twenty."""
MAX_FILE_BYTES = 4 * 1024 * 1024
"""One unpacked file, in bytes. The largest manifest etcd takes is 1.5 MiB."""
MAX_ARCHIVE_BYTES = 32 * 1024 * 1024
"""One archive after decompression, in bytes."""
MAX_NAME_CHARACTERS = 255

_ATTEMPTED = "unpack an archive"
_GZIP_MAGIC = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_WHITEOUT = ".wh."
_OPAQUE_WHITEOUT = ".wh..wh..opq"
_CHUNK_BYTES = 64 * 1024


@dataclass
class _Layer:
    files: dict[str, bytes] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    """Names that this layer hides from the layers below it, and everything under them."""
    emptied: list[str] = field(default_factory=list)
    """Folders whose content in the layers below is hidden."""


def unpack_archive(content: bytes, source: str) -> dict[str, bytes]:
    """Unpack one tar or tar.gz archive.

    Args:
        content: The archive's bytes.
        source: Where it came from, for messages.

    Returns:
        The files by their path, without a leading `./`.

    Raises:
        ManifestError: It is damaged, too large, or holds anything but files and folders with plain names.
    """
    return _read_layer(content, source).files


def unpack_layers(layers: Sequence[bytes], source: str) -> dict[str, bytes]:
    """Unpack image layers from the lowest to the highest; whiteouts hide files of lower layers.

    Raises:
        ManifestError: As in `unpack_archive`.
    """
    files: dict[str, bytes] = {}
    for position, content in enumerate(layers, start=1):
        layer = _read_layer(content, f"{source}, layer {position}")
        files = {path: data for path, data in files.items() if not _hidden(path, layer)} | layer.files
    return files


def _hidden(path: str, layer: _Layer) -> bool:
    ancestors = [str(parent) for parent in PurePosixPath(path).parents]
    return any(name in layer.removed for name in [path, *ancestors]) or any(
        name in layer.emptied for name in ancestors
    )


def _read_layer(content: bytes, source: str) -> _Layer:
    layer = _Layer()
    for path, data in _files(decompress(content, source), source):
        place = PurePosixPath(path)
        if place.name == _OPAQUE_WHITEOUT:
            layer.emptied.append(str(place.parent))
        elif place.name.startswith(_WHITEOUT):
            layer.removed.append(str(place.parent / place.name.removeprefix(_WHITEOUT)))
        elif path in layer.files:
            raise ManifestError(_ATTEMPTED, f"{source}: {path}", "every name once", "the same name twice")
        else:
            layer.files[path] = data
    return layer


def decompress(content: bytes, source: str) -> bytes:
    """Decompress gzip up to `MAX_ARCHIVE_BYTES`; other bytes are returned as they are.

    Raises:
        ManifestError: The stream is damaged, another compression, or grows beyond the limit.
    """
    for magic, name in _OTHER_COMPRESSIONS.items():
        if content.startswith(magic):
            raise ManifestError(_ATTEMPTED, source, "tar or tar.gz", f"{name} compression")
    if not content.startswith(_GZIP_MAGIC):
        return _within_limit(content, source)
    try:
        return b"".join(_gunzip(content, source))
    except zlib.error as error:
        raise ManifestError(_ATTEMPTED, source, "a sound gzip stream", f"{error}"[:200]) from error


def _gunzip(content: bytes, source: str) -> Iterator[bytes]:
    # The output is bounded chunk by chunk: a bomb stops at the limit instead of filling the memory.
    total = 0
    while content.startswith(_GZIP_MAGIC):
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        pending = content
        while not member.eof:
            chunk = member.decompress(pending, _CHUNK_BYTES)
            pending = member.unconsumed_tail
            if not chunk and not pending and not member.eof:
                raise ManifestError(_ATTEMPTED, source, "a complete gzip stream", "its end is missing")
            total += len(chunk)
            if total > MAX_ARCHIVE_BYTES:
                raise _too_large(source, f"more than {MAX_ARCHIVE_BYTES} bytes after decompression")
            yield chunk
        content = member.unused_data


def _within_limit(content: bytes, source: str) -> bytes:
    if len(content) > MAX_ARCHIVE_BYTES:
        raise _too_large(source, f"{len(content)} bytes")
    return content


def _too_large(source: str, found: str) -> ManifestError:
    return ManifestError(_ATTEMPTED, source, f"at most {MAX_ARCHIVE_BYTES} bytes", found)


def _files(content: bytes, source: str) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:", errorlevel=2) as archive:
            for count, member in enumerate(archive, start=1):
                if count > MAX_ENTRIES:
                    raise ManifestError(_ATTEMPTED, source, f"at most {MAX_ENTRIES} entries", "more")
                path = _checked_path(member.name, source)
                _check_member(member, f"{source}: {path}")
                stream = archive.extractfile(member)
                if stream is not None:  # a folder has none
                    yield path, stream.read()
    # A chain of extended headers makes tarfile recurse; a damaged one makes it raise ValueError and others.
    except (tarfile.TarError, ValueError, EOFError, OverflowError, RecursionError) as error:
        raise ManifestError(_ATTEMPTED, source, "a sound tar archive", f"{error}"[:200]) from error


def _check_member(member: tarfile.TarInfo, subject: str) -> None:
    if not member.isfile() and not member.isdir():
        kind = {tarfile.SYMTYPE: "a symbolic link", tarfile.LNKTYPE: "a hard link"}.get(
            member.type, "a device, a pipe or another special entry"
        )
        raise ManifestError(_ATTEMPTED, subject, "plain files and folders only", kind)
    # A negative size moves tarfile's position backwards, which it follows for ever (CVE-2025-8194).
    if member.size < 0 or member.size > MAX_FILE_BYTES or member.issparse():
        found = "a sparse file" if member.issparse() else f"{member.size} bytes"
        raise ManifestError(_ATTEMPTED, subject, f"at most {MAX_FILE_BYTES} bytes", found)


def _checked_path(name: str, source: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ManifestError(_ATTEMPTED, source, "names inside the archive's own folder", repr(name[:100]))
    if len(name) > MAX_NAME_CHARACTERS or "\\" in name or not name.isprintable():
        raise ManifestError(
            _ATTEMPTED,
            source,
            f"printable names of at most {MAX_NAME_CHARACTERS} characters without backslashes",
            repr(name[:100]),
        )
    return str(path)
