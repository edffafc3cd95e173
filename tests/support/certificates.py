"""What tests of requests, of the gate and of signing share: a CA in files, and what is in a cluster."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kubernetes import client as sdk

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from tasks.certificates.staging import Staged, read_staged
from tasks.clients.cluster import ClusterClient
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.authorities import AuthorityPlan, create_authority
from tasks.core.certificates.cluster_requests import (
    build_cluster_request,
    issued,
    request_name,
)
from tasks.core.certificates.keys import KeySpec, SigningKey, generate_key
from tasks.core.certificates.requests import common_name
from tasks.core.certificates.webhook_secrets import STAGING_SECRET
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.target import Target, who_am_i

CSR_API, CSR_KIND = "certificates.k8s.io/v1", "CertificateSigningRequest"


class KeyOf(StrEnum):
    """Whose key a hostile request is for."""

    OURS = "OURS"
    OTHER = "OTHER"
    WEAK = "WEAK"


@dataclass(frozen=True)
class Hostile:
    """A request that has our name and is not what was planned. Its maker had our key, if need be.

    Attributes:
        refused: The words that refuse it.
        spec: Fields beside the bytes; with any of them the bytes are ours.
    """

    refused: str
    spec: Mapping[str, object] = field(default_factory=dict)
    key: KeyOf = KeyOf.OURS
    names: tuple[str, ...] = ()
    extensions: tuple[x509.ExtensionType, ...] = ()
    organization: str = ""


HOSTILE: Mapping[str, Hostile] = {
    "another key": Hostile("FOREIGN_KEY: ", key=KeyOf.OTHER),
    "a weak key": Hostile("WEAK_KEY: RSA 1024 bit", key=KeyOf.WEAK),
    "an additional name": Hostile("NAMES: also kubernetes.default.svc", names=("kubernetes.default.svc",)),
    "CA:TRUE": Hostile("AUTHORITY: ", extensions=(x509.BasicConstraints(ca=True, path_length=None),)),
    "client auth in the bytes": Hostile(
        "USAGE: client auth", extensions=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),)
    ),
    "a group of Kubernetes": Hostile(
        "SUBJECT: CN=kube.operator.cert, O=system:masters", organization="system:masters"
    ),
    "another signer": Hostile("SIGNER: signer example.com/other", spec={"signerName": "example.com/other"}),
    "a usage added": Hostile(
        "USAGE: usages digital signature, server auth, client auth",
        spec={"usages": ["digital signature", "server auth", "client auth"]},
    ),
}
"""What no approver is ever shown."""

REPLACED: Mapping[str, Hostile] = {
    **HOSTILE,
    "other bytes for our key": Hostile("OTHER_BYTES: "),
    "another lifetime": Hostile("EXPIRATION: ", spec={"expirationSeconds": 2_147_483_647}),
}
"""What cannot take the place of the request that was shown."""


def write_authority(folder: Path, common_name: str = "Files CA") -> CertificateAuthority:
    """A CA as two PEM files and the block that names them, not saved yet."""
    made = create_authority(AuthorityPlan(common_name, KeySpec.ECDSA_P256), generate_key(), datetime.now(UTC))
    certificate, key = folder / "ca.pem", folder / "ca.key"
    certificate.write_bytes(made.certificate.pem)
    key.write_bytes(made.key.pkcs8_pem().get_secret_value())
    return CertificateAuthority(kind=AuthorityKind.FILE, certificate_file=certificate, key_file=key)


@dataclass(frozen=True)
class RequestBench:
    """One operator's namespace of a cluster without an operator, where certificates can be requested.

    Attributes:
        client: The administrator's; the pipeline of these tests is the same account.
    """

    client: ClusterClient
    cluster: KubernetesCluster
    order: CertificateOrder
    target: Target

    def staged(self) -> Staged | None:
        """Key and request in the staging Secret."""
        return read_staged(self.client, self.order)

    def staging_ref(self) -> ObjectRef:
        """The staging Secret."""
        return ObjectRef("v1", "Secret", STAGING_SECRET, self.order.namespace)

    def requests(self) -> list[Manifest]:
        """The requests for this namespace, whoever made them."""
        return requests_of(self.client, self.order.namespace)

    def ours(self) -> Manifest:
        """The one request of this namespace."""
        (found,) = self.requests()
        return found

    def put(self, manifest: Manifest, client: ClusterClient | None = None) -> Manifest:
        """Create a request in place of whatever has its name."""
        self.client.delete(ObjectRef(CSR_API, CSR_KIND, manifest["metadata"]["name"]))
        return (client or self.client).create(manifest)

    def hostile(self, case: Hostile) -> Manifest:
        """The object of a hostile request, under the name of our staged one."""
        staged = self.staged()
        assert staged is not None
        if case.spec:
            return self.request_for(staged.request, **case.spec)
        keys: dict[KeyOf, Callable[[], SigningKey]] = {
            KeyOf.OURS: lambda: staged.key.signing_key,
            KeyOf.OTHER: lambda: generate_key().signing_key,
            KeyOf.WEAK: lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 - weak on purpose
        }
        return self.request_for(_request(keys[case.key](), self.order.plan.dns_names, case))

    def fail(self, manifest: Manifest) -> Manifest:
        """Mark a request as failed, as a signer that gave up does."""
        conditions = [{"type": "Failed", "status": "True", "reason": "Test", "message": "a test failed it"}]
        return self.client.replace({**manifest, "status": {"conditions": conditions}}, subresource="status")

    def delete_requests(self) -> None:
        """Delete every request of this namespace, as the cluster does after 24 hours."""
        for manifest in self.requests():
            self.client.delete(ObjectRef(CSR_API, CSR_KIND, manifest["metadata"]["name"]))

    def with_services(self, *services: str) -> "RequestBench":
        """The same place for an operator with other Services."""
        return replace(self, order=replace(self.order, services=services))

    def create_staging_secret(self, labels: Mapping[str, str]) -> Manifest:
        """A Secret without a key under the name of the staging Secret."""
        ref = self.staging_ref()
        metadata = {"name": ref.name, "namespace": ref.namespace, "labels": dict(labels)}
        return self.client.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})

    def request_for(self, content: bytes, **spec: object) -> Manifest:
        """The object that the pipeline would make for its staged request, with other content."""
        staged = self.staged()
        assert staged is not None
        name = request_name(self.order.request_base, self.order.namespace, staged.request)
        made = build_cluster_request(name, content, self.order.plan, self.order.signer_name, MANAGED_BY)
        return {**made, "spec": {**made["spec"], **spec}}


def _request(key: SigningKey, names: tuple[str, ...], case: Hostile) -> bytes:
    attributes = list(common_name("kube.operator.cert"))
    if case.organization:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, case.organization))
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in (*names, *case.names)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
    for extension in (alternatives, *case.extensions):
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def open_bench(control_plane: ControlPlane) -> Iterator[RequestBench]:
    """A namespace of a control plane to request in; the administrator is the pipeline's account there."""
    client = control_plane.client()
    namespace = f"requests-{uuid4().hex[:8]}"
    client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    user = who_am_i(client)
    bench = RequestBench(
        client,
        KubernetesCluster(kubeconfig_file=control_plane.kubeconfig, context="rehearsal"),
        CertificateOrder(namespace, ("manager", "webhook"), "manager-cert", "tea-controller"),
        Target("unsaved-cluster", f"uid-of-{namespace}", "v1.35.4", user.name, user.uid),
    )
    try:
        yield bench
    finally:
        bench.delete_requests()
        client.delete(ObjectRef("v1", "Namespace", namespace))


def other_account(control_plane: ControlPlane, namespace: str) -> ClusterClient:
    """A client of a ServiceAccount of the namespace that may do everything."""
    client = control_plane.client()
    account = ObjectRef("v1", "ServiceAccount", "somebody-else", namespace)
    subject = {"kind": "ServiceAccount", "name": account.name, "namespace": namespace}
    client.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": account.name, "namespace": namespace},
        }
    )
    client.create(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{account.name}-{namespace}"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "cluster-admin",
            },
            "subjects": [subject],
        }
    )
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = client.create_subresource(account, "token", request)["status"]["token"]
    configuration = sdk.Configuration(host=control_plane.server)
    configuration.ssl_ca_cert = str(control_plane.ca_file)
    configuration.api_key = {"authorization": f"Bearer {token}"}
    return ClusterClient(account.name, sdk.ApiClient(configuration))


def requests_of(client: ClusterClient, namespace: str) -> list[Manifest]:
    """The certificate signing requests whose name says that they are for a namespace."""
    return [
        one for one in client.list_objects(CSR_API, CSR_KIND) if f".{namespace}." in one["metadata"]["name"]
    ]


def approve(client: ClusterClient, manifest: Manifest) -> Manifest:
    """What `kubectl certificate approve` does."""
    return _decide(client, manifest, "Approved", "approve")


def deny(client: ClusterClient, manifest: Manifest) -> Manifest:
    """What `kubectl certificate deny` does."""
    return _decide(client, manifest, "Denied", "deny")


def _decide(client: ClusterClient, manifest: Manifest, kind: str, command: str) -> Manifest:
    message = f"This CSR was {kind.lower()} by kubectl certificate {command}."
    condition = {"type": kind, "status": "True", "reason": f"Kubectl{command.title()}", "message": message}
    status = {**(manifest.get("status") or {}), "conditions": [condition]}
    return client.replace({**manifest, "status": status}, subresource="approval")


def put_certificate(client: ClusterClient, manifest: Manifest, pem: bytes) -> Manifest:
    """Put a certificate into the status of a request."""
    return client.replace(issued(manifest, pem), subresource="status")


def certificate_in(manifest: Manifest) -> bytes:
    """The certificate in the status of a request; empty without one."""
    return base64.b64decode((manifest.get("status") or {}).get("certificate") or "")
