"""What tests of the gate share: answers, runs that the test carries out itself, and what a cluster serves."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_sync
from prefect.logging.handlers import APILogHandler

from deployments.rehearsal.deciding import send_answer
from tasks.certificates.webhooks import read_bundles, write_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import STAGING_SECRET, read_webhook_secret
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import built_in_profile
from tests.support.artifacts import newest_artifact
from tests.support.certificates import requests_of

PROFILE = built_in_profile()
NAMESPACE = PROFILE.namespace
PATIENCE = timedelta(minutes=3)
_SECRET = ObjectRef("v1", "Secret", PROFILE.certificate_secret, NAMESPACE)
STAGING = ObjectRef("v1", "Secret", STAGING_SECRET, NAMESPACE)
_CSV = ObjectRef(
    "operators.coreos.com/v1alpha1", "ClusterServiceVersion", PROFILE.csv_name_for("1.1.9"), NAMESPACE
)


@dataclass(frozen=True)
class Answered:
    """What the server said to an answer; HTTP says 2xx in every case.

    Attributes:
        status: ACCEPT, REJECT or ABORT.
        reason: Why, if it says so.
    """

    status: SetStateStatus
    reason: str


def answer(client: SyncPrefectClient, run_id: UUID, run_input: Mapping[str, Any] | None) -> Answered:
    """Resume a run with an answer."""
    said = send_answer(client, run_id, None if run_input is None else dict(run_input))
    return Answered(said.status, getattr(said.details, "reason", None) or "")


def decision(kind: str, reason: str = "planned change", **more: object) -> dict[str, object]:
    """An answer by Ada."""
    return {"decision": kind, "reason": reason, "approver": "Ada Lovelace", **more}


@dataclass(frozen=True)
class OwnRun:
    """A flow run with a deployment that has no work pool, so no worker takes it up: the test carries it out.

    Everything else is as with a worker: states, suspension, form, answer and retry are the server's.
    """

    client: SyncPrefectClient
    flow: Flow[..., Any]
    parameters: dict[str, Any]
    run_id: UUID

    def go(self) -> State[Any]:
        """Start it from the top, as a worker does after every schedule; returns how it ended or waits."""
        flow_run = self.client.read_flow_run(self.run_id)
        left_with: State[Any] | None = None
        try:
            run_flow_sync(self.flow, flow_run, self.parameters, return_type="state")
        except Pause as pause:
            # That is how Prefect leaves a flow that was suspended; on the server its deadline may be over.
            left_with = pause.state
        # Otherwise the last lines wait for their batch, and the test's process for a server that has ended.
        APILogHandler().flush()
        return left_with or self.state()

    def state(self) -> State[Any]:
        """Its state on the server."""
        state = self.client.read_flow_run(self.run_id).state
        assert state is not None
        return state

    def answer(self, kind: str, reason: str = "planned change", **more: object) -> State[Any]:
        """Answer, and carry the run on."""
        assert (
            answer(self.client, self.run_id, decision(kind, reason, **more)).status is SetStateStatus.ACCEPT
        )
        return self.go()

    def shown(self) -> str:
        """The newest artifact with what waits for a decision."""
        return newest_artifact(self.client, "certificate-requests", self.run_id)


def own_run(
    client: SyncPrefectClient,
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    work_pool: str | None = None,
) -> OwnRun:
    """Make such a run; it has not begun. A work pool must have no worker."""
    deployment = client.create_deployment(
        client.create_flow(flow), f"{flow.name}-of-tests", work_pool_name=work_pool
    )
    flow_run = client.create_flow_run_from_deployment(deployment, parameters=parameters)
    return OwnRun(client, flow, parameters, flow_run.id)


def published(client: ClusterClient) -> dict[str, str]:
    """Versions of everything that a certificate is published in: they change with every write."""
    names = {one.ref for one in read_bundles(client, NAMESPACE, PROFILE.service_names)}
    found = {ref: client.get(ref) for ref in {_SECRET, *names}}
    return {str(ref): (one or {})["metadata"]["resourceVersion"] for ref, one in found.items()}


def left_over(client: ClusterClient) -> list[str]:
    """What a run has not cleared away: pending requests, the staging Secret."""
    pending = [
        one["metadata"]["name"]
        for one in requests_of(client, NAMESPACE)
        if not (one.get("status") or {}).get("certificate")
    ]
    return pending + ([] if client.get(STAGING) is None else [STAGING_SECRET])


def served(client: ClusterClient) -> set[str]:
    """The issuers of the certificates that the endpoints present."""
    return {leaf.issuer for leaf in _leaves(client)}


@contextmanager
def put_back_afterwards(client: ClusterClient) -> Iterator[None]:
    """Leave Secret and caBundles as they were found, and OLM content with them."""
    before = client.get(_SECRET)
    assert before is not None
    yield
    metadata = {key: before["metadata"][key] for key in ("labels", "annotations")}
    client.patch(_SECRET, {"data": before["data"], "metadata": metadata})
    trust = base64.b64decode(before["data"]["olmCAKey"])
    write_bundles(client, read_bundles(client, NAMESPACE, PROFILE.service_names), trust)
    leaf = read_webhook_secret(before).leaf
    assert leaf is not None
    _wait(lambda: {one.sha256 for one in _leaves(client)}, {leaf.sha256})
    _wait(lambda: _phase(client.get(_CSV)), "Succeeded")


def _leaves(client: ClusterClient) -> list[Certificate]:
    facts = read_endpoint_facts(client, WebhookTarget(NAMESPACE, PROFILE.service_names))
    return [leaf for fact in facts for leaf in read_certificates(fact.presented)[:1]]


def _phase(csv: Manifest | None) -> str:
    return str((csv or {}).get("status", {}).get("phase"))


def _wait(observe: Callable[[], object], wanted: object) -> None:
    assert wait_for(observe, lambda seen: seen == wanted, deadline_after(PATIENCE)) == wanted
