"""How a cluster is after a procedure: what serves, what the API server and the diagnosis say."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.rotating import admitted_objects
from deployments.rehearsal.running import artifacts_of
from deployments.rehearsal.world import RehearsalCluster
from flows.diagnose_certificate import DiagnosisChoice, diagnose_certificate
from tasks.certificates.orders import order_for
from tasks.certificates.webhooks import read_bundles
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tasks.core.errors import ClusterError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import built_in_profile
from tasks.core.settings import CertificateChoice

_OLM = "system:serviceaccount:olm:"


@dataclass(frozen=True)
class EndState:
    """How it ended.

    Attributes:
        kept: Whether the Secret still holds the certificate that was published.
        served: Whether every endpoint presents it.
        trusting: How many caBundles hold the CA that signed it.
        bundles: How many caBundles there are.
        admitted: How many validators admitted their object.
        validators: How many were asked, each at each API server.
        answers: What the others were answered.
    """

    kept: bool
    served: bool
    trusting: int
    bundles: int
    admitted: int
    validators: int
    answers: tuple[str, ...]


@dataclass(frozen=True)
class DiagnosisSummary:
    """What diagnose-certificate said.

    Attributes:
        verdict: Its verdict on the cluster.
        cases: What it found, the worst first, and each once.
    """

    verdict: str
    cases: tuple[str, ...]


def end_state(cluster: RehearsalCluster, leaf: str, authority: bytes) -> EndState:
    """Look at Secret, endpoints and caBundles, and call every validator once at each API server."""
    profile, control_plane = built_in_profile(), cluster.control_plane
    client = control_plane.client()
    order = order_for(profile, profile.namespace, CertificateChoice())
    secret = client.get(ObjectRef("v1", "Secret", order.secret, order.namespace))
    present = read_webhook_secret(secret).leaf if secret else None
    endpoints = read_endpoint_facts(client, order.plan.target)
    presented = {one.sha256 for fact in endpoints for one in read_certificates(fact.presented)[:1]}
    bundles = read_bundles(client, order.namespace, order.services)
    clients = [control_plane.client(index=index) for index in range(len(control_plane.servers))]
    answers = [_answer(each, manifest) for each in clients for manifest in admitted_objects()]
    return EndState(
        kept=present is not None and present.sha256 == leaf,
        served=presented == {leaf},
        trusting=sum(authority.strip() in bundle.ca_bundle for bundle in bundles),
        bundles=len(bundles),
        admitted=answers.count(""),
        validators=len(answers),
        answers=tuple(answer for answer in answers if answer),
    )


def diagnosis_of(client: SyncPrefectClient, cluster: str, authority: str) -> DiagnosisSummary:
    """Run diagnose-certificate, told which CA should have signed."""
    state = diagnose_certificate([cluster], choice=DiagnosisChoice(authority=authority), return_state=True)
    run = state.state_details.flow_run_id
    if run is None:
        raise LookupError("the diagnosis was no flow run")
    text = artifacts_of(client, run)[f"certificate-{cluster}-json"]
    report = json.loads(text.removeprefix("```json\n").removesuffix("```\n"))
    return DiagnosisSummary(
        report["verdict"], tuple(dict.fromkeys(finding["case"] for finding in report["findings"]))
    )


def replaced_at(requests: Iterable[AuditedRequest], since: datetime) -> datetime | None:
    """When OLM first wrote the webhook's Secret after a moment."""
    name = built_in_profile().certificate_secret
    return next(
        (
            one.at
            for one in requests
            if one.user.startswith(_OLM)
            and (one.resource, one.name) == ("secrets", name)
            and one.changes_something
            and one.at > since
        ),
        None,
    )


def _answer(client: ClusterClient, manifest: Manifest) -> str:
    try:
        client.create(manifest, ApplyMode.SERVER_DRY_RUN)
    except ClusterError as error:
        return str(error)
    return ""
