"""What a diagnosis reads from a cluster, and what it says when it cannot (R14, R19, R21, R22)."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.certificates.diagnoses import findings_of
from tasks.certificates.observing import ObservedCertificate, read_authority, read_certificate_state
from tasks.certificates.orders import order_for
from tasks.certificates.webhooks import read_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import open_cluster
from tasks.core.certificates.cluster_requests import RequestState, build_cluster_request
from tasks.core.certificates.findings import CertManager
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.requests import build_request
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.core.profiles import built_in_profile
from tasks.core.settings import CertificateChoice
from tests.core.certificates.workshop import MANAGER_SERVICE, NAMESPACE, ROOT, ec_key, make

pytestmark = pytest.mark.cluster

PROFILE = built_in_profile()
ORDER = order_for(PROFILE, NAMESPACE, CertificateChoice())
REQUEST = build_request(PrivateKey(ec_key(81)), ORDER.plan)
CLAIM = "cert-manager.io/inject-ca-from"
CRD = ObjectRef(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "accesspolicies.servicemesh.oci.oracle.com"
)
installed = pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True)


@pytest.fixture
def client(installed_world: World) -> ClusterClient:
    return installed_world.clusters[0].control_plane.client()


def observe(client: ClusterClient) -> ObservedCertificate:
    return read_certificate_state(client, PROFILE, NAMESPACE)


@contextmanager
def present(client: ClusterClient, manifest: Manifest) -> Iterator[None]:
    """An object for a while."""
    created = client.create(manifest)
    metadata = created["metadata"]
    try:
        yield
    finally:
        ref = ObjectRef(
            manifest["apiVersion"], manifest["kind"], metadata["name"], metadata.get("namespace", "")
        )
        client.delete(ref)


@contextmanager
def annotated(client: ClusterClient, ref: ObjectRef, value: str = "mesh/serving-cert") -> Iterator[None]:
    """An object with cert-manager's annotation for a while."""
    before = (client.get(ref) or {})["metadata"].get("annotations") or {}
    client.patch(ref, {"metadata": {"annotations": {CLAIM: value}}})
    try:
        yield
    finally:
        client.patch(ref, {"metadata": {"annotations": {CLAIM: before.get(CLAIM)}}})


def request_of_ours(name: str, labels: dict[str, str]) -> Manifest:
    return build_cluster_request(name, REQUEST, ORDER.plan, ORDER.signer_name, labels)


@installed
def test_what_olm_installs_by_itself_is_sound(client: ClusterClient) -> None:
    """Its certificate names one Service, and only that one is called by webhooks."""
    observed = observe(client)

    assert findings_of(observed) == ()
    assert (observed.olm_version, observed.unseen, observed.state.annotated) == ("0.46.0", (), {})
    assert len(observed.state.webhooks) == 12
    assert {endpoint.service for endpoint in observed.state.endpoints} == set(PROFILE.service_names)


@installed
def test_the_newest_request_of_ours_for_this_namespace_counts(client: ClusterClient) -> None:
    prefix = f"{ORDER.request_base}.{NAMESPACE}"
    strangers = request_of_ours(f"{prefix}.by-somebody", {})
    elsewhere = request_of_ours(f"{ORDER.request_base}.other-namespace.ours", dict(MANAGED_BY))
    ours = request_of_ours(f"{prefix}.ours", dict(MANAGED_BY))

    with present(client, strangers), present(client, elsewhere):
        assert observe(client).state.request is None
        with present(client, ours):
            assert observe(client).state.request is RequestState.PENDING


def cainjector(replicas: int) -> Manifest:
    labels = {"app.kubernetes.io/component": "cainjector"}
    container = {"name": "cainjector", "image": "cert-manager-cainjector:v1"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "cert-manager-cainjector", "namespace": "default", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@installed
@pytest.mark.parametrize(("replicas", "expected"), [(0, CertManager.ABSENT), (1, CertManager.PRESENT)])
def test_cert_managers_claim_on_a_webhook_is_read_with_who_would_act_on_it(
    client: ClusterClient, replicas: int, expected: CertManager
) -> None:
    ref = read_bundles(client, NAMESPACE, PROFILE.service_names)[0].ref

    with annotated(client, ref), present(client, cainjector(replicas)):
        state = observe(client).state

    assert state.annotated == {str(ref): f"{CLAIM}: mesh/serving-cert"}
    assert state.cert_manager is expected


@installed
def test_a_claim_on_a_crd_counts_when_it_converts_by_webhook(client: ClusterClient) -> None:
    """The bundle's CRDs carry the annotation and have no webhook: cert-manager leaves them alone."""
    service = {"name": MANAGER_SERVICE, "namespace": NAMESPACE, "path": "/convert"}
    webhook = {"clientConfig": {"service": service}, "conversionReviewVersions": ["v1"]}

    with annotated(client, CRD):
        before = observe(client).state.annotated
        client.patch(CRD, {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}})
        try:
            after = observe(client).state.annotated
        finally:
            client.patch(CRD, {"spec": {"conversion": {"strategy": "None", "webhook": None}}})

    assert before == {}
    assert after == {str(CRD): f"{CLAIM}: mesh/serving-cert"}


@installed
def test_a_pod_that_is_not_ready_is_no_silent_endpoint_while_another_answers(client: ClusterClient) -> None:
    endpoint_slice = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"starting-{uuid4().hex[:8]}",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": MANAGER_SERVICE},
        },
        "addressType": "IPv4",
        "ports": [{"name": "443", "port": 9443}, {"name": "", "port": 9443}],
        "endpoints": [{"addresses": ["198.51.100.7"], "conditions": {"ready": False}}],
    }

    with present(client, endpoint_slice):
        state = observe(client).state

    assert all(endpoint.presented for endpoint in state.endpoints)


@pytest.fixture
def without_forwarding(
    installed_world: World, client: ClusterClient, tmp_path: Path
) -> Iterator[ClusterClient]:
    """The shipped account with its role, but for the permission to forward ports."""
    name = f"no-forwarding-{uuid4().hex[:8]}"
    shipped = client.get(ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "osok-fleet"))
    assert shipped is not None
    rules = [rule for rule in shipped["rules"] if "pods/portforward" not in rule.get("resources", [])]
    rbac = "rbac.authorization.k8s.io"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": "default"}
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": name}
    api = {"apiVersion": f"{rbac}/v1", "metadata": {"name": name}}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": "default"},
    }
    binding = {**api, "kind": "ClusterRoleBinding", "roleRef": role, "subjects": [subject]}
    with (
        present(client, account),
        present(client, {**api, "kind": "ClusterRole", "rules": rules}),
        present(client, binding),
    ):
        ref = ObjectRef("v1", "ServiceAccount", name, "default")
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        token = client.create_subresource(ref, "token", request)["status"]["token"]
        content = yaml.safe_load(installed_world.clusters[0].kubeconfig.read_text())
        for user in content["users"]:
            user["user"] = {"token": token}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        yield open_cluster(KubernetesCluster(kubeconfig_file=path, context="osok-fleet"))


@installed
def test_endpoints_that_may_not_be_asked_are_unseen_and_not_silent(without_forwarding: ClusterClient) -> None:
    # RBAC is evaluated from caches, which follow within moments.
    observed = wait_for(
        lambda: observe(without_forwarding),
        lambda seen: bool(seen.unseen),
        deadline_after(timedelta(minutes=1)),
    )

    assert observed.unseen == (
        f"what the endpoints serve: no permission to get and create pods/portforward in {NAMESPACE}",
    )
    assert findings_of(observed) == ()


@installed
def test_without_the_operator_there_is_nothing_to_diagnose(client: ClusterClient) -> None:
    """OLM's copy of the ClusterServiceVersion in a watched namespace is not the operator."""
    with pytest.raises(PrerequisiteError, match="found no ClusterServiceVersion of"):
        read_certificate_state(client, PROFILE, "default")


def test_without_olm_there_is_nothing_to_diagnose(control_plane: ControlPlane) -> None:
    with pytest.raises(PrerequisiteError, match="found no OLM"):
        observe(control_plane.client())


class TestAuthority:
    """The certificates of a CA's block, never its key."""

    @pytest.fixture(autouse=True)
    def _server(self, prefect_server: object) -> None:
        """Blocks are saved there."""

    def test_a_file_is_read_and_its_key_is_not(self, tmp_path: Path) -> None:
        authority = make(ROOT)
        path = tmp_path / "ca.pem"
        path.write_bytes(authority.pem)
        block = CertificateAuthority(
            kind=AuthorityKind.FILE, certificate_file=path, key_file=tmp_path / "no-such-key"
        )
        block.save("authority-in-a-file", overwrite=True)

        assert read_authority.fn("authority-in-a-file") == (authority,)

    @installed
    def test_a_secret_of_a_cluster_is_read(self, installed_world: World, client: ClusterClient) -> None:
        authority = make(ROOT)
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "osok-fleet-certificate-authority", "namespace": "default"},
            "data": {"tls.crt": base64.b64encode(authority.pem).decode()},
        }
        block = CertificateAuthority(cluster=installed_world.clusters[0].name, namespace="default")
        block.save("authority-in-a-secret", overwrite=True)

        before = read_authority.fn("authority-in-a-secret")
        with present(client, secret):
            after = read_authority.fn("authority-in-a-secret")

        # A CA that is made once is not made by a diagnosis.
        assert (before, after) == ((), (authority,))

    def test_the_certificate_of_a_ca_that_somebody_else_runs_stands_in_the_block(self) -> None:
        authority = make(ROOT)
        block = CertificateAuthority(kind=AuthorityKind.EXTERNAL, certificate=authority.pem.decode())
        block.save("authority-elsewhere", overwrite=True)

        assert read_authority.fn("authority-elsewhere") == (authority,)
