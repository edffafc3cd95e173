"""Single changes to the webhook's certificate and what a run leaves beside it, with the drift to be found."""

import base64
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta

from tasks.certificates.orders import order_for
from tasks.core.certificates.cluster_requests import build_cluster_request, request_name
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.requests import build_request
from tasks.core.drift.items import DriftKind
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.core.settings import CertificateChoice
from tests.core.certificates.workshop import DAY, LEAF, ROOT, TARGET, ec_key, make
from tests.support.certificate_bench import CA, EXPIRED, NOW, OTHER_CA, PROFILE, SECRET
from tests.support.drift_cases import NS, Case, core, deleted, made, removed
from tests.support.drift_worlds import DriftBench
from tests.support.strangers import STRANGER

CRT, KEY, TRUST = "/data/tls.crt", "/data/tls.key", "/data/olmCAKey"
_BUNDLES = "/webhooks/0/clientConfig/caBundle"
_ROOT = replace(ROOT, name="Our CA", not_before=NOW - DAY, not_after=NOW + 900 * DAY)
_SOON = make(
    replace(LEAF, dns=TARGET.dns_names, not_before=NOW - DAY, not_after=NOW + timedelta(days=12)), _ROOT
)
_ENDING_CA = replace(_ROOT, not_after=NOW + timedelta(days=20))
_BY_ENDING = make(
    replace(LEAF, dns=TARGET.dns_names, not_before=NOW - DAY, not_after=NOW + timedelta(days=300)), _ENDING_CA
)


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _key(number: int) -> str:
    return _encoded(PrivateKey(ec_key(number)).pkcs8_pem().get_secret_value())


def served(title: str, kind: DriftKind, field: str, crt: bytes, trust: bytes, *follows: str) -> Case:
    """Another certificate with its key and CA; nothing tells the webhooks."""

    def act(bench: DriftBench) -> AbstractContextManager[None]:
        return bench.stranger.patched(SECRET, (CRT, _encoded(crt)), (KEY, _key(1)), (TRUST, _encoded(trust)))

    return Case(title, kind, str(SECRET), field, STRANGER, act, (_BUNDLES, *follows))


def entry(title: str, field: str, content: str, *follows: str) -> Case:
    """One entry of the Secret."""
    return Case(
        title,
        DriftKind.CHANGED,
        str(SECRET),
        field,
        STRANGER,
        lambda bench: bench.stranger.patched(SECRET, (field, content)),
        follows,
    )


def _request() -> Manifest:
    order = order_for(PROFILE, NS, CertificateChoice())
    request = build_request(PrivateKey(ec_key(88)), order.plan)
    name = request_name(order.request_base, NS, request)
    return build_cluster_request(name, request, order.plan, order.signer_name, MANAGED_BY)


_PENDING = _request()


def _staged_key(_: DriftBench) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "osok-fleet-staging", "namespace": NS},
        "data": {"tls.key": ""},
    }


CERTIFICATE_CASES = (
    removed("OLM's label is gone", SECRET, "/metadata/labels/olm.managed"),
    entry("no certificate in tls.crt", CRT, _encoded(b"-----BEGIN NOTHING-----\n"), KEY, TRUST),
    entry("another key", KEY, _key(55)),
    entry("another CA in the Secret", TRUST, _encoded(OTHER_CA.pem), _BUNDLES),
    served("the leaf has expired", DriftKind.EXPIRING, CRT, EXPIRED.pem, CA.pem, TRUST),
    served("the leaf ends in twelve days", DriftKind.EXPIRING, CRT, _SOON.pem, CA.pem),
    served("the CA ends in twenty days", DriftKind.EXPIRING, TRUST, _BY_ENDING.pem, make(_ENDING_CA).pem),
    deleted(SECRET),
    made("a staged key that no request waits for", core("Secret", "osok-fleet-staging"), _staged_key),
    made(
        "a request whose key is gone",
        ObjectRef(_PENDING["apiVersion"], _PENDING["kind"], _PENDING["metadata"]["name"]),
        lambda _: _PENDING,
    ),
)
"""R13, R14, R19–R22."""
