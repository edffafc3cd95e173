"""What a safe repair writes, decided without a cluster: it helps, or it is left with its reason (R22)."""

import base64
from dataclasses import replace

import pytest

from tasks.certificates.diagnoses import findings_of
from tasks.certificates.observing import ObservedCertificate
from tasks.certificates.repair_plans import RepairPlan, plan_repair
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.findings import (
    CertificateState,
    CertManager,
    EndpointFact,
    Severity,
    WebhookFact,
)
from tasks.core.certificates.keys import PrivateKey
from tasks.core.certificates.olm import Prediction, predict_olm
from tasks.core.certificates.webhook_secrets import SecretFacts, read_webhook_secret
from tests.core.certificates.secrets_made import MANAGED, manifest_of
from tests.core.certificates.test_diagnosis import CASES
from tests.core.certificates.workshop import (
    DAY,
    INTERMEDIATE,
    LEAF,
    MANAGER_SERVICE,
    NOW,
    ROOT,
    TARGET,
    WEBHOOK_SERVICE,
    ec_key,
    make,
    pem,
    private_key,
)

OURS = replace(LEAF, dns=TARGET.dns_names)
CA = make(ROOT)
ISSUED = make(OURS, ROOT)
OTHER = replace(ROOT, name="Other", key=ec_key(51))
OTHER_CA = make(OTHER)
BY_OTHER = make(replace(OURS, key=ec_key(57)), OTHER)
BETWEEN = make(INTERMEDIATE, ROOT)
THROUGH = make(OURS, INTERMEDIATE)
KEY = private_key(OURS).pkcs8_pem().get_secret_value()
KEY_OF_OTHER = PrivateKey(ec_key(57)).pkcs8_pem().get_secret_value()
VALIDATOR = "ValidatingWebhookConfiguration mesh-validator-abcde"


def observed(
    certificate: bytes = ISSUED.pem,
    trust: bytes = CA.pem,
    bundle: bytes | None = None,
    served: bytes = ISSUED.pem,
    olm: str = "0.46.0",
    **others: object,
) -> ObservedCertificate:
    """A cluster whose Secret, one webhook and two endpoints have these contents."""
    manifest = manifest_of(certificate, trust, KEY)
    state = CertificateState(
        TARGET,
        NOW,
        read_webhook_secret(manifest),
        predict_olm(manifest, {}, TARGET.olm_hosts, olm, NOW),
        webhooks=(WebhookFact(VALIDATOR, "mesh", MANAGER_SERVICE, trust if bundle is None else bundle),),
        endpoints=(
            EndpointFact(MANAGER_SERVICE, "10.1.2.3:9443", served),
            EndpointFact(WEBHOOK_SERVICE, "10.1.2.3:9443", served),
        ),
        issued=ISSUED.pem,
    )
    return ObservedCertificate(replace(state, **others), olm, {})  # type: ignore[arg-type]  # fields of the state


def plan(seen: ObservedCertificate, *authorities: Certificate) -> RepairPlan:
    return plan_repair(seen, findings_of(seen, authorities), authorities)


def test_a_sound_cluster_is_left_alone() -> None:
    assert plan(observed()) == RepairPlan()


def test_the_issuer_is_taken_from_the_caBundles() -> None:  # noqa: N802 - the field's name
    decided = plan(observed(trust=OTHER_CA.pem, bundle=CA.pem))

    assert (decided.certificate, decided.trust, decided.left) == (ISSUED.pem, CA.pem, ())
    assert (decided.writes_secret, decided.writes_bundles) == (True, False)


def test_the_issuer_is_taken_from_the_ca_that_the_run_names() -> None:
    assert plan(observed(trust=OTHER_CA.pem), CA).trust == CA.pem


def test_a_ca_that_nobody_trusted_is_not_made_trusted() -> None:
    """It came along in tls.crt, and nobody who is trusted vouches for it."""
    stranger = replace(ROOT, name="Stranger", key=ec_key(58))
    leaf = make(OURS, stranger)

    decided = plan(observed(pem(leaf, make(stranger)), OTHER_CA.pem, issued=leaf.pem))

    (left,) = decided.left
    assert left.startswith(
        "the certificate of the issuing CA `CN=Stranger` is trusted nowhere in the cluster"
    )


def test_an_intermediate_of_a_trusted_root_goes_first() -> None:
    decided = plan(observed(pem(THROUGH, BETWEEN), CA.pem, issued=THROUGH.pem))

    assert decided.trust == pem(BETWEEN, CA)


def test_of_a_wrong_olmcakey_the_ca_of_what_is_served_stays_behind() -> None:
    """The endpoints have not taken the Secret over yet: both are trusted meanwhile."""
    old = replace(ROOT, name="Old", key=ec_key(59))
    served = make(replace(OURS, key=ec_key(60)), old)
    old_ca = make(old)
    seen = observed(trust=pem(old_ca, OTHER_CA), bundle=pem(old_ca, CA), served=served.pem)

    assert plan(seen).trust == pem(CA, old_ca)


def test_the_servers_own_certificate_is_dropped_from_olmcakey() -> None:
    """The page's (b)."""
    assert plan(observed(trust=ISSUED.pem, bundle=CA.pem)).trust == CA.pem


@pytest.mark.parametrize(
    "spoiled",
    [
        CA.pem.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + CA.pem,
        base64.encodebytes(CA.pem),
        b"the CA:\n" + CA.pem,
        CA.pem.removesuffix(b"\n"),
        pem(CA) + pem(CA),
    ],
    ids=["Windows", "byte order mark", "base64 twice", "text", "no final line end", "twice"],
)
def test_olmcakey_is_written_as_plain_pem(spoiled: bytes) -> None:
    assert plan(observed(trust=spoiled, bundle=CA.pem)).trust == CA.pem


def test_tls_crt_is_written_as_plain_pem_and_nothing_else_is() -> None:
    decided = plan(observed(ISSUED.pem.replace(b"\n", b"\r\n")))

    assert (decided.certificate, decided.trust) == (ISSUED.pem, CA.pem)
    assert (decided.writes_secret, decided.writes_bundles) == (True, False)


def test_bundles_that_only_overlap_are_not_rewritten_with_other_bytes_of_the_secret() -> None:
    """The Secret is right as it is: only the caBundle is brought to it."""
    decided = plan(observed(trust=pem(CA, OTHER_CA), bundle=CA.pem))

    assert (decided.trust, decided.writes_secret) == (pem(CA, OTHER_CA), False)


def test_an_endpoint_that_works_is_not_cut_off() -> None:
    """Secret and caBundle are of different times, and the operator still serves what the caBundle trusts."""
    seen = observed(bundle=pem(OTHER_CA, CA), served=BY_OTHER.pem)

    decided = plan(seen)

    assert not decided.writes
    assert decided.left[0] == (
        f"{MANAGER_SERVICE} 10.1.2.3:9443 still serves a certificate of another CA: run again in two minutes"
    )


def test_an_endpoint_that_does_not_work_anyway_stops_nothing() -> None:
    assert plan(observed(bundle=OTHER_CA.pem, served=b"")).writes_bundles


def test_nothing_is_built_on_a_foreign_certificate() -> None:
    foreign = manifest_of(BY_OTHER.pem, OTHER_CA.pem, KEY_OF_OTHER)
    seen = observed(secret=read_webhook_secret(foreign), bundle=CA.pem)

    assert plan(seen).left == (
        "tls.crt has another certificate than was issued: the API server is not made to trust it",
    )


def test_nothing_is_written_over_an_exposed_key() -> None:
    seen = observed(bundle=CA.pem + KEY)

    assert plan(seen).left == (
        "a private key stands where everybody may read it: it is not written over before somebody looked",
    )


def test_nobody_fights_with_cert_manager() -> None:
    seen = observed(bundle=OTHER_CA.pem, annotated={VALIDATOR: "a: b"}, cert_manager=CertManager.PRESENT)

    assert plan(seen).left == (f"cert-manager writes the same caBundles: {VALIDATOR}",)


def test_an_annotation_that_nobody_reads_stops_nothing() -> None:
    assert plan(observed(bundle=OTHER_CA.pem, annotated={VALIDATOR: "a: b"})).writes_bundles


def test_a_secret_that_olm_replaces_all_the_same_is_left() -> None:
    ending = make(replace(OURS, not_after=NOW + DAY / 2), ROOT)

    decided = plan(observed(ending.pem, bundle=OTHER_CA.pem, served=ending.pem, issued=ending.pem))

    (left,) = decided.left
    assert left.startswith(
        "OLM 0.46.0 would replace the Secret all the same: the certificate ends within 24 h"
    )


def test_a_certificate_that_the_api_server_refuses_anyway_is_left() -> None:
    only_short = make(replace(OURS, dns=TARGET.dns_names[:1]), ROOT)

    decided = plan(observed(only_short.pem, bundle=OTHER_CA.pem, issued=only_short.pem, olm="0.20.0"))

    assert decided.left[0].startswith(f"the API server would still refuse {TARGET.server_names[0]}: x509: ")


def test_a_secret_of_a_type_that_olm_cannot_update_is_left() -> None:
    manifest = manifest_of(ISSUED.pem, CA.pem, KEY, labels={}, kind="Opaque")
    seen = observed(
        secret=read_webhook_secret(manifest),
        prediction=predict_olm(manifest, {}, TARGET.olm_hosts, "0.46.0", NOW),
    )

    assert plan(seen).left == (
        "the Secret has the type Opaque, which OLM can never update: delete it and issue anew",
    )


def test_tls_crt_is_not_rewritten_beside_the_key_of_another() -> None:
    other = make(replace(OURS, key=ec_key(61)), ROOT)

    decided = plan(observed(other.pem.replace(b"\n", b"\r\n"), served=other.pem, issued=other.pem))

    assert decided.left == ("tls.key is not the key of the certificate",)


def test_without_a_certificate_there_is_nothing_to_build_on() -> None:
    seen = observed(b"", trust=OTHER_CA.pem, bundle=CA.pem, issued=b"")

    assert plan(seen).left == ("tls.crt has no certificate that anything could be built on",)


def test_without_a_secret_nothing_is_safe() -> None:
    gone = predict_olm(None, {}, TARGET.olm_hosts, "0.46.0", NOW)

    assert plan(observed(secret=None, prediction=gone)) == RepairPlan()


@pytest.mark.parametrize("olm", ["0.20.0", "0.46.0"])
def test_only_the_old_olm_waits_with_what_merely_looks_wrong(olm: str) -> None:
    """0.20.0 deletes the Service when the caBundles' bytes change."""
    decided = plan(observed(trust=CA.pem.replace(b"\n", b"\r\n"), olm=olm))

    assert decided.writes is (olm == "0.46.0")


@pytest.mark.parametrize("state", [state for state, _ in CASES.values()], ids=CASES)
def test_a_plan_cures_what_is_safe_and_makes_nothing_worse(state: CertificateState) -> None:
    """For every case that the diagnosis knows."""
    seen = ObservedCertificate(state, "0.46.0", {})
    decided = plan(seen)
    before, after = findings_of(seen), findings_of(carried_out(seen, decided))

    if decided.writes:
        assert not any(finding.repair.safe for finding in after)
    assert {one.case for one in after if one.severity is Severity.BROKEN} <= {
        one.case for one in before if one.severity is Severity.BROKEN
    }


@pytest.mark.parametrize("state", [state for state, _ in CASES.values()], ids=CASES)
def test_what_is_safe_is_either_done_or_left_with_a_reason(state: CertificateState) -> None:
    seen = ObservedCertificate(state, "0.46.0", {})
    safe = any(finding.repair.safe for finding in findings_of(seen))

    decided = plan(seen)

    assert safe is (decided.writes or bool(decided.left))


def carried_out(seen: ObservedCertificate, decided: RepairPlan) -> ObservedCertificate:
    """The cluster as a plan leaves it, when the operator has taken it over."""
    state, secret = seen.state, seen.state.secret
    if secret is None or not decided.writes:
        return seen
    after = replace(
        secret, certificate=decided.certificate, trust=decided.trust, labels={**secret.labels, **MANAGED}
    )
    hooks = tuple(replace(hook, ca_bundle=decided.trust) for hook in state.webhooks)
    taken_over = decided.certificate != secret.certificate
    endpoints = tuple(
        replace(one, presented=decided.certificate) if taken_over else one for one in state.endpoints
    )
    return replace(
        seen,
        state=replace(state, secret=after, prediction=predicted(after), webhooks=hooks, endpoints=endpoints),
    )


def predicted(secret: SecretFacts) -> Prediction:
    manifest = manifest_of(secret.certificate, secret.trust, labels=secret.labels)
    return predict_olm(manifest, {}, TARGET.olm_hosts, "0.46.0", NOW)
