"""What a flow run that left no result means for its cluster, in words: which one, what state, what to do."""

from dataclasses import dataclass

from tasks.core.errors import FleetError
from tasks.core.execution.choice import ExecutionChoice
from tasks.core.execution.waiting import GivenUp


class ClusterRunError(FleetError):
    """The flow run of a cluster ended, or was given up, without a result."""


@dataclass(frozen=True)
class RunFacts:
    """Which flow run it was, and what became of it.

    Attributes:
        deployment: `flow/deployment`.
        pool: Its work pool.
        name: The name of the flow run.
        id: Its id.
        type: Prefect's type of its last state.
        state: The name of that state. Not its message, which may quote anything.
        given_up: Why it was waited for no longer; None when it ended by itself.
    """

    deployment: str
    pool: str
    name: str
    id: str
    type: str
    state: str
    given_up: GivenUp | None = None


def run_error(attempted: str, cluster: str, run: RunFacts, choice: ExecutionChoice) -> ClusterRunError:
    """The error of a cluster whose flow run left no result.

    Args:
        attempted: What the flow run was for, as a clause.
        cluster: The name of the cluster.
        run: The flow run.
        choice: How long it was waited for.
    """
    found, next_step = _told(run, choice)
    return ClusterRunError(
        attempted,
        f"{cluster}: deployment {run.deployment}, flow run {run.name} ({run.id})",
        "a flow run that leaves its result",
        found,
        next_step,
    )


def _told(run: RunFacts, choice: ExecutionChoice) -> tuple[str, str]:
    if run.given_up is GivenUp.NOT_STARTED:
        next_step = (
            f"Start a worker (prefect worker start --pool {run.pool}), or raise the concurrency limit of "
            "pool or deployment, or execution.start_within. Then run again."
        )
        return f"{run.state}: no worker began it within {choice.start_within}, so it was cancelled", next_step
    if run.given_up is GivenUp.NOT_FINISHED:
        return (
            f"{run.state} for more than {choice.finish_within}, so it was cancelled",
            "Read its log. If the work needs longer, raise execution.finish_within; then run again.",
        )
    return _ENDS.get(run.type, _OTHER)[0].format(run.state), _ENDS.get(run.type, _OTHER)[1]


_ENDS = {
    "CRASHED": (
        "{}: its process ended without a word",
        "Read the worker's log: memory, a pod or a machine that went away. Then run again.",
    ),
    "CANCELLED": ("{}: somebody cancelled it", "Run again when the reason is settled."),
    "CANCELLING": ("{}: somebody cancels it", "Run again when the reason is settled."),
    "FAILED": ("{} by an unexpected error", "Read the log of that flow run."),
    "COMPLETED": (
        "{} without a result",
        "Deploy the flows anew (make deploy) and update the workers: both sides have to be of one version.",
    ),
}
_OTHER = ("{}", "Read the log of that flow run.")
