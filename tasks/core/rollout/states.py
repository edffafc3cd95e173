"""Where a cluster stands in a rollout."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ClusterState(StrEnum):
    """Open Cluster Management's states, and those that an approval in the middle of the work needs."""

    TO_APPLY = "TO_APPLY"
    """Nothing was done in this run."""
    PROGRESSING = "PROGRESSING"
    """It is worked on."""
    PREPARED = "PREPARED"
    """Everything before the decision about the wave's certificates is done."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    OFFLINE = "OFFLINE"
    """It did not answer, so nothing was done. Reported apart; no failure of the rollout."""
    SKIPPED = "SKIPPED"
    """Something outside of the rollout left it out: another run holds it, a person denied it."""


@dataclass(frozen=True)
class ClusterProgress:
    """The state of a cluster.

    Attributes:
        since: When it reached that state, in UTC; of SUCCEEDED also from before this run.
        detail: Why, in words, without secrets.
    """

    state: ClusterState
    since: datetime
    detail: str = ""
