"""Clears away what nobody decided about in time (R15).

A suspended run whose time is over is ended by the server; no process of ours is there to tidy up then. So
before it is suspended, a run of `clear-requests` is scheduled for that moment; it is taken back when somebody
answers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.exceptions import ObjectNotFound
from prefect.states import Scheduled
from pydantic import BaseModel, ConfigDict, Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.requests import request_ref
from tasks.clients.cluster import ClusterClient
from tasks.connections import open_cluster
from tasks.connections.prefect_api import prefect_api
from tasks.core.certificates.cluster_requests import RequestState, is_name_of, state_of
from tasks.core.certificates.webhook_secrets import STAGING_SECRET, read_staging_secret
from tasks.core.errors import CertificateError
from tasks.core.manifests import ObjectRef, sha256_hex
from tasks.core.outcomes import StepOutcome
from tasks.core.ownership import is_ours
from tasks.steps import step

CLEARING = "clear-requests/clear-requests"
_GRACE = timedelta(minutes=1)
"""The server looks for runs whose time is over every few seconds."""


class UndecidedRequest(BaseModel):
    """A request that was shown at a gate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cluster: str = Field(description="Name of the cluster's block.")
    namespace: str = Field(description="The operator's namespace, where the key is staged.")
    name: str = Field(description="Name of the CertificateSigningRequest.")
    uid: str = Field(description="Its uid; another object of the same name is left alone.")


@step("clear-request")
def clear_undecided_request(cluster: KubernetesCluster, request: UndecidedRequest) -> StepOutcome:
    """Delete the request if it is still pending, and the key that was staged for it.

    A request that somebody approved or denied with kubectl stays with its key: the next run reads it.
    """
    client = open_cluster(cluster)
    live = client.get(request_ref(request.name))
    changed: list[str] = []
    if live is not None and live["metadata"]["uid"] == request.uid:
        if state_of(live) is not RequestState.PENDING:
            return StepOutcome(detail=f"{request.name} was decided on in the cluster")
        client.delete(request_ref(request.name), request.uid)
        changed.append(f"DELETED CertificateSigningRequest {request.name}")
    return StepOutcome(tuple(changed + _discard_key(client, request)))


@contextmanager
def cleared_if_nobody_decides(requests: Sequence[UndecidedRequest], patience: timedelta) -> Iterator[None]:
    """Have the requests cleared away after that time, unless the flow run gets through the block.

    Being suspended inside it is not getting through.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None:
        yield
        return
    scheduled = _schedule(flow_run, requests, datetime.now(UTC) + patience + _GRACE)
    yield
    if scheduled is not None:
        with prefect_api() as client:
            client.delete_flow_run(scheduled)


def _schedule(flow_run: FlowRun, requests: Sequence[UndecidedRequest], at: datetime) -> UUID | None:
    uids = "-".join(sorted(request.uid for request in requests))
    parameters = {"asked_by": str(flow_run.id), "requests": [one.model_dump() for one in requests]}
    try:
        with prefect_api() as client:
            deployment = client.read_deployment_by_name(CLEARING)
            return client.create_flow_run_from_deployment(
                deployment.id,
                parameters=parameters,
                state=Scheduled(scheduled_time=at),
                # A run that starts again from the top finds the one that it made before.
                idempotency_key=sha256_hex(f"{flow_run.id} {flow_run.run_count} {uids}".encode()),
            ).id
    except ObjectNotFound:
        get_run_logger().warning("%s is not deployed: nobody clears what nobody decides on", CLEARING)
        return None


def _discard_key(client: ClusterClient, request: UndecidedRequest) -> list[str]:
    ref = ObjectRef("v1", "Secret", STAGING_SECRET, request.namespace)
    secret = client.get(ref)
    if secret is None or not is_ours(secret):
        return []
    try:
        staged = read_staging_secret(secret)
    except CertificateError:
        return []
    if not is_name_of(request.name, staged.request):
        return []
    client.delete(ref, secret["metadata"]["uid"])
    return [f"DELETED {ref}"]
