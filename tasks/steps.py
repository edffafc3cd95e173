"""The one way a step on a cluster becomes a Prefect task: its name, its retries, and nothing kept."""

import functools
import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import TaskRunNameCallbackWithParameters, exponential_backoff
from typing_extensions import override

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.connections import cluster_name
from tasks.core.errors import FleetError, StalledError

P = ParamSpec("P")
R = TypeVar("R")

_RETRIES = 3


def is_retryable(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task run says of itself that the same call may succeed later."""
    try:
        state.result()
    except FleetError as error:
        return error.retryable
    except Exception:  # noqa: BLE001 - anything that is not ours is a bug, and no bug is retried
        return False
    return False


class _RunName(TaskRunNameCallbackWithParameters):
    def __init__(self, step_name: str) -> None:
        self._step_name = step_name

    @override
    def __call__(self, parameters: dict[str, Any]) -> str:
        return f"{self._step_name}/{cluster_name(parameters['cluster'])}"


def step(
    name: str,
) -> Callable[[Callable[Concatenate[KubernetesCluster, P], R]], Task[Concatenate[KubernetesCluster, P], R]]:
    """Make a task of a function whose first argument `cluster` is the cluster's block.

    Nothing is cached or persisted: every run of a step reads the cluster afresh. Errors that call themselves
    retryable are tried again with back-off and jitter, until the stage's deadline: the argument `until`, if
    the function has one. After it they become a StalledError that says the same and is not tried again.
    """

    def decorate(
        function: Callable[Concatenate[KubernetesCluster, P], R],
    ) -> Task[Concatenate[KubernetesCluster, P], R]:
        return task(
            name=name,
            task_run_name=_RunName(name),
            retries=_RETRIES,
            retry_delay_seconds=exponential_backoff(backoff_factor=1),
            retry_jitter_factor=0.5,
            retry_condition_fn=is_retryable,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(_ending_at_the_deadline(function))

    return decorate


def _ending_at_the_deadline(
    function: Callable[Concatenate[KubernetesCluster, P], R],
) -> Callable[Concatenate[KubernetesCluster, P], R]:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(cluster: KubernetesCluster, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(cluster, *args, **kwargs)
        except FleetError as error:
            until = signature.bind(cluster, *args, **kwargs).arguments.get("until")
            if error.retryable and isinstance(until, datetime) and datetime.now(UTC) >= until:
                raise StalledError(
                    error.attempted, error.subject, error.expected, error.found, error.next_step
                ) from error
            raise

    return call
