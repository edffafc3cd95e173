"""A cluster whose operator serves our own certificate, and ways to spoil it (R22).

OLM 0.46.0 replaces some broken Secrets within seconds. So that a fault stays to be looked at, olm-operator is
stopped meanwhile; `put_back` leaves the cluster as it was found.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tasks.certificates.observing import ObservedCertificate, read_certificate_state
from tasks.certificates.orders import order_for
from tasks.certificates.webhooks import RegisteredBundle, read_bundles, write_bundles
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_requests import approved, build_cluster_request, issued, request_name
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.requests import build_request
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tasks.core.manifests import Manifest, ObjectRef, sha256_hex
from tasks.core.ownership import MANAGED_BY
from tasks.core.profiles import built_in_profile
from tasks.core.settings import CertificateChoice
from tests.core.certificates.workshop import (
    DAY,
    INTERMEDIATE,
    LEAF,
    NAMESPACE,
    ROOT,
    TARGET,
    ec_key,
    make,
    pem,
)

PROFILE = built_in_profile()
SECRET = ObjectRef("v1", "Secret", PROFILE.certificate_secret, NAMESPACE)
_ORDER = order_for(PROFILE, NAMESPACE, CertificateChoice())
_OLM_OPERATOR = ObjectRef("apps/v1", "Deployment", "olm-operator", "olm")
_OPERATOR = ObjectRef("apps/v1", "Deployment", PROFILE.deployment, NAMESPACE)
_CSV = ObjectRef(
    "operators.coreos.com/v1alpha1", "ClusterServiceVersion", PROFILE.csv_name_for("1.1.9"), NAMESPACE
)
_PATIENCE = timedelta(minutes=3)
_OLM_PATIENCE = timedelta(minutes=8)
"""What OLM did not see when it started it sees when it looks again, every five minutes (± 20 %)."""

# The real clock: the API server and OLM look at it.
NOW = datetime.now(UTC)
_ROOT = replace(ROOT, name="Our CA", not_before=NOW - DAY, not_after=NOW + 900 * DAY)
_BETWEEN = replace(INTERMEDIATE, name="Our intermediate", not_before=NOW - DAY, not_after=NOW + 800 * DAY)
_OURS = replace(LEAF, dns=TARGET.dns_names, not_before=NOW - DAY, not_after=NOW + 397 * DAY)
_OLM_CA = replace(_ROOT, name="olm-selfsigned-5e1f", key=ec_key(52))
CA = make(_ROOT)
ISSUED = make(_OURS, _ROOT)
OTHER_CA = make(replace(_ROOT, name="Other CA", key=ec_key(51)))
BY_OLM = make(replace(_OURS, key=ec_key(53)), _OLM_CA)
OLDER = make(replace(_OURS, key=ec_key(54)), _ROOT)
EXPIRED = make(replace(_OURS, not_after=NOW - timedelta(minutes=1)), _ROOT)
DOCUMENTED = make(replace(_OURS, dns=tuple(f"{name}.cluster.local" for name in TARGET.server_names)), _ROOT)
THROUGH = make(_OURS, _BETWEEN)
BETWEEN = make(_BETWEEN, _ROOT)
# Made once: signatures differ each time, and the object's name is bound to the bytes.
_REQUEST = build_request(PrivateKey(ec_key(1)), _ORDER.plan)
_SECOND_REQUEST = build_request(PrivateKey(ec_key(77)), _ORDER.plan)


@dataclass
class Bench:
    """One cluster under test.

    Attributes:
        name: Of its block.
        client: An administrator's.
        before: The Secret as it was found.
    """

    name: str
    client: ClusterClient
    before: Manifest
    order: CertificateOrder = field(default_factory=lambda: _ORDER)

    @classmethod
    def on(cls, name: str, client: ClusterClient) -> "Bench":
        """Stop OLM and remember how things are."""
        before = client.get(SECRET)
        assert before is not None
        bench = cls(name, client, before)
        bench.stop_olm()
        return bench

    def observe(self) -> ObservedCertificate:
        """What the diagnosis looks at, right now."""
        return read_certificate_state(self.client, PROFILE, NAMESPACE)

    def serve_ours(self) -> None:
        """Everything as publishing leaves it, taken over by the operator; the request still there."""
        self._issue_request()
        self._write_ours()
        seen = wait_for(
            self._served_of_ours, lambda served: served == {ISSUED.sha256}, deadline_after(_PATIENCE)
        )
        assert seen == {ISSUED.sha256}

    def write(self, crt: bytes = b"", trust: bytes = b"", key: int = 0) -> None:
        """Write entries of the Secret; the key is one of the workshop's. OLM's label is put on."""
        secret_key = PrivateKey(ec_key(key)).pkcs8_pem().get_secret_value() if key else b""
        wanted = {"tls.crt": crt, "tls.key": secret_key, "olmCAKey": trust}
        data = {name: base64.b64encode(value).decode() for name, value in wanted.items() if value}
        self.client.patch(SECRET, {"data": data, "metadata": {"labels": {"olm.managed": "true"}}})

    def bundles(self) -> tuple[RegisteredBundle, ...]:
        """The caBundles of all webhooks."""
        return read_bundles(self.client, NAMESPACE, PROFILE.service_names)

    def write_bundles(self, trust: bytes) -> None:
        """Bring every caBundle to these bytes."""
        write_bundles(self.client, self.bundles(), trust)

    def content(self) -> tuple[bytes, bytes, set[bytes]]:
        """tls.crt, olmCAKey and the caBundles."""
        secret = self.client.get(SECRET)
        assert secret is not None
        facts = read_webhook_secret(secret)
        return facts.certificate, facts.trust, {bundle.ca_bundle for bundle in self.bundles()}

    def wait_until_served(self, leaf: Certificate) -> None:
        """Wait until every endpoint presents it."""
        seen = wait_for(self._served, lambda served: served == {leaf.sha256}, deadline_after(_PATIENCE))
        assert seen == {leaf.sha256}

    def forget_request(self) -> None:
        """As the cluster does an hour after it was issued."""
        self.client.delete(self._request_ref(_REQUEST))

    @contextmanager
    def asking(self) -> Iterator[None]:
        """A newer request that nobody has decided on."""
        self.client.create(self._cluster_request(_SECOND_REQUEST))
        try:
            yield
        finally:
            self.client.delete(self._request_ref(_SECOND_REQUEST))

    def stop_olm(self) -> None:
        """No olm-operator, not even one that is ending."""
        self.client.patch(_OLM_OPERATOR, {"spec": {"replicas": 0}})
        pods = wait_for(self._olm_pods, lambda seen: not seen, deadline_after(_PATIENCE))
        assert pods == []

    def start_olm(self) -> None:
        """OLM runs, has seen the Secret, and the operator is rolled out with its CA."""
        self.client.patch(_OLM_OPERATOR, {"spec": {"replicas": 1}})
        content = wait_for(self._olm_is_content, lambda seen: seen, deadline_after(_OLM_PATIENCE))
        assert content

    def put_back(self) -> None:
        """Secret, caBundles and OLM as they were found."""
        self.stop_olm()
        self.forget_request()
        metadata = {key: self.before["metadata"][key] for key in ("labels", "annotations")}
        self.client.patch(SECRET, {"data": self.before["data"], "metadata": metadata})
        facts = read_webhook_secret(self.before)
        self.write_bundles(facts.trust)
        assert facts.leaf is not None
        self.wait_until_served(facts.leaf)
        self.start_olm()
        self.wait_until_served(facts.leaf)

    def _write_ours(self) -> None:
        self.write(crt=ISSUED.pem, key=1, trust=CA.pem)
        self.write_bundles(CA.pem)

    def _served_of_ours(self) -> set[str]:
        """What is served. OLM may act late on what was there before: what it wrote is overwritten."""
        if self.content() != (ISSUED.pem, CA.pem, {CA.pem}):
            self._write_ours()
        return self._served()

    def _issue_request(self) -> None:
        if self.client.get(self._request_ref(_REQUEST)) is None:
            created = self.client.create(self._cluster_request(_REQUEST))
            decided = self.client.replace(approved(created, "a test", NOW), subresource="approval")
            self.client.replace(issued(decided, ISSUED.pem), subresource="status")

    def _cluster_request(self, request: bytes) -> Manifest:
        name, order = self._request_ref(request).name, self.order
        return build_cluster_request(name, request, order.plan, order.signer_name, MANAGED_BY)

    def _request_ref(self, request: bytes) -> ObjectRef:
        name = request_name(self.order.request_base, NAMESPACE, request)
        return ObjectRef("certificates.k8s.io/v1", "CertificateSigningRequest", name)

    def _served(self) -> set[str]:
        endpoints = self.observe().state.endpoints
        return {leaf.sha256 for one in endpoints for leaf in read_certificates(one.presented)[:1]}

    def _olm_pods(self) -> list[Manifest]:
        return self.client.list_objects("v1", "Pod", "olm", label_selector="app=olm-operator")

    def _olm_is_content(self) -> bool:
        olm, operator, csv = (self.client.get(ref) or {} for ref in (_OLM_OPERATOR, _OPERATOR, _CSV))
        if (olm.get("status") or {}).get("readyReplicas") != 1 or not operator:
            return False
        template = operator["spec"]["template"]["metadata"].get("annotations") or {}
        status = operator.get("status") or {}
        return (
            template.get("olmcahash") == sha256_hex(self.content()[1])
            and status.get("observedGeneration") == operator["metadata"]["generation"]
            and status.get("updatedReplicas") == status.get("replicas") == status.get("readyReplicas")
            and (csv.get("status") or {}).get("phase") == "Succeeded"
        )


Spoil = Callable[[Bench], None]


def nothing(_bench: Bench) -> None:
    """Leave it as it is."""


def wrong_ca(bench: Bench) -> None:
    """Another CA in olmCAKey; the caBundles are still right."""
    bench.write(trust=OTHER_CA.pem)


def wrong_ca_everywhere(bench: Bench) -> None:
    """Another CA in olmCAKey and in every caBundle."""
    bench.write(trust=OTHER_CA.pem)
    bench.write_bundles(OTHER_CA.pem)


def servers_certificate_as_ca(bench: Bench) -> None:
    """What the page's (b) says: server.crt in olmCAKey."""
    bench.write(trust=ISSUED.pem)


def other_key(bench: Bench) -> None:
    """(c): a key of another certificate."""
    bench.write(key=55)


def older_certificate(bench: Bench) -> None:
    """(d): tls.crt of the time before, with the new key."""
    bench.write(crt=OLDER.pem)


def the_cas_certificate(bench: Bench) -> None:
    """(d): ca.pem in tls.crt."""
    bench.write(crt=CA.pem)


def documented_names(bench: Bench) -> None:
    """The page's two names, without those that the API server calls."""
    bench.forget_request()
    bench.write(crt=DOCUMENTED.pem)


def expired_leaf(bench: Bench) -> None:
    """Its request is long gone then."""
    bench.forget_request()
    bench.write(crt=EXPIRED.pem)


def spoiled_bundle(bench: Bench) -> None:
    """Another CA in the caBundle of one webhook."""
    mesh = next(one for one in bench.bundles() if one.name.startswith("mesh-validator"))
    write_bundles(bench.client, (mesh,), OTHER_CA.pem)


def overwritten(bench: Bench) -> None:
    """As OLM does it: its CA, its certificate, its key."""
    bench.write(crt=BY_OLM.pem, key=53, trust=make(_OLM_CA).pem)


def windows_line_ends(bench: Bench) -> None:
    """CR LF in both files and in the caBundles."""
    trust = CA.pem.replace(b"\n", b"\r\n")
    bench.write(trust=trust, crt=ISSUED.pem.replace(b"\n", b"\r\n"))
    bench.write_bundles(trust)


def byte_order_mark(bench: Bench) -> None:
    """It hides the CA from Go."""
    bench.write(trust=b"\xef\xbb\xbf" + CA.pem)


def intermediate_in_tls_crt(bench: Bench) -> None:
    """The server sends the intermediate; OLM and olmCAKey know the root alone."""
    bench.forget_request()
    bench.write(crt=pem(THROUGH, BETWEEN))


def lost_label(bench: Bench) -> None:
    """OLM does not see the Secret any more."""
    bench.client.patch(SECRET, {"metadata": {"labels": {"olm.managed": None}}})
