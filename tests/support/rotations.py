"""What tests of publishing share: a cluster whose certificate is changed while its webhooks are called."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.prober import ProbeResult
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.rotating import Rotation, make_authority, mesh_prober, rotate_at_once
from deployments.rehearsal.world import RehearsalCluster, World
from tasks.certificates.orders import order_for
from tasks.certificates.rollout import Rollout
from tasks.certificates.takeover import Takeover
from tasks.certificates.webhooks import RegisteredBundle, read_bundles, write_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.handshakes import read_endpoint_facts
from tasks.clients.polling import deadline_after
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.webhook_secrets import PREVIOUS_SECRET, STAGING_SECRET, read_webhook_secret
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import built_in_profile
from tasks.core.settings import CertificateChoice
from tests.support.certificates import CSR_API, CSR_KIND, requests_of

PROFILE = built_in_profile()
NAMESPACE = PROFILE.namespace
ORDER = order_for(PROFILE, NAMESPACE, CertificateChoice())
SECRET = ObjectRef("v1", "Secret", PROFILE.certificate_secret, NAMESPACE)
STAGING = ObjectRef("v1", "Secret", STAGING_SECRET, NAMESPACE)
PREVIOUS = ObjectRef("v1", "Secret", PREVIOUS_SECRET, NAMESPACE)
CSV = PROFILE.csv_name_for("1.1.9")
CSV_REF = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", CSV, NAMESPACE)
PATIENCE = timedelta(minutes=5)
LOST_SERVICE = {"service not found", "connection refused"}
"""What a call may meet while OLM 0.20.0 deletes and recreates its Service."""
FLEET_ACCOUNT = "system:serviceaccount:osok-fleet:osok-fleet"


@dataclass(frozen=True)
class Watched:
    """A rotation, what a prober saw of it, and the writes meanwhile, whoever made them."""

    rotation: Rotation
    probed: ProbeResult
    writes: tuple[AuditedRequest, ...]

    def wrote(self, verb: str, resource: str, name: str = "") -> list[AuditedRequest]:
        """The writes of one kind."""
        return [
            one
            for one in self.writes
            if (one.verb, one.resource) == (verb, resource) and one.name.startswith(name)
        ]


@dataclass(frozen=True)
class Served:
    """What a cluster says and does about the webhook's certificate.

    Attributes:
        secret: Fingerprint of the leaf in the Secret.
        trust: olmCAKey.
        bundles: Every different caBundle.
        endpoints: Fingerprints of the leaves that endpoints present.
        services: The Services that the webhooks are called at.
    """

    secret: str
    trust: bytes
    bundles: frozenset[bytes]
    endpoints: frozenset[str]
    services: frozenset[str]


@dataclass(frozen=True)
class RotatingCluster:
    """A cluster with an operator.

    Attributes:
        folder: For the files of CAs.
    """

    cluster: RehearsalCluster
    client: ClusterClient
    olm: OlmVersion
    folder: Path

    def authority(self, name: str) -> bytes:
        """Make a CA and the block of that name; returns its certificate."""
        make_authority(self.folder, name)
        return (self.folder / f"{name}.pem").read_bytes()

    def rotate(self, authority: str) -> Watched:
        """Change the certificate while the mesh validator is called all the time."""
        log = self.cluster.control_plane.audit_log
        offset = log.stat().st_size
        with mesh_prober(self.cluster.control_plane) as prober:
            rotation = rotate_at_once(self.cluster.name, authority, PATIENCE)
        requests = self.cluster.control_plane.audited_requests(offset)
        writes = tuple(one for one in requests if one.changes_something)
        return Watched(rotation, prober.result, writes)

    def secret(self) -> Manifest:
        """The webhook's Secret."""
        found = self.client.get(SECRET)
        assert found is not None
        return found

    def served(self) -> Served:
        """How it is right now."""
        facts = read_webhook_secret(self.secret())
        endpoints = read_endpoint_facts(self.client, ORDER.plan.target)
        assert facts.leaf is not None
        return Served(
            facts.leaf.sha256,
            facts.trust,
            frozenset(bundle.ca_bundle for bundle in self.bundles()),
            frozenset(leaf.sha256 for one in endpoints for leaf in read_certificates(one.presented)[:1]),
            frozenset(bundle.service for bundle in self.bundles()),
        )

    def bundles(self) -> tuple[RegisteredBundle, ...]:
        """The caBundles of all webhooks."""
        return read_bundles(self.client, NAMESPACE, PROFILE.service_names)

    def left_over(self) -> list[str]:
        """Secrets that a finished run has to have removed."""
        return [ref.name for ref in (STAGING, PREVIOUS) if self.client.get(ref) is not None]

    def operator_pods(self) -> set[str]:
        """The uids of the operator's pods."""
        labels = ",".join(f"{key}={value}" for key, value in PROFILE.pod_labels.items())
        pods = self.client.list_objects("v1", "Pod", NAMESPACE, label_selector=labels)
        return {pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}

    def leaf(self) -> Certificate:
        """The leaf in the Secret."""
        leaf = read_webhook_secret(self.secret()).leaf
        assert leaf is not None
        return leaf

    def cas_trusted(self) -> int:
        """How many CAs every caBundle holds; 0 while they differ."""
        (trusted, *others) = {bundle.ca_bundle for bundle in self.bundles()}
        return 0 if others else len(read_certificates(trusted))

    def phase(self) -> str:
        """The phase of the operator's ClusterServiceVersion."""
        csv = self.client.get(CSV_REF)
        assert csv is not None
        return str(csv["status"]["phase"])

    def key(self) -> bytes:
        """The webhook's private key."""
        return base64.b64decode(self.secret()["data"]["tls.key"])

    def authority_key(self, name: str) -> bytes:
        """The private key of a CA."""
        return (self.folder / f"{name}.key").read_bytes()

    def texts(self) -> Iterator[tuple[str, bytes]]:
        """The API server's log and audit log, and all Events."""
        for name in ("audit.log", "kube-apiserver.log"):
            yield name, (self.cluster.control_plane.folder / name).read_bytes()
        yield "Events", json.dumps(self.client.list_objects("v1", "Event")).encode()

    def delete_requests(self) -> None:
        """Delete the certificate signing requests of earlier tests."""
        for request in requests_of(self.client, NAMESPACE):
            self.client.delete(ObjectRef(CSR_API, CSR_KIND, request["metadata"]["name"]))

    def put_back(self, before: Manifest) -> None:
        """Secret, caBundles and OLM as they were found."""
        for ref in (STAGING, PREVIOUS):
            self.client.delete(ref)
        kept = ("labels", "annotations", "ownerReferences")
        metadata = {key: before["metadata"].get(key) for key in kept}
        facts = read_webhook_secret(before)
        assert facts.leaf is not None
        self.client.patch(SECRET, {"data": before["data"], "metadata": metadata})
        write_bundles(self.client, self.bundles(), facts.trust)
        rollout = Rollout(self.client, ORDER, CSV, deadline_after(PATIENCE))
        rollout.wait_until_served(facts.leaf)
        Takeover(rollout, PROFILE.deployment, self.olm.value, facts.trust, facts.leaf).carry_out()


@contextmanager
def rotating_cluster(world: World, folder: Path) -> Iterator[RotatingCluster]:
    """The cluster of a world; it is left as it was found."""
    cluster = world.clusters[0]
    rotating = RotatingCluster(cluster, cluster.control_plane.client(), world.olm, folder)
    before = rotating.secret()
    yield rotating
    rotating.put_back(before)
