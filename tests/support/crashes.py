"""Kills a worker and its flow runs (SIGKILL, no chance to clean up) at an exact request to the API server.

The audit log is the clock: a task run reaches Prefect's API up to seconds after it began, a request is in the
log before its answer is on its way.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from deployments.rehearsal.prefect_services import PrefectServices

OUR_ACCOUNTS = "system:serviceaccount:osok-fleet:"
"""How the user names of our accounts begin."""
_PAUSE = 0.01


@dataclass(frozen=True)
class KillPoint:
    """Right after the API server answered one of our requests.

    Attributes:
        label: What has just happened.
        verb: The request's verb.
        resource: The plural of its resource.
        name: The object's name; empty for any.
        count: The how many-eth of such requests it is.
    """

    label: str
    verb: str
    resource: str
    name: str = ""
    count: int = 1

    def matches(self, event: dict[str, Any]) -> bool:
        """Whether an audit event is such a request of ours."""
        target = event.get("objectRef") or {}
        return (
            event["user"]["username"].startswith(OUR_ACCOUNTS)
            and event["verb"] == self.verb
            and target.get("resource") == self.resource
            and self.name in ("", target.get("name"))
        )


class AuditWatch:
    """Follows an audit log from its present end.

    Args:
        log: The file that the API server appends to.
    """

    def __init__(self, log: Path) -> None:
        self._lines = log.open("rb")
        self._lines.seek(0, os.SEEK_END)

    def wait_for(self, point: KillPoint, still_possible: Callable[[], bool]) -> None:
        """Return when the point is reached.

        Args:
            point: What to wait for.
            still_possible: Asked once a second; an AssertionError is raised when it says no.
        """
        seen = 0
        asked = time.monotonic()
        while seen < point.count:
            line = self._lines.readline()
            if line.endswith(b"\n"):
                seen += point.matches(json.loads(line))
                continue
            # The end, or the middle of a line that is being written.
            self._lines.seek(-len(line), os.SEEK_CUR)
            time.sleep(_PAUSE)
            if time.monotonic() - asked > 1:
                asked = time.monotonic()
                assert still_possible(), f"the run ended before: {point.label}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()


def kill_worker_and_flow_runs(services: PrefectServices, spared: Collection[int] = frozenset()) -> list[int]:
    """SIGKILL the worker first, so that it cannot report its children, then them; returns the killed ids."""
    worker = services.worker
    children = [child for child in descendants(worker.pid) if child not in spared]
    worker.send(signal.SIGKILL)
    for child in children:
        os.kill(child, signal.SIGKILL)
    worker.stop()
    return [worker.pid, *children]


def is_running(process_id: int) -> bool:
    """Whether a process is there and has not ended; nobody may have asked yet how it ended."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(process_id: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # Field 4; the command's name in brackets before it may hold spaces.
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        parents.setdefault(parent, []).append(int(status.parent.name))
    found: list[int] = []
    waiting = [process_id]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found
