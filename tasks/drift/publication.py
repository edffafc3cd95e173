"""Hands the results of verify-fleet on: metrics to Prometheus, the report to a storage.

What cannot be handed on is told in the run's log and on the page of the fleet; the verification stands.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Task, task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prometheus_client import write_to_textfile
from pydantic import SecretStr

from tasks.clients.pushgateway import Pushgateway, authorization_of, push_metrics
from tasks.connections import load_block
from tasks.connections.prefect_api import prefect_api
from tasks.connections.storages import find_storage, write_file
from tasks.core.drift.metrics import registry_of
from tasks.core.drift.publication import PublicationChoice, fleet_name
from tasks.core.drift.report.history import drift_over_time, snapshot_of
from tasks.core.drift.report.page import Plots, ReportContent, render_report
from tasks.core.drift.results import FleetVerification
from tasks.core.errors import FleetError, PublicationError
from tasks.core.markdown import counted
from tasks.drift.history import earlier_snapshots
from tasks.steps import is_retryable

_PART = (
    "Metrics: not handed on, for this run looked at other clusters than its deployment does: series of the "
    "rest of the fleet would be gone."
)


@dataclass(frozen=True)
class FleetRun:
    """The flow run that verified.

    Attributes:
        fleet: The name of the fleet.
        flow: The name of the flow.
        deployment: Whose run it is; None: of none.
        whole: Whether it looked at the clusters that its deployment looks at.
    """

    fleet: str
    flow: str
    deployment: UUID | None = None
    whole: bool = True


def hand_on(fleet: FleetVerification, choice: PublicationChoice) -> tuple[str, ...]:
    """Hand on what was chosen; returns what became of it, a line for each.

    A run by hand of a part of the fleet writes a report under another name and no metrics: they would take
    the place of those of the whole fleet.
    """
    if not choice.wanted:
        return ()
    run = _this_run(choice.fleet)
    return tuple(_lines(fleet, choice, run))


def _lines(fleet: FleetVerification, choice: PublicationChoice, run: FleetRun) -> Iterator[str]:
    if (choice.pushgateway or choice.textfile) and not run.whole:
        yield _PART
    if choice.pushgateway and run.whole:
        yield _told(push_fleet_metrics, fleet, choice, run)
    if choice.textfile and run.whole:
        yield _told(write_fleet_metrics, fleet, choice, run)
    if choice.report:
        yield _told(write_fleet_report, fleet, choice, run)


@task(
    name="push-metrics",
    retries=1,
    retry_delay_seconds=2,
    retry_condition_fn=is_retryable,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def push_fleet_metrics(fleet: FleetVerification, choice: PublicationChoice, run: FleetRun) -> str:
    """Push them, in place of all that this fleet pushed before; returns a line about it."""
    login = _authorization(choice.pushgateway_login) if choice.pushgateway_login else None
    push_metrics(Pushgateway(choice.pushgateway, login), run.fleet, registry_of(run.fleet, fleet))
    return f"Metrics of {counted(len(fleet.clusters), 'cluster')}: pushed to {choice.pushgateway}"


@task(name="write-metrics", cache_policy=NO_CACHE, persist_result=False)
def write_fleet_metrics(fleet: FleetVerification, choice: PublicationChoice, run: FleetRun) -> str:
    """Write them for node_exporter's textfile collector, which never sees half a file; returns a line."""
    path = Path(choice.textfile) / f"osok-fleet-{run.fleet}.prom"
    try:
        write_to_textfile(str(path), registry_of(run.fleet, fleet))
    except OSError as error:
        raise _unwritable("write the metrics", str(path), error) from None
    return f"Metrics of {counted(len(fleet.clusters), 'cluster')}: written to {path} on the worker"


@task(name="write-report", cache_policy=NO_CACHE, persist_result=False)
def write_fleet_report(fleet: FleetVerification, choice: PublicationChoice, run: FleetRun) -> str:
    """Write the report of the fleet as one HTML page; returns a line about it."""
    storage = find_storage("write the report", choice.report)
    snapshots = (*earlier_snapshots(fleet.at, run.deployment, run.flow), snapshot_of(fleet))
    history = drift_over_time(snapshots, (one.cluster for one in fleet.clusters))
    content = ReportContent(run.fleet, fleet, history)
    page = render_report(content, _plots(content)).encode()
    name = f"osok-fleet-{run.fleet}{'' if run.whole else '-part'}.html"
    try:
        place = write_file(storage, name, page)
    except OSError as error:
        raise _unwritable("write the report", f"{choice.report}: {name}", error) from None
    where = f"{place} on the worker" if Path(place).is_absolute() else f"{place} in {choice.report}"
    return f"Report: {where}, {-(-len(page) // 1024)} KiB"


def _told(
    step: Task[[FleetVerification, PublicationChoice, FleetRun], str],
    *what: Any,  # noqa: ANN401 - see step
) -> str:
    """What a step says; what went wrong is a line of its own, and a warning in the run's log."""
    result = step(*what, return_state=True).result(raise_on_failure=False)
    if isinstance(result, str):
        return result
    # A message of ours says nothing secret; one of a library may.
    reason = str(result) if isinstance(result, FleetError) else f"{type(result).__name__}; see the run's log"
    line = f"NOT DONE: {step.name}: {reason}"
    get_run_logger().warning("%s", line)
    return line


def _plots(content: ReportContent) -> Plots:
    # Matplotlib is loaded by the first report that is drawn, and by nothing else.
    plots = importlib.import_module("tasks.core.drift.report.plots")
    return Plots(plots.calendar_plot(content.months), plots.history_plot(content.history))


def _authorization(block: str) -> SecretStr:
    value = load_block(Secret, block).get()
    if not isinstance(value, str):
        raise PublicationError(
            "log in to the Pushgateway",
            f"Secret block {block}",
            "a text: user:password, or a bearer token",
            f"a value of type {type(value).__name__}",
            "Correct the Secret block.",
        )
    return authorization_of(SecretStr(value))


def _unwritable(attempted: str, path: str, error: OSError) -> PublicationError:
    return PublicationError(
        attempted,
        path,
        "a folder that the worker may write to",
        error.strerror or type(error).__name__,
        "Create the folder on the worker, or name another one.",
    )


def chosen_clusters(parameters: Mapping[str, Any]) -> tuple[frozenset[str], str, str]:
    """What parameters of verify-fleet say about which clusters are meant, comparable."""
    fleet = parameters.get("fleet") or {}
    given = fleet if isinstance(fleet, Mapping) else fleet.model_dump()
    clusters = frozenset(parameters.get("clusters") or ())
    return clusters, given.get("name") or "", given.get("selector") or ""


def _this_run(chosen: str) -> FleetRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow is None:
        return FleetRun(fleet_name(chosen, ""), "")
    run, flow = context.flow_run, context.flow.name
    if run.deployment_id is None:
        return FleetRun(fleet_name(chosen, ""), flow)
    with prefect_api() as client:
        deployment = client.read_deployment(run.deployment_id)
    whole = run.auto_scheduled or chosen_clusters(run.parameters) == chosen_clusters(deployment.parameters)
    return FleetRun(fleet_name(chosen, deployment.name), flow, deployment.id, whole)
