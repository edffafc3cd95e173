"""Free ports for programs that must be told theirs before they start."""

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tasks.core.errors import PrerequisiteError

_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000
_ATTEMPTS = 1_000


def free_ports(host: str, count: int) -> list[int]:
    """Different ports of `host` that nobody has and that no outgoing connection will get.

    They are below `ip_local_port_range` (ip(7)): a port of that range could be a connection's before the
    program listens.

    Raises:
        PrerequisiteError: None was found.
    """
    found: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(_candidates(), _ATTEMPTS):
            if len(found) == count:
                break
            if _takes(held, host, port):
                found.append(port)
    if len(found) < count:
        raise PrerequisiteError(
            "choose ports", host, expected=f"{count} free ports", found=f"{len(found)} in {_ATTEMPTS} tries"
        )
    return found


def _candidates() -> Sequence[int]:
    first_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    # Where an administrator has widened the range to the low ports there is no safe port to choose.
    return range(_FIRST, first_ephemeral if first_ephemeral > _FIRST + _ATTEMPTS else 32_768)


def _takes(held: ExitStack, host: str, port: int) -> bool:
    probe = held.enter_context(socket.socket())
    try:
        probe.bind((host, port))
    except OSError:
        return False
    return True
