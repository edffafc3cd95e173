"""Drives a rollout inside of one flow run: begins what may begin, waits for what has to be waited for.

Every cluster that is worked on is a task run in a thread of the flow's task runner. People are asked in the
flow's own thread, and only while nothing is worked on: a gate suspends the run, which ends its process.
Nothing is remembered between processes: a run that starts again goes through the clusters in the same order,
and work on a cluster that is right already is a look at it.
"""

import queue
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import State, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture, wait
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from tasks.core.rollout.machine import Decisions, NextStep, StepKind, next_step
from tasks.core.rollout.plans import RolloutPlan, render_plan
from tasks.core.rollout.progress import render_progress
from tasks.core.rollout.states import ClusterProgress, ClusterState
from tasks.rollout.gate import WaveDecisionKind, ask_to_begin

_LOOK_AGAIN = timedelta(minutes=1)
"""How long a wait lasts at most before the plan is looked at again."""

Work = Callable[[str], ClusterProgress]
"""Works on one cluster, given its name, in a thread of its own; returns how it stands then."""


@dataclass(frozen=True)
class RolloutWork:
    """What is done on a cluster.

    Attributes:
        prepare: Everything, or everything before the wave's certificates are decided; then the state that it
            returns is PREPARED.
        finish: The rest, for clusters that are PREPARED.
        decide: Have the certificates of a wave, given its name, decided; may suspend the flow run.
    """

    prepare: Work
    finish: Work
    decide: Callable[[str], None]


@dataclass(frozen=True)
class RolloutEnd:
    """How a rollout ended.

    Attributes:
        states: By cluster, for those that were begun.
        stopped: Why it stopped early; empty when every wave is over.
    """

    states: Mapping[str, ClusterProgress]
    stopped: str = ""


@dataclass
class _Rollout:
    plan: RolloutPlan
    work: RolloutWork
    patience: timedelta
    states: dict[str, ClusterProgress] = field(default_factory=dict)
    approved: set[str] = field(default_factory=set)
    settled: set[str] = field(default_factory=set)
    refused: str = ""
    running: dict[str, PrefectFuture[Any]] = field(default_factory=dict)
    ended: "queue.SimpleQueue[tuple[str, ClusterProgress]]" = field(default_factory=queue.SimpleQueue)
    told: str = ""

    def go_on(self) -> RolloutEnd | None:
        """One step; the end when there is nothing more to do."""
        step = next_step(self.plan, self.states, _now(), Decisions(self.approved, self.settled))
        self._tell(step)
        match step.kind:
            case StepKind.START:
                for cluster in step.clusters:
                    self._begin(cluster)
            case StepKind.WAIT:
                self._wait(step.until)
            case StepKind.ASK:
                return self._ask(step.wave)
            case StepKind.DECIDE:
                self.work.decide(step.wave)
                self.settled.add(step.wave)
            case StepKind.STOP if self.running:
                self._wait(None)
            case StepKind.STOP:
                return RolloutEnd(self.states, step.reason)
            case StepKind.DONE:
                return RolloutEnd(self.states)
        return None

    def _begin(self, cluster: str) -> None:
        prepared = cluster in self.states and self.states[cluster].state is ClusterState.PREPARED
        work = self.work.finish if prepared else self.work.prepare
        ended = self.ended

        @task(
            name="work-on-cluster",
            task_run_name="work-on-cluster/{cluster}",
            cache_policy=NO_CACHE,
            persist_result=False,
        )
        def work_on_cluster(cluster: str) -> State[None]:
            """The work, and whatever became of it handed to the flow's thread."""
            progress = ClusterProgress(ClusterState.FAILED, _now(), "the work was cut off")
            try:
                progress = work(cluster)
            except Exception as error:  # noqa: BLE001 - a bug on one cluster must not leave the others alone
                progress = _failed_by_a_bug(error)
            finally:
                ended.put((cluster, progress))
            failed = progress.state is ClusterState.FAILED
            return Failed(message=progress.detail) if failed else Completed(message=progress.detail)

        self.states[cluster] = ClusterProgress(ClusterState.PROGRESSING, _now())
        self.running[cluster] = work_on_cluster.submit(cluster)

    def _wait(self, until: datetime | None) -> None:
        """Until a cluster ended, or the moment came, or it is time to look again."""
        left = min(until - _now(), _LOOK_AGAIN) if until else _LOOK_AGAIN
        try:
            ended = [self.ended.get(timeout=max(0.0, left.total_seconds()))]
        except queue.Empty:
            return
        while not self.ended.empty():
            ended.append(self.ended.get())
        wait([self.running.pop(cluster) for cluster, _ in ended])
        self.states.update(ended)

    def _ask(self, wave: str) -> RolloutEnd | None:
        shown = f"{render_plan(self.plan, _now())}\n{render_progress(self.plan, self.states, '')}"
        planned = next(one for one in self.plan.waves if one.name == wave)
        answer = ask_to_begin(planned, self.plan.digest, shown, self.patience)
        if answer.decision is WaveDecisionKind.BEGIN:
            self.approved.add(wave)
            return None
        reason = f"wave {wave} was stopped by {answer.approver} (claimed): {answer.reason}"
        return RolloutEnd(self.states, reason)

    def _tell(self, step: NextStep) -> None:
        """The log and the artifact, when there is something new to say; starts and ends are task runs."""
        waited_for = "" if self.running else step.reason
        told = f"{step.kind} {step.wave} {waited_for}"
        if step.kind is not StepKind.START and told != self.told:
            self.told = told
            get_run_logger().info("Rollout %s: %s", step.kind.value, step.reason)
            self.show(step.reason)

    def show(self, reason: str) -> None:
        """How it stands, as an artifact."""
        text = render_progress(self.plan, self.states, reason)
        create_markdown_artifact(text, key="rollout", description="Rollout, progress")


def show_plan(plan: RolloutPlan) -> None:
    """The plan as an artifact, before anything is touched."""
    create_markdown_artifact(render_plan(plan, _now()), key="rollout-plan", description="Rollout, as planned")


def roll_out(plan: RolloutPlan, work: RolloutWork, patience: timedelta) -> RolloutEnd:
    """Carry a plan out; called in the flow's own thread.

    Args:
        plan: The plan.
        work: What is done on a cluster.
        patience: How long to wait for the approval of a MANUAL wave.

    Raises:
        DecisionError: The run was continued at a gate without an answer.
    """
    rollout = _Rollout(plan, work, patience)
    while True:
        end = rollout.go_on()
        if end is not None:
            rollout.show(end.stopped or "Every wave is over.")
            return end


def _failed_by_a_bug(error: Exception) -> ClusterProgress:
    # Its text may hold anything, so only its type and where it happened are told.
    name, where = type(error).__name__, "".join(traceback.format_tb(error.__traceback__))
    get_run_logger().error("Work on a cluster ended with an unexpected %s\n%s", name, where)
    return ClusterProgress(ClusterState.FAILED, _now(), f"unexpected {name}; see the log of this task run")


def _now() -> datetime:
    return datetime.now(UTC)
