"""R17, R19: what was pasted at the gate, matched by public key and judged like any issued certificate."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tasks.certificates.gate import ExternalSigningDecision, SigningDecision
from tasks.certificates.pasting import PasteReview
from tasks.certificates.signing import Decision
from tasks.core.certificate_orders import CertificateOrder, PendingRequest
from tasks.core.certificates.authorities import Authority, AuthorityPlan, create_authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.cluster_requests import ShownRequest
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import KeySpec, PrivateKey, generate_key
from tasks.core.certificates.pasted import read_pasted
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=400)
ORDER = CertificateOrder("mesh", ("manager",), "manager-cert", "osok")
KEYS = {name: generate_key() for name in ("fra-1", "zrh-1")}


def make_ca(name: str = "Elsewhere CA") -> Authority:
    return create_authority(AuthorityPlan(name, KeySpec.ECDSA_P256), generate_key(), LONG_AGO)


CA = make_ca()


def sign(
    key: PrivateKey, authority: Authority = CA, order: CertificateOrder = ORDER, now: datetime = NOW
) -> Certificate:
    expectation = RequestExpectation(order.plan, key.spki_sha256)
    return sign_request(build_request(key, order.plan), expectation, authority, now)


def shown(cluster: str) -> PendingRequest:
    return PendingRequest(
        cluster=cluster,
        cluster_uid=f"uid-of-{cluster}",
        shown=ShownRequest("osok.mesh.1", "o-1", "d" * 64, "oci.com/osok", (), "osok-fleet", "", 600),
        subject="CN=kube.operator.cert",
        dns_names=ORDER.plan.dns_names,
        key="ECDSA secp256r1",
        spki_sha256=KEYS[cluster].spki_sha256,
        validity=timedelta(days=397),
    )


FRA, ZRH = sign(KEYS["fra-1"]).pem.decode(), sign(KEYS["zrh-1"]).pem.decode()
REVIEW = PasteReview(ORDER, [shown("fra-1"), shown("zrh-1")], (CA.certificate,))
answer = partial(ExternalSigningDecision, reason="planned", approver="Ada")


def complaint(text: str, decision: Decision = Decision.APPROVE, denied_clusters: tuple[str, ...] = ()) -> str:
    return REVIEW.explain(answer(decision=decision, certificates=text, denied_clusters=list(denied_clusters)))


GOOD = {
    "one after another": FRA + ZRH,
    "in another order": ZRH + FRA,
    "on one line": (FRA + ZRH).replace("\n", ""),
    "with Windows line ends": (FRA + ZRH).replace("\n", "\r\n"),
    "with text and blanks round them": f"Hello Ada,\n\n  {FRA}\n and\n\t{ZRH}\nBest, Grace",
    "with the CA's certificate": FRA + CA.certificate.pem.decode() + ZRH,
    "twice the same": FRA + ZRH + FRA,
}


@pytest.mark.parametrize("text", GOOD.values(), ids=GOOD)
def test_what_the_ca_signed_is_found_however_it_was_pasted(text: str) -> None:
    assert complaint(text) == ""


BAD = {
    "nothing": ("", "fra-1: expected one certificate, found none for this key"),
    "one of two": (FRA, "zrh-1: expected one certificate, found none for this key"),
    "an older request's": (FRA + ZRH + sign(generate_key()).pem.decode(), "for no request that was shown"),
    "two for one key": (FRA + ZRH + sign(KEYS["zrh-1"]).pem.decode(), "zrh-1: expected one certificate, "),
    "another CA of the same name": (FRA + sign(KEYS["zrh-1"], make_ca()).pem.decode(), "zrh-1: CHAIN: "),
    "without one of the names": (
        FRA + sign(KEYS["zrh-1"], order=replace(ORDER, services=("other",))).pem.decode(),
        "zrh-1: NAMES: ",
    ),
    "which ends tomorrow": (
        FRA + sign(KEYS["zrh-1"], now=NOW - timedelta(days=396)).pem.decode(),
        "zrh-1: VALIDITY: ",
    ),
    "the CA alone": (CA.certificate.pem.decode(), "fra-1: expected one certificate, found none for this key"),
    "cut off": (FRA + ZRH[:-40], "a mark without its counterpart"),
    "damaged": (FRA + ZRH.replace("MII", "M!I", 1), "block 2): expected base64 between the marks"),
    "no certificate inside": (
        "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n",
        "block 1): expected an X.509 certificate",
    ),
    "a request": (build_request(KEYS["fra-1"], ORDER.plan).decode(), "found a block CERTIFICATE REQUEST"),
}


@pytest.mark.parametrize(("text", "reason"), BAD.values(), ids=BAD)
def test_what_may_not_be_published_is_told_with_its_reason(text: str, reason: str) -> None:
    assert reason in complaint(text)


def test_trust_is_never_taken_from_the_paste() -> None:
    """A foreign CA beside its leaf changes nothing: the approver saw the block's CA."""
    foreign = make_ca()
    text = FRA + sign(KEYS["zrh-1"], foreign).pem.decode() + foreign.certificate.pem.decode()

    assert "zrh-1: CHAIN: " in complaint(text)


def test_a_private_key_is_named_and_not_repeated() -> None:
    key = generate_key().pkcs8_pem().get_secret_value().decode()

    told = complaint(FRA + ZRH + key)

    assert "found a private key. Take it for lost" in told
    assert key.splitlines()[1] not in told


def test_clusters_that_are_left_out_need_no_certificate() -> None:
    assert complaint(FRA, denied_clusters=("zrh-1",)) == ""


def test_a_cluster_that_an_admin_denied_needs_no_certificate() -> None:
    review = replace(REVIEW, requests=[shown("fra-1"), replace(shown("zrh-1"), denial="KubectlDeny: no")])

    assert review.explain(answer(decision=Decision.APPROVE, certificates=FRA)) == ""


def test_a_denial_needs_no_certificate() -> None:
    assert complaint("", Decision.DENY) == ""


def test_whoever_approves_in_the_cluster_may_put_the_certificate_there_too() -> None:
    assert complaint("", Decision.CLUSTER) == ""


def test_the_form_for_other_kinds_of_ca_is_not_reviewed() -> None:
    plain = SigningDecision(decision=Decision.APPROVE, reason="planned", approver="Ada")

    assert REVIEW.explain(plain) == ""


def test_ca_certificates_are_told_apart_from_servers() -> None:
    pasted = read_pasted(FRA + CA.certificate.pem.decode())

    assert ([one.sha256 for one in pasted.authorities], len(pasted.leaves)) == ([CA.certificate.sha256], 1)
