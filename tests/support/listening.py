"""Where a process listens, as the kernel tells it."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

_LISTEN = "0A"


def listening_addresses(pid: int) -> list[IPv4Address | IPv6Address]:
    """The addresses of the TCP sockets that a process listens on (proc(5), `/proc/net/tcp` and `tcp6`)."""
    process = Path("/proc") / str(pid)
    own = {link.readlink().name for link in (process / "fd").iterdir()}
    tables = [process / "net" / name for name in ("tcp", "tcp6")]
    return [address for table in tables for inode, address in _listeners(table) if f"socket:[{inode}]" in own]


def _listeners(table: Path) -> Iterator[tuple[str, IPv4Address | IPv6Address]]:
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            yield fields[9], _address(fields[1].partition(":")[0])


def _address(text: str) -> IPv4Address | IPv6Address:
    # Words of 32 bits, each in the byte order of the machine: little-endian on all that we know.
    words = [bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8)]
    return ip_address(b"".join(words))
