"""What ends when, and from when on it is said: leaf, CA, OLM's own day, a renewal that is due (R14, R22)."""

import base64
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import CertificateState
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.olm import predict_olm
from tasks.core.certificates.webhook_secrets import read_webhook_secret
from tasks.core.drift.certificates import (
    CertificateView,
    EndKind,
    calendar_of,
    check_certificate,
    check_dates,
)
from tasks.core.drift.expectation import Limits
from tasks.core.drift.items import DriftKind
from tasks.core.manifests import Manifest, ObjectRef
from tests.core.certificates.workshop import (
    DAY,
    LEAF,
    NAMESPACE,
    NOW,
    ROOT,
    TARGET,
    Recipe,
    ec_key,
    make,
    pem,
    private_key,
)

CSV: Manifest = {
    "apiVersion": "operators.coreos.com/v1alpha1",
    "kind": "ClusterServiceVersion",
    "metadata": {"name": "osok.v1", "namespace": NAMESPACE},
}
REF = ObjectRef("v1", "Secret", "cert", NAMESPACE)
CA = replace(ROOT, not_after=NOW + 900 * DAY)
OLM_CA = replace(CA, name="olm-selfsigned-5e1f", key=ec_key(52))


def leaf(days: int, since: int = 30) -> Recipe:
    return replace(LEAF, dns=TARGET.dns_names, not_before=NOW - since * DAY, not_after=NOW + days * DAY)


def view(  # noqa: PLR0913, PLR0917 - each is one thing that a cluster may have otherwise
    recipe: Recipe,
    issuer: Recipe = CA,
    olm: str = "0.46.0",
    rotates_at: datetime | None = None,
    authorities: tuple[Certificate, ...] = (),
    trusted: tuple[Recipe, ...] = (),
) -> CertificateView:
    """A cluster that serves a certificate."""
    content = {
        "tls.crt": make(recipe, issuer).pem,
        "tls.key": private_key(recipe).pkcs8_pem().get_secret_value(),
        "olmCAKey": pem(make(issuer), *map(make, trusted)),
    }
    secret: Manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "cert", "namespace": NAMESPACE, "labels": {"olm.managed": "true"}},
        "data": {name: base64.b64encode(value).decode() for name, value in content.items()},
    }
    facts = read_webhook_secret(secret)
    state = CertificateState(TARGET, NOW, facts, predict_olm(secret, {}, TARGET.olm_hosts, olm, NOW))
    return CertificateView(secret, CSV, REF, state, olm, rotates_at, authorities)


def dates(seen: CertificateView) -> list[tuple[str, str]]:
    return [(item.field, item.severity.value) for item in check_dates(seen, Limits())]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (300, []),
        (31, []),
        (30, [("/data/tls.crt", "WARNING")]),
        (8, [("/data/tls.crt", "WARNING")]),
        (7, [("/data/tls.crt", "CRITICAL")]),
        (-1, [("/data/tls.crt", "CRITICAL")]),
    ],
)
def test_a_leaf_is_said_to_end_within_the_limits(days: int, expected: list[tuple[str, str]]) -> None:
    assert dates(view(leaf(days, since=5))) == expected


def test_a_ca_is_said_to_end_before_its_leaf() -> None:
    seen = view(leaf(300), replace(CA, not_after=NOW + 20 * DAY))

    assert dates(seen) == [("/data/olmCAKey", "WARNING")]


def test_another_trusted_ca_that_ends_is_a_note() -> None:
    other = replace(CA, name="Old CA", key=ec_key(60), not_after=NOW + 3 * DAY)

    assert dates(view(leaf(300), trusted=(other,))) == [("/data/olmCAKey", "NOTE")]


def test_a_renewal_is_due_after_two_thirds_of_the_leafs_life() -> None:
    assert dates(view(leaf(100, since=300))) == [("/data/tls.crt", "NOTE")]


def test_what_olm_renews_itself_is_said_only_when_it_has_not() -> None:
    """OLM 0.29 and later renews its own certificate a day before the end."""
    ends = [(5, []), (0, [("/data/tls.crt", "CRITICAL")])]

    assert [(days, dates(view(leaf(days), OLM_CA))) for days, _ in ends] == ends


def test_olm_before_0_29_throws_an_own_certificate_away_on_its_day() -> None:
    seen = view(leaf(300), olm="0.20.0", rotates_at=NOW + 10 * DAY)

    (item,) = check_dates(seen, Limits())

    assert (str(item.ref), item.field) == (
        f"ClusterServiceVersion {NAMESPACE}/osok.v1",
        "/status/certsRotateAt",
    )


def test_the_calendar_has_every_date_the_first_one_first() -> None:
    other = replace(CA, name="Old CA", key=ec_key(60), not_after=NOW + 500 * DAY)

    calendar = calendar_of(view(leaf(300), trusted=(other,)))

    assert [(entry.kind, entry.at - NOW) for entry in calendar] == [
        (EndKind.OLM_REPLACES, timedelta(days=299)),
        (EndKind.LEAF_EXPIRES, timedelta(days=300)),
        (EndKind.TRUSTED_CA_EXPIRES, timedelta(days=500)),
        (EndKind.ISSUER_EXPIRES, timedelta(days=900)),
    ]


def test_a_certificate_of_another_ca_than_the_named_one_is_drift() -> None:
    """An OLM that put its own certificate over ours, long after the request is gone."""
    ours = (make(CA),)

    own = [item.field for item in check_certificate(view(leaf(300), authorities=ours))]
    foreign = [item.field for item in check_certificate(view(leaf(300), OLM_CA, authorities=ours))]

    assert (own, foreign) == ([], ["/data/tls.crt"])


def test_the_two_names_of_olm_0_20_are_enough_for_its_own_certificate() -> None:
    """The API server calls `<service>.<namespace>.svc`; what is ours has to have all names."""
    two = replace(leaf(300), dns=TARGET.dns_names[:2])
    alone = WebhookTarget(NAMESPACE, TARGET.services[:1])
    seen = [view(two, issuer, olm="0.20.0") for issuer in (OLM_CA, CA)]

    found = [
        [item.field for item in check_certificate(replace(one, state=replace(one.state, target=alone)))]
        for one in seen
    ]

    assert found == [[], ["/data/tls.crt"]]


def test_cert_managers_claim_is_contested_and_names_who_made_it() -> None:
    """Two writers of one caBundle: OLM and cert-manager's cainjector."""
    name = "cert-manager.io/inject-ca-from"
    fields: Manifest = {"f:metadata": {"f:annotations": {f"f:{name}": {}}}}
    live: Manifest = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {
            "name": "mesh",
            "annotations": {name: "a/b"},
            "managedFields": [{"manager": "helm", "operation": "Update", "fieldsV1": fields}],
        },
    }
    seen = view(leaf(300))
    subject = "ValidatingWebhookConfiguration mesh"
    claimed = replace(seen.state, annotated={subject: f"{name}: a/b"})

    (item,) = check_certificate(replace(seen, state=claimed, webhooks={subject: live}))

    assert item.kind is DriftKind.CONTESTED
    assert item.field == "/metadata/annotations/cert-manager.io~1inject-ca-from"
    assert item.owner is not None
    assert item.owner.manager == "helm"
