"""Works on clusters in flow runs of their own, started through a deployment by the calling flow run.

What a run is given are names and choices, and what it leaves is a document in an artifact: both lie in the
server's database, so that worker and caller may be on different machines without a common storage.
"""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    ArtifactFilterKey,
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterIdempotencyKey,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import ArtifactSort
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_run_logger
from prefect.states import Cancelling
from pydantic import BaseModel

from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import InputError
from tasks.core.execution.choice import ExecutionChoice
from tasks.core.execution.failures import ClusterRunError, RunFacts, run_error
from tasks.core.execution.waiting import GivenUp, RunPhase, RunView, attempt_key, give_up
from tasks.documents import fenced, read_document

DocumentT = TypeVar("DocumentT", bound=BaseModel)
_LOOK_EVERY = 2.0
"""Seconds between two looks at the states of all runs, which is one request for 200 of them."""
_BATCH = 200


@dataclass
class _Child:
    run: FlowRun
    asked_at: datetime
    given_up: GivenUp | None = None
    given_up_at: datetime | None = None

    @property
    def view(self) -> RunView:
        """What is to be judged. One that was given up is cancelled, so it takes no place any more."""
        state = self.run.state
        type_ = state.type.value if state else ""
        ended_at: datetime | None = self.run.end_time
        if self.given_up is not None:
            type_ = "CANCELLING"
            # That nobody began it was no movement of the queue; that it leaves its place is one.
            ended_at = self.given_up_at if self.given_up is GivenUp.NOT_FINISHED else None
        return RunView(type_, self.asked_at, self.run.start_time, ended_at)

    @property
    def over(self) -> bool:
        """Whether nobody has to wait for it any more."""
        return self.view.phase is RunPhase.ENDED


class ClusterRuns:
    """The flow runs of a deployment that the calling flow run started, one for each cluster.

    May be used by several threads of the calling flow run.

    Args:
        choice: The deployment, and how long to wait.
        default: The project's own deployment, `flow/deployment`; another one has to be of the same flow.

    Raises:
        InputError: There is no such deployment, or its runs could never begin.
    """

    def __init__(self, choice: ExecutionChoice, default: str) -> None:
        self._choice = choice
        self._name = choice.deployment or default
        self._pool = _checked_pool(self._name, default.partition("/")[0])
        self._children: dict[UUID, _Child] = {}
        self._lock = threading.Lock()
        self._looked_at = 0.0

    def start(self, cluster: str, parameters: Mapping[str, Any], part: str = "") -> UUID:
        """Start a flow run for a cluster, or find the one that runs already; returns its id.

        A caller that is started again begins at the top. A run that an earlier process of it started and that
        has not ended is waited for; one that has ended is a look at the past, and a new one is started.

        Args:
            cluster: The name of the cluster.
            parameters: Of the flow run, without secrets: they lie in the clear in Prefect's database.
            part: Which part of the work on the cluster, where one caller has several done.
        """
        # Prefect numbers the runs of a flow run by a dictionary that no lock guards.
        with self._lock:
            run = self._found_or_started(cluster, parameters, part)
            self._children.setdefault(run.id, _Child(run, datetime.now(UTC)))
            return run.id

    def wait(self, runs: Collection[UUID]) -> None:
        """Wait until all of some runs have ended, or have been given up and cancelled."""
        while True:
            with self._lock:
                self._look()
                if all(self._children[run].over for run in runs):
                    return
            time.sleep(_LOOK_EVERY)

    def result(self, run: UUID, attempted: str, cluster: str, model: type[DocumentT]) -> DocumentT:
        """The document that a run left for its cluster.

        Args:
            run: A run that `wait` returned for.
            attempted: What it was for, as a clause.
            cluster: The name of its cluster.
            model: What the document is.

        Raises:
            ClusterRunError: It left none: it crashed, was cancelled, failed, or was given up.
        """
        child = self._children[run]
        document = None if child.given_up else _left(run, cluster, model)
        if document is None:
            raise self._error(child, attempted, cluster)
        return document

    def _error(self, child: _Child, attempted: str, cluster: str) -> ClusterRunError:
        state = child.run.state
        facts = RunFacts(
            deployment=self._name,
            pool=self._pool,
            name=child.run.name,
            id=str(child.run.id),
            type=state.type.value if state else "",
            state=(state.name if state else None) or "without a state",
            given_up=child.given_up,
        )
        return run_error(attempted, cluster, facts, self._choice)

    def _found_or_started(self, cluster: str, parameters: Mapping[str, Any], part: str) -> FlowRun:
        caller = str(_calling_run().id)
        attempt = 1
        while found := _run_of(attempt_key(caller, cluster, part, attempt)):
            if found.id in self._children or not _Child(found, datetime.now(UTC)).over:
                get_run_logger().info("%s: flow run %s was started before", cluster, found.name)
                return found
            attempt += 1
        started = run_deployment(
            self._name,
            parameters=dict(parameters),
            flow_run_name=f"{self._name.partition('/')[0]}/{cluster}",
            timeout=0,
            as_subflow=True,
            idempotency_key=attempt_key(caller, cluster, part, attempt),
        )
        if not isinstance(started, FlowRun):
            raise TypeError("run_deployment was called in an event loop")
        return started

    def _look(self) -> None:
        """Read the states, give up what has to be given up; once for all threads that wait."""
        if time.monotonic() - self._looked_at < _LOOK_EVERY:
            return
        open_ones = [run for run, child in self._children.items() if not child.over]
        try:
            with prefect_api() as client:
                for seen in _read(client, open_ones):
                    self._children[seen.id].run = seen
                self._give_up(client)
        except httpx.TransportError:
            # A server that restarts is asked again; the runs' own limits go on.
            get_run_logger().warning("The Prefect server does not answer; its flow runs are asked for again")
        self._looked_at = time.monotonic()

    def _give_up(self, client: SyncPrefectClient) -> None:
        views, now = [child.view for child in self._children.values()], datetime.now(UTC)
        for run, child in self._children.items():
            reason = None if child.over else give_up(child.view, views, now, self._choice)
            if reason is not None:
                # Otherwise it would begin, or go on, after its caller has told how it ended.
                child.given_up, child.given_up_at = reason, now
                with suppress(ObjectNotFound):
                    client.set_flow_run_state(run, Cancelling(message="Its caller waits no longer."))


def leave_result(cluster: str, document: BaseModel) -> None:
    """In a cluster's flow run: leave the result for the caller. It must hold no secret."""
    create_markdown_artifact(
        fenced(document), key=_key(cluster), description=f"Result of {cluster}, for the flow run that asked"
    )


def _left(run: UUID, cluster: str, model: type[DocumentT]) -> DocumentT | None:
    wanted = ArtifactFilter(
        key=ArtifactFilterKey(any_=[_key(cluster)]), flow_run_id=ArtifactFilterFlowRunId(any_=[run])
    )
    with prefect_api() as client:
        found = client.read_artifacts(artifact_filter=wanted, sort=ArtifactSort.CREATED_DESC, limit=1)
    return read_document(model, str(found[0].data)) if found else None


def _key(cluster: str) -> str:
    return f"cluster-run-{cluster}"


def _read(client: SyncPrefectClient, runs: list[UUID]) -> Iterator[FlowRun]:
    for start in range(0, len(runs), _BATCH):
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=runs[start : start + _BATCH]))
        yield from client.read_flow_runs(flow_run_filter=wanted, limit=_BATCH)


def _run_of(key: str) -> FlowRun | None:
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
    with prefect_api() as client:
        return next(iter(client.read_flow_runs(flow_run_filter=wanted, limit=1)), None)


def _calling_run() -> FlowRun:
    # Not the innermost context: in a rollout a cluster is worked on inside of a task.
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("called outside of a flow run")
    return context.flow_run


def _checked_pool(name: str, flow: str) -> str:
    """The name of the work pool whose workers take the runs."""
    if name.partition("/")[0] != flow:
        raise _refusal(f"a deployment of the flow {flow}", name, f"Name it {flow}/…, or leave it empty.")
    with prefect_api() as client:
        try:
            deployment = client.read_deployment_by_name(name)
        except ObjectNotFound:
            next_step = "Create it (make deploy), or correct the name."
            raise _refusal("a deployment of that name", f"none {name}", next_step) from None
        if not deployment.work_pool_name:
            raise _refusal("a deployment with a work pool", f"{name} without", "Give it a work pool.")
        limit = client.read_work_pool(deployment.work_pool_name).concurrency_limit
    if limit == 1 and _calling_run().work_pool_name == deployment.work_pool_name:
        raise _refusal(
            "a place in the work pool besides the one of this run",
            f"pool {deployment.work_pool_name} with concurrency limit 1",
            "Raise the limit, or give the deployment a work pool of its own.",
        )
    return deployment.work_pool_name


def _refusal(expected: str, found: str, next_step: str) -> InputError:
    return InputError(
        "work on clusters in flow runs of their own", "execution.deployment", expected, found, next_step
    )
