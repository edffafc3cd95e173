"""What a gate's decision is bound to (R14, R15)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.core.certificate_orders import CertificateOrder, PendingRequest, wave_digest
from tasks.core.certificates.cluster_requests import ShownRequest
from tasks.core.certificates.keys import KeySpec

SHOWN = ShownRequest(
    name="osok.mesh.1",
    uid="o-1",
    digest="d" * 64,
    signer_name="oci.com/osok",
    usages=("digital signature", "server auth"),
    requester="system:serviceaccount:osok-fleet:osok-fleet",
    requester_uid="u-1",
    expiration_seconds=34_300_800,
)
ONE = PendingRequest(
    cluster="fra-1",
    cluster_uid="c-1",
    shown=SHOWN,
    subject="CN=kube.operator.cert",
    dns_names=("manager.mesh", "manager.mesh.svc"),
    key="ECDSA secp256r1",
    spki_sha256="e" * 64,
    validity=timedelta(days=397),
)
OTHER = replace(ONE, cluster="fra-2", cluster_uid="c-2", shown=replace(SHOWN, uid="o-2"))


def test_the_digest_is_the_same_in_every_process() -> None:
    """A run that is resumed compares it with the one of the process that showed the requests."""
    assert wave_digest([ONE, OTHER]) == "b6d9e2078b449e51ae73dcb78cf6e3c67e5e632b2daf9ebf069b87feee407a5c"


def test_the_digest_does_not_depend_on_the_order() -> None:
    assert wave_digest([ONE, OTHER]) == wave_digest([OTHER, ONE])


def test_every_request_counts() -> None:
    assert len({wave_digest([ONE]), wave_digest([OTHER]), wave_digest([ONE, OTHER])}) == 3


def test_another_cluster_behind_the_same_name_is_another_digest() -> None:
    assert wave_digest([replace(ONE, cluster_uid="c-3")]) != wave_digest([ONE])


@pytest.mark.parametrize(
    "changed",
    [
        replace(SHOWN, name="osok.mesh.2"),
        replace(SHOWN, uid="o-2"),
        replace(SHOWN, digest="c" * 64),
        replace(SHOWN, signer_name="example.com/other"),
        replace(SHOWN, usages=("server auth",)),
        replace(SHOWN, requester="eve"),
        replace(SHOWN, requester_uid="u-2"),
        replace(SHOWN, expiration_seconds=600),
    ],
    ids=["name", "uid", "bytes", "signer", "usages", "requester", "requester's uid", "lifetime"],
)
def test_whatever_changes_in_the_object_asks_again(changed: ShownRequest) -> None:
    assert wave_digest([replace(ONE, shown=changed)]) != wave_digest([ONE])


def test_another_authority_asks_again() -> None:
    """R16: who approved one CA has not approved another one that was put into the block since."""
    assert wave_digest([replace(ONE, authority="FILE: CN=Other, SHA-256 1f")]) != wave_digest([ONE])


def test_a_denial_in_the_cluster_is_an_answer_and_no_other_question() -> None:
    """Otherwise a denied cluster would have all others of its gate asked again."""
    assert wave_digest([replace(ONE, denial="KubectlDeny: no")]) == wave_digest([ONE])


def test_an_order_is_for_the_recommended_certificate() -> None:
    """R12: both Services, three names each."""
    order = CertificateOrder("mesh", ("manager", "webhook"), "manager-cert", "osok", KeySpec.RSA_2048)

    assert order.plan.dns_names == (
        "manager.mesh",
        "manager.mesh.svc",
        "manager.mesh.svc.cluster.local",
        "webhook.mesh",
        "webhook.mesh.svc",
        "webhook.mesh.svc.cluster.local",
    )
    assert order.plan.usages == ("digital signature", "key encipherment", "server auth")
    assert (order.signer_name, order.validity) == ("oci.com/osok", timedelta(days=397))
