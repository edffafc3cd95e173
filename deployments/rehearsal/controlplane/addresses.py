"""Where a control plane listens: a number of its own gives it addresses that no other control plane has."""

import fcntl
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tasks.core.errors import InputError, PrerequisiteError

ALL_NUMBERS = range(189)
"""The numbers a control plane can have: 66 + 188 = 254 is the last second octet of a Service range."""

_FIRST_SERVICE_OCTET = 66


class NumberTakenError(PrerequisiteError):
    """Another control plane on this machine has that number."""


@dataclass(frozen=True)
class Addresses:
    """The loopback addresses of one control plane.

    Attributes:
        number: 0 to 188, unique on the machine while the control plane runs.
    """

    number: int

    def __post_init__(self) -> None:
        """Refuse a number that has no Service range."""
        if self.number not in ALL_NUMBERS:
            raise InputError(
                "number a control plane", expected=f"0 to {ALL_NUMBERS[-1]}", found=str(self.number)
            )

    @property
    def host(self) -> str:
        """The address that the programs of the control plane (and the node's kubelet port) listen on."""
        return f"127.1.{self.number}.1"

    @property
    def service_range(self) -> str:
        """The ClusterIPs: loopback addresses, so that a process bound to one is the Service's backend."""
        return f"127.{_FIRST_SERVICE_OCTET + self.number}.0.0/16"


class NumberClaim:
    """Holds a control plane's number until `release`; the kernel releases it when the process ends."""

    def __init__(self, number: int, lock: IO[str]) -> None:
        self.number = number
        self._lock = lock

    def release(self) -> None:
        """Give the number back. A second call does nothing."""
        self._lock.close()


def claim_number(number: int) -> NumberClaim:
    """Take a number for this process.

    Raises:
        NumberTakenError: Another control plane has it, in this process or in another one.
    """
    lock = (_lock_folder() / f"control-plane-{number}.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        owner = lock.read().strip()
        lock.close()
        raise NumberTakenError(
            "start a control plane",
            f"number {number}",
            expected="a number that no control plane on this machine has",
            found=f"process {owner} holding it",
            next_step="Choose another number.",
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return NumberClaim(number, lock)


def _lock_folder() -> Path:
    # Per user, because another user's lock files could not be opened for writing.
    folder = Path(tempfile.gettempdir()) / f"osok-fleet-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
