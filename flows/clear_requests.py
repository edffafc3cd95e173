"""Clears away certificate requests that nobody decided on while a run waited for it (R15)."""

from typing import Annotated
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.exceptions import ObjectNotFound
from pydantic import Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.expiry import UndecidedRequest, clear_undecided_request
from tasks.connections import load_block
from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import DecisionError, FleetError


@flow(name="clear-requests", flow_run_name="clear-requests/{asked_by}")
def clear_requests(
    asked_by: Annotated[UUID, Field(description="The flow run that was suspended at its gate.")],
    requests: Annotated[list[UndecidedRequest], Field(description="What it showed there.")],
) -> None:
    """Delete the pending requests and staged keys of a run that ended without a decision.

    Scheduled by the run itself before it waits. Nothing happens when that run still waits or goes on.

    Args:
        asked_by: The flow run that was suspended at its gate.
        requests: What it showed there.
    """
    if not _has_ended(asked_by):
        get_run_logger().info("Run %s has not ended: nothing is cleared", asked_by)
        return
    problems = []
    for request in requests:
        try:
            clear_undecided_request(load_block(KubernetesCluster, request.cluster), request)
        except FleetError as error:
            problems.append(str(error))
    if problems:
        raise DecisionError("clear every request", found="; ".join(problems))


def _has_ended(run: UUID) -> bool:
    try:
        with prefect_api() as client:
            state = client.read_flow_run(run).state
    except ObjectNotFound:
        return True
    return state is not None and state.is_final()
