"""Reads everything of the runbook back from one cluster, for verify-fleet (R1–R22)."""

from typing import Annotated

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from tasks.cluster_runs import leave_result
from tasks.core.drift.choice import VerificationChoice
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.results import VERIFIED, VerificationState
from tasks.core.errors import FleetError
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.drift.looking import LookDocument
from tasks.drift.publishing import read_memories
from tasks.drift.verifying import Verified, expectation_of, not_verified
from tasks.drift.verifying import verify_cluster as look_at
from tasks.sources import fetch_sources

ClusterName = Annotated[str, Field(description="Name of the OSOK Kubernetes Cluster block to look at.")]


@flow(name="verify-cluster", flow_run_name="verify-cluster/{cluster}")
def verify_cluster(
    cluster: ClusterName,
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    choice: VerificationChoice = VerificationChoice(),
) -> State[None]:
    """Look at one cluster and leave the result as an artifact; nothing is changed, remembered or announced.

    verify-fleet starts it with execution DEPLOYMENT_RUNS and does the rest: reports, memory, events, repairs.

    Args:
        cluster: Name of the OSOK Kubernetes Cluster block to look at.
        operator: Which operator release should be there, and where its bundle comes from.
        olm: Which Operator Lifecycle Manager should be there, and where its two manifest files come from.
        metrics_server: Whether the metrics server is part of the installation.
        choice: What is looked at, what counts as expiring, and what is left out.

    Returns:
        Completed; or Failed when the cluster could not be looked at.
    """
    known = read_memories([cluster])
    memory = known[cluster].memory if cluster in known else ClusterMemory()
    try:
        expected = expectation_of(fetch_sources(operator, olm, metrics_server), choice)
        verified: Verified = look_at(cluster, expected, choice, memory)
    except FleetError as error:
        verified = not_verified(cluster, VerificationState.UNVERIFIED, error, memory)
    leave_result(cluster, LookDocument(verified=verified))
    result = verified.result
    if result.state in VERIFIED:
        return Completed(message=f"{cluster} {result.state.value}: {len(result.items)} items")
    return Failed(name=result.state.value.title(), message=f"{cluster}: {result.error}"[:4000])
