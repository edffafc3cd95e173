"""The certificate of an observed cluster, as the diagnosis looks at it."""

import base64
from collections.abc import Iterator

from tasks.core.certificates.cluster_requests import newest_issued, requests_for
from tasks.core.certificates.findings import CertificateState, WebhookFact, cert_manager_claims
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.olm import expected_target, predict_olm, rotation_date
from tasks.core.drift.certificates import CertificateView
from tasks.core.drift.expectation import CSV_KIND, Expectation
from tasks.core.drift.observation import ClusterObservation
from tasks.core.drift.webhooks import KINDS
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.olm_health import installed_olm_version


def view_of(expected: Expectation, seen: ClusterObservation) -> CertificateView | None:
    """The certificate; None when OLM's version is unknown, because OLM itself is missing or half there.

    Raises:
        PrerequisiteError: There are two versions of OLM.
    """
    version = installed_olm_version(seen.of_kind(CSV_KIND, "olm"))
    if not version:
        return None
    secret_ref = ObjectRef("v1", "Secret", expected.profile.certificate_secret, expected.namespace)
    secret = seen.find(secret_ref)
    csv = seen.find(
        ObjectRef("operators.coreos.com/v1alpha1", CSV_KIND, expected.installation.csv, expected.namespace)
    )
    rotates_at = rotation_date((csv or {}).get("status") or {})
    webhooks = dict(_webhooks(expected, seen))
    issued = newest_issued(requests_of(expected, seen))
    all_services = WebhookTarget(expected.namespace, expected.profile.service_names)
    target = expected_target(all_services, seen.secret.leaf if seen.secret else None, issued)
    status = {"certsRotateAt": rotates_at.isoformat()} if rotates_at else {}
    state = CertificateState(
        target=target,
        now=seen.now,
        secret=seen.secret,
        prediction=predict_olm(secret, status, target.olm_hosts, version, seen.now),
        webhooks=tuple(webhooks),
        endpoints=seen.endpoints,
        issued=issued,
        annotated=dict(_annotations(seen, set(webhooks.values()))),
        cert_manager=seen.cert_manager,
    )
    return CertificateView(
        secret=secret,
        csv=csv,
        secret_ref=secret_ref,
        state=state,
        olm_version=version,
        rotates_at=rotates_at,
        authorities=expected.authorities,
        webhooks={fact.configuration: seen.objects[ref] for fact, ref in webhooks.items()},
    )


def requests_of(expected: Expectation, seen: ClusterObservation) -> tuple[Manifest, ...]:
    """Our requests for this operator, the newest last."""
    found = seen.of_kind("CertificateSigningRequest")
    return requests_for(found, expected.profile.request_base, expected.namespace)


def _webhooks(expected: Expectation, seen: ClusterObservation) -> Iterator[tuple[WebhookFact, ObjectRef]]:
    for kind in KINDS:
        for live in seen.of_kind(kind):
            ref = ref_of(live)
            for webhook in live.get("webhooks") or []:
                config = webhook.get("clientConfig") or {}
                service = config.get("service") or {}
                ours = service.get("name") in expected.profile.service_names
                if ours and service.get("namespace") == expected.namespace:
                    bundle = base64.b64decode(config.get("caBundle") or "")
                    yield WebhookFact(str(ref), webhook["name"], service["name"], bundle), ref


def _annotations(seen: ClusterObservation, ours: set[ObjectRef]) -> Iterator[tuple[str, str]]:
    for ref in ours:
        for claim in cert_manager_claims(seen.objects[ref]):
            yield str(ref), claim
