"""Breaks a working webhook certificate in ways that happen, and puts it back."""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from deployments.rehearsal.world import RehearsalCluster
from tasks.clients.cluster import ClusterClient, PatchType
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificates.authorities import Authority, AuthorityPlan, create_authority
from tasks.core.certificates.findings import CertificateCase
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import KeySpec, PrivateKey, generate_key
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import recommended_plan
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tasks.core.errors import StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.profiles import OperatorProfile

_OLM = ObjectRef("apps/v1", "Deployment", "olm-operator", "olm")
_PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class Breakage:
    """One way to break it.

    Attributes:
        title: What happened, for people.
        case: What the diagnosis has to name.
        act: Does it.
    """

    title: str
    case: CertificateCase
    act: Callable[["Breaker"], None]


class Breaker:
    """Has its hands on the certificate of one cluster, as an administrator."""

    def __init__(self, cluster: RehearsalCluster, profile: OperatorProfile) -> None:
        self.client: ClusterClient = cluster.control_plane.client()
        self._profile = profile
        self._secret = ObjectRef("v1", "Secret", profile.certificate_secret, profile.namespace)

    @contextmanager
    def broken(self, breakage: Breakage) -> Iterator[None]:
        """Break it, and put Secret and caBundles back afterwards."""
        secret = self._read()
        configuration = self._configuration()
        breakage.act(self)
        try:
            yield
        finally:
            self.client.patch(self._secret, {"data": secret["data"]})
            self._set_bundle(configuration["webhooks"][0]["clientConfig"]["caBundle"])

    @contextmanager
    def without_olm(self) -> Iterator[None]:
        """Stop OLM for a while: 0.29 and later would replace a broken Secret within seconds."""
        self._scale_olm(0)
        try:
            yield
        finally:
            self._scale_olm(1)

    def overwrite_secret(self) -> None:
        """Put another CA's certificate into the Secret, as another tool would."""
        authority, key, leaf = self._foreign(expired=False)
        self._write(leaf, key, authority.certificate.pem)

    def change_one_bundle(self) -> None:
        """Give one webhook another CA."""
        authority, _, _ = self._foreign(expired=False)
        self._set_bundle(base64.b64encode(authority.certificate.pem).decode())

    def let_leaf_expire(self) -> None:
        """Put a certificate into the Secret that ended yesterday."""
        authority, key, leaf = self._foreign(expired=True)
        self._write(leaf, key, authority.certificate.pem)

    def _foreign(self, *, expired: bool) -> tuple[Authority, PrivateKey, bytes]:
        now = datetime.now(UTC) - (timedelta(days=40) if expired else timedelta(0))
        authority_key = generate_key(KeySpec.ECDSA_P256)
        plan = AuthorityPlan("Somebody Else", KeySpec.ECDSA_P256)
        authority = create_authority(plan, authority_key, now)
        key = generate_key(KeySpec.ECDSA_P256)
        target = WebhookTarget(self._profile.namespace, self._profile.service_names)
        leaf_plan = recommended_plan(target, validity=timedelta(days=39))
        expectation = RequestExpectation(leaf_plan, key.spki_sha256)
        leaf = sign_request(build_request(key, leaf_plan), expectation, authority, now)
        return authority, key, leaf.pem

    def _write(self, leaf: bytes, key: PrivateKey, trust: bytes) -> None:
        content = {"tls.crt": leaf, "tls.key": key.pkcs8_pem().get_secret_value(), "olmCAKey": trust}
        data = {name: base64.b64encode(value).decode() for name, value in content.items()}
        self.client.patch(self._secret, {"data": data})

    def _read(self) -> Manifest:
        secret = self.client.get(self._secret)
        if secret is None:
            raise StalledError("break the certificate", str(self._secret), "a Secret", "none")
        return secret

    def _configuration(self) -> Manifest:
        found = self.client.list_objects("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration")
        wanted = "mesh-validator."
        return next(one for one in found if one["webhooks"][0]["name"].startswith(wanted))

    def _set_bundle(self, encoded: str) -> None:
        name = self._configuration()["metadata"]["name"]
        ref = ObjectRef("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name)
        operation = {"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": encoded}
        self.client.patch(ref, [operation], PatchType.JSON)

    def _scale_olm(self, replicas: int) -> None:
        self.client.patch(_OLM, {"spec": {"replicas": replicas}})
        wait_for(
            lambda: (self.client.get(_OLM) or {}).get("status", {}).get("readyReplicas", 0),
            lambda ready: ready == replicas,
            deadline_after(_PATIENCE),
        )


BREAKAGES = (
    Breakage(
        "the Secret is overwritten with another CA's certificate",
        CertificateCase.WRONG_CERTIFICATE,
        Breaker.overwrite_secret,
    ),
    Breakage(
        "the caBundle of one webhook is changed", CertificateCase.CA_BUNDLE_STALE, Breaker.change_one_bundle
    ),
    Breakage("the leaf has expired", CertificateCase.LEAF_NOT_CURRENT, Breaker.let_leaf_expire),
)
"""What the rehearsal breaks after the certificate is proven."""
