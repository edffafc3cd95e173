"""Which certificate a run orders for a cluster, and what an approver is shown of it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tasks.core.certificates.cluster_requests import DEFAULT_SIGNER, ShownRequest
from tasks.core.certificates.keys import KeySpec
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import CertificatePlan, recommended_plan
from tasks.core.manifests import sha256_hex


@dataclass(frozen=True)
class CertificateOrder:
    """What to request on one cluster.

    Attributes:
        namespace: The operator's namespace; the staging Secret lies there.
        services: Names of all Services in front of the webhook server.
        secret: Name of the Secret that the operator's Deployment mounts.
        request_base: The documented part of the CSR's name (R13).
    """

    namespace: str
    services: tuple[str, ...]
    secret: str
    request_base: str
    key_spec: KeySpec = KeySpec.ECDSA_P256
    validity: timedelta = timedelta(days=397)
    common_name: str = "kube.operator.cert"
    signer_name: str = DEFAULT_SIGNER

    @property
    def plan(self) -> CertificatePlan:
        """The certificate's content; only the recommended profile is ever requested."""
        target = WebhookTarget(self.namespace, self.services)
        return recommended_plan(target, self.key_spec, self.validity, self.common_name)


class Shown(StrEnum):
    """Whether this try of the flow run has shown its requests to a person yet."""

    NOT_YET = "NOT_YET"
    """What an earlier run left is made anew when nobody could decide on it in time."""
    ALREADY = "ALREADY"
    """What was shown stays as it is; a denial in the cluster since then is a decision."""


@dataclass(frozen=True)
class PendingRequest:
    """A request that waits for its decision, as shown to the approver (R14). It holds no secret.

    Attributes:
        cluster: Name of the cluster's block.
        cluster_uid: uid of the namespace kube-system.
        shown: The object's identity and the digest of its bytes; the decision is bound to them.
        spki_sha256: Fingerprint of the public key whose private half lies in the staging Secret.
        replaces: What the Secret holds now, in one line; empty when there is none.
        denial: How the request was denied in the cluster since it was shown; empty when it was not.
        pem: The request's bytes, as an external CA is given them.
        authority: Which CA signs, with its fingerprint; the decision is bound to it too.
        signed: What was pasted at the gate for this request, PEM; only where somebody else signs.
    """

    cluster: str
    cluster_uid: str
    shown: ShownRequest
    subject: str
    dns_names: tuple[str, ...]
    key: str
    spki_sha256: str
    validity: timedelta
    replaces: str = ""
    denial: str = ""
    pem: str = ""
    authority: str = ""
    signed: str = ""


def wave_digest(requests: list[PendingRequest]) -> str:
    """SHA-256 over everything that one gate shows; another byte anywhere asks again."""
    lines = sorted(
        f"{request.cluster_uid} {request.shown} {request.authority}".rstrip() for request in requests
    )
    return sha256_hex("\n".join(lines).encode())
