"""When to go on waiting for the flow runs of clusters, and when to give one up."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tasks.core.execution.choice import ExecutionChoice


class RunPhase(StrEnum):
    """Where a flow run is."""

    WAITING = "WAITING"
    """Nobody has begun it: scheduled, late, waiting for a place, or its process is being started."""
    RUNNING = "RUNNING"
    ENDED = "ENDED"
    """It ended, or is being ended."""


class GivenUp(StrEnum):
    """Why a flow run is waited for no longer."""

    NOT_STARTED = "NOT_STARTED"
    NOT_FINISHED = "NOT_FINISHED"


_PHASES = {
    "RUNNING": RunPhase.RUNNING,
    "COMPLETED": RunPhase.ENDED,
    "FAILED": RunPhase.ENDED,
    "CRASHED": RunPhase.ENDED,
    "CANCELLED": RunPhase.ENDED,
    "CANCELLING": RunPhase.ENDED,
}


@dataclass(frozen=True)
class RunView:
    """A flow run as it is seen at one moment.

    Attributes:
        type: Prefect's type of its state; empty when it has none.
        asked_at: When this process began to wait for it.
        started_at: When it began; None: it has not.
        ended_at: When it ended.
    """

    type: str
    asked_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def phase(self) -> RunPhase:
        """Where it is. Of Prefect's types those that are not named here wait for somebody."""
        return _PHASES.get(self.type, RunPhase.WAITING)

    @property
    def moved_at(self) -> datetime:
        """When it was last seen to move."""
        return max(at for at in (self.asked_at, self.started_at, self.ended_at) if at is not None)


def give_up(
    run: RunView, runs: Collection[RunView], now: datetime, choice: ExecutionChoice
) -> GivenUp | None:
    """Why a flow run is waited for no longer; None while it is.

    A queue that moves is no dead one: a run that waits has `start_within` from the last time that any of
    them began or ended, and its time does not pass while another one runs, which has the place.

    Args:
        run: The run.
        runs: All runs of the same deployment and caller.
        now: The time.
        choice: The limits.
    """
    if run.phase is RunPhase.RUNNING:
        began = run.started_at or run.asked_at
        return GivenUp.NOT_FINISHED if now - began >= choice.finish_within else None
    if run.phase is RunPhase.ENDED or any(one.phase is RunPhase.RUNNING for one in runs):
        return None
    moved = max([run.asked_at, *(one.moved_at for one in runs if one.started_at or one.ended_at)])
    return GivenUp.NOT_STARTED if now - moved >= choice.start_within else None


def attempt_key(caller: str, cluster: str, part: str, attempt: int) -> str:
    """Idempotency key of a flow run: two processes of one caller never start the same attempt twice.

    Args:
        caller: Id of the flow run that starts it.
        cluster: The name of the cluster.
        part: Which part of the work on it; empty where there is only one.
        attempt: 1 for the first.
    """
    return f"{caller}/{cluster}/{part}/{attempt}"
