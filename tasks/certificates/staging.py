"""The staging Secret: where a key waits for its certificate, and nowhere else (design decision 2).

Key and request are written together in one create, so a run that dies leaves both or none, and a run that
starts again finds the very request that was shown.
"""

from dataclasses import dataclass, field

from tasks.clients.cluster import ClusterClient
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.keys import PrivateKey, generate_key
from tasks.core.certificates.request_policy import RequestExpectation, check_request
from tasks.core.certificates.requests import build_request
from tasks.core.certificates.webhook_secrets import (
    STAGING_SECRET,
    StagedKey,
    build_staging_secret,
    read_staging_secret,
)
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY, is_ours


@dataclass(frozen=True)
class Staged:
    """A key and its request. It stays inside one task: the key refuses to be pickled.

    Attributes:
        uid: metadata.uid of the staging Secret.
        request: The PEM request.
    """

    uid: str
    key: PrivateKey = field(repr=False)
    request: bytes

    def expectation(self, order: CertificateOrder) -> RequestExpectation:
        """What a request or certificate for this key has to be."""
        return RequestExpectation(order.plan, self.key.spki_sha256)


def read_staged(client: ClusterClient, order: CertificateOrder) -> Staged | None:
    """The staged key and request of this order; None when there is none, or one for another order.

    Raises:
        CertificateError: The Secret is somebody else's.
    """
    secret = client.get(_ref(order))
    if secret is None:
        return None
    if not is_ours(secret):
        raise CertificateError(
            "stage a key",
            f"{client.name}: {_ref(order)}",
            "no such Secret, or one with the label app.kubernetes.io/managed-by=osok-fleet",
            "somebody else's Secret",
            "Delete or rename it.",
        )
    return _usable(secret, order)


def stage(client: ClusterClient, order: CertificateOrder) -> Staged:
    """Make a key and a request and store both in one create; an unusable leftover is replaced.

    Raises:
        ClusterConflictError: Another run staged something in the same moment.
    """
    discard_staged(client, order)
    key = generate_key(order.key_spec)
    request = build_request(key, order.plan)
    manifest = build_staging_secret(STAGING_SECRET, order.namespace, StagedKey(key, request), MANAGED_BY)
    created = client.create({**manifest, "immutable": True})
    return Staged(created["metadata"]["uid"], key, request)


def discard_staged(client: ClusterClient, order: CertificateOrder) -> None:
    """Delete our staging Secret, and only ours; absent is fine."""
    secret = client.get(_ref(order))
    if secret is not None and is_ours(secret):
        client.delete(_ref(order), secret["metadata"]["uid"])


def require_staged(client: ClusterClient, order: CertificateOrder) -> Staged:
    """The staged key and request.

    Raises:
        CertificateError: They are gone; the request has to be made and decided anew.
    """
    staged = read_staged(client, order)
    if staged is None:
        raise CertificateError(
            "use the staged key",
            f"{client.name}: {_ref(order)}",
            "the Secret that was made with the request",
            "none",
            "Run the flow again: it makes a new key and asks for a new decision.",
        )
    return staged


def _usable(secret: Manifest, order: CertificateOrder) -> Staged | None:
    try:
        found = read_staging_secret(secret)
    except CertificateError:
        return None
    staged = Staged(secret["metadata"]["uid"], found.key, found.request)
    return None if check_request(found.request, staged.expectation(order)) else staged


def _ref(order: CertificateOrder) -> ObjectRef:
    return ObjectRef("v1", "Secret", STAGING_SECRET, order.namespace)
