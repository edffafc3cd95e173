"""Explains an installation that does not move (R7): the causes that the cluster tells of, best first."""

from collections.abc import Callable, Iterable, Sequence

from tasks.core.diagnosis.causes import Cause, ranked
from tasks.core.diagnosis.groups import group_causes
from tasks.core.diagnosis.observation import StallObservation
from tasks.core.diagnosis.plans import plan_causes
from tasks.core.diagnosis.pods import pod_causes
from tasks.core.diagnosis.resolution import resolution_causes, silence_causes
from tasks.core.diagnosis.versions import deployment_causes, selector_causes, version_causes, waiting_causes
from tasks.core.errors import StalledError

_FINDERS: tuple[Callable[[StallObservation], Iterable[Cause]], ...] = (
    deployment_causes,
    group_causes,
    pod_causes,
    resolution_causes,
    plan_causes,
    version_causes,
    selector_causes,
    silence_causes,
)
_TOLD = 3
_NOTHING = "no cause could be read off the cluster: its objects report nothing wrong"


def diagnose(observed: StallObservation) -> tuple[Cause, ...]:
    """The causes, most telling first; empty when nothing reports anything wrong."""
    causes = ranked(cause for find in _FINDERS for cause in find(observed))
    return causes or tuple(waiting_causes(observed))


def stalled_error(attempted: str, subject: str, causes: Sequence[Cause]) -> StalledError:
    """The error of a stage that did not finish in time, with its causes in the message.

    Args:
        attempted: What the stage waited for, as a clause.
        subject: Which cluster and namespace.
        causes: What `diagnose` found.
    """
    told = [cause.summary() for cause in causes[:_TOLD]]
    more = f" (and {len(causes) - _TOLD} more)" if len(causes) > _TOLD else ""
    found = "; ".join(told) + more if told else _NOTHING
    next_step = causes[0].next_step if causes else "Look at the logs of OLM and of the operator."
    return StalledError(attempted, subject, "it to happen before the deadline", found, next_step)
