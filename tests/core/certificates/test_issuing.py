"""What is signed, and what is refused before or after signing (runbook R16, R17, R19)."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import SecretStr

from tasks.core.certificates.authorities import (
    Authority,
    AuthorityPlan,
    create_authority,
    explain_unfit,
    load_authority,
    take_serial,
)
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.issuing import check_issued, plan_validity, sign_request
from tasks.core.certificates.keys import KeySpec, PrivateKey
from tasks.core.certificates.profiles import documented_plan, recommended_plan
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.request_policy import RefusalReason, RequestExpectation
from tasks.core.certificates.requests import build_request
from tasks.core.errors import CertificateError
from tests.core.certificates.signing import authority_of, expectation_of, key_of, leaf_of
from tests.core.certificates.workshop import (
    DAY,
    INTERMEDIATE,
    LEAF,
    NOW,
    ROOT,
    TARGET,
    Recipe,
    ec_key,
    make,
    pem,
    private_key,
    rsa_key,
)

EXPECTATION = expectation_of()
PLAN = EXPECTATION.plan
REQUEST = build_request(key_of(KeySpec.ECDSA_P256), PLAN)


def _extension(
    certificate: Certificate, kind: type[x509.ExtensionType]
) -> x509.Extension[x509.ExtensionType]:
    return certificate.parsed.extensions.get_extension_for_class(kind)


def _usages(certificate: Certificate) -> set[str]:
    value = certificate.parsed.extensions.get_extension_for_class(x509.KeyUsage).value
    bits = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    return {bit for bit in [*bits, "key_agreement", "key_cert_sign", "crl_sign"] if getattr(value, bit)}


def test_a_leaf_is_no_ca_and_says_so_critically() -> None:
    basic = _extension(leaf_of(), x509.BasicConstraints)

    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=False, path_length=None))


def test_an_ecdsa_leaf_may_sign_only() -> None:
    """RFC 8813 section 3."""
    assert _usages(leaf_of()) == {"digital_signature"}
    assert _extension(leaf_of(), x509.KeyUsage).critical is True


def test_an_rsa_leaf_may_also_encipher_keys() -> None:
    assert _usages(leaf_of(KeySpec.RSA_2048)) == {"digital_signature", "key_encipherment"}


def test_a_leaf_serves_and_nothing_else() -> None:
    purposes = _extension(leaf_of(), x509.ExtendedKeyUsage)

    assert purposes.value == x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def test_a_leaf_has_the_names_of_the_plan() -> None:
    assert leaf_of().dns_names == TARGET.dns_names
    assert leaf_of().subject == "CN=kube.operator.cert"


def test_a_leaf_carries_the_key_of_the_request() -> None:
    assert leaf_of().spki_sha256 == key_of(KeySpec.ECDSA_P256).spki_sha256


def test_a_leaf_points_to_its_issuers_key() -> None:
    leaf, issuer = leaf_of(), authority_of().certificate

    assert leaf.authority_key_id == issuer.subject_key_id
    assert leaf.issuer_raw == issuer.subject_raw
    assert len(leaf.subject_key_id) == 20


def test_a_leaf_starts_five_minutes_ago_and_lasts_397_days() -> None:
    leaf = leaf_of()

    assert leaf.not_before == NOW - timedelta(minutes=5)
    assert leaf.not_after == NOW + timedelta(days=397)


def test_serial_numbers_are_random_positive_and_short() -> None:
    """RFC 5280 section 4.1.2.2."""
    request = build_request(key_of(KeySpec.ECDSA_P256), PLAN)
    serials = {
        sign_request(request, EXPECTATION, authority_of(), NOW).parsed.serial_number for _ in range(50)
    }

    assert len(serials) == 50
    assert all(64 <= serial.bit_length() <= 159 for serial in serials)


@pytest.mark.parametrize("serial", [0, -1, 1, 2**63, 2**160])
def test_a_serial_number_that_is_not_random_enough_or_too_long_is_refused(serial: int) -> None:
    if serial == 2**63:
        assert take_serial(lambda: serial) == serial
        return
    with pytest.raises(CertificateError, match="64 to 159 bits"):
        take_serial(lambda: serial)


def test_a_ca_signs_servers_and_nothing_else() -> None:
    """R16: pathLen 0, keyCertSign and cRLSign, critical."""
    ca = authority_of(KeySpec.RSA_2048, constrained=False).certificate
    basic = _extension(ca, x509.BasicConstraints)

    assert (basic.critical, basic.value) == (True, x509.BasicConstraints(ca=True, path_length=0))
    assert _usages(ca) == {"key_cert_sign", "crl_sign"}
    assert _extension(ca, x509.KeyUsage).critical is True
    assert (ca.subject, ca.issuer) == ("CN=My Example Signer", "CN=My Example Signer")
    assert len(ca.subject_key_id) == 20
    assert ca.constraints is None
    assert ca.not_after == NOW + timedelta(days=5 * 365)


def test_a_constrained_ca_cannot_sign_for_other_names() -> None:
    ca = authority_of(constrained=True)

    assert _extension(ca.certificate, x509.NameConstraints).critical is True
    other = recommended_plan(replace(TARGET, namespace="elsewhere"))
    request = build_request(key_of(KeySpec.ECDSA_P256), other)
    with pytest.raises(CertificateError, match="name constraints do not permit"):
        sign_request(request, RequestExpectation(other, EXPECTATION.spki_sha256), ca, NOW)


def test_a_ca_needs_the_planned_key_and_a_lifetime() -> None:
    with pytest.raises(CertificateError, match="a key RSA_2048"):
        create_authority(AuthorityPlan(), key_of(KeySpec.ECDSA_P256), NOW)
    with pytest.raises(CertificateError, match="make a CA"):
        create_authority(AuthorityPlan(validity=-DAY), key_of(KeySpec.RSA_2048), NOW)


def test_a_ca_and_the_key_of_another_do_not_go_together() -> None:
    with pytest.raises(CertificateError, match="Give the key that belongs"):
        Authority(make(ROOT), PrivateKey(ec_key(1)))


def test_a_ca_with_an_encrypted_key_is_loaded_from_files() -> None:
    locked = ROOT.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame")
    )
    between, root = make(replace(INTERMEDIATE, key=ROOT.key), ROOT), make(ROOT)

    authority = load_authority(pem(between, root), locked, SecretStr("open sesame"))

    assert (authority.certificate, authority.above) == (between, (root,))
    assert "PrivateKey" not in repr(authority)


def test_a_ca_without_a_certificate_is_refused() -> None:
    with pytest.raises(CertificateError, match="a PEM block `CERTIFICATE`"):
        load_authority(b"", b"")


def _sign_with(recipe: Recipe) -> Certificate:
    return sign_request(REQUEST, EXPECTATION, Authority(make(recipe), private_key(recipe)), NOW)


UNFIT = {
    "expired": (replace(ROOT, not_after=NOW - DAY), "certificate has expired or is not yet valid"),
    "of tomorrow": (replace(ROOT, not_before=NOW + DAY), "certificate has expired or is not yet valid"),
    "no CA": (replace(ROOT, authority=False), "it is not a CA"),
    "says nothing": (replace(ROOT, authority=None), "it is not a CA"),
    "may not sign": (replace(ROOT, may_sign=False), "its key usage lacks keyCertSign"),
    "for other names": (replace(ROOT, permitted=("example.com",)), "name constraints do not permit"),
    "unknown extension": (
        replace(
            ROOT, extra=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),)
        ),
        "critical extensions that verifiers do not know: 1.2.3.4",
    ),
}


@pytest.mark.parametrize(("recipe", "found"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_ca_signs_nothing(recipe: Recipe, found: str) -> None:
    with pytest.raises(CertificateError) as refused:
        _sign_with(recipe)

    assert found in refused.value.found


def test_a_weak_ca_key_is_named() -> None:
    weak = make(replace(ROOT, key=rsa_key(1024)))

    assert explain_unfit(weak, NOW) == ("its key is RSA 1024 bit, exponent 65537",)


def test_a_ca_with_a_broken_hash_is_named() -> None:
    old = read_certificates((Path(__file__).parent / "made" / "sha1-root.pem").read_bytes())[0]

    assert explain_unfit(old, NOW)[0] == "it is signed with sha1"


def test_a_ca_that_did_not_sign_itself_is_named() -> None:
    forged = make(replace(ROOT, key_identifiers=False), replace(ROOT, key=ec_key(7)))

    assert explain_unfit(forged, NOW) == (
        "its own signature does not verify: x509: ECDSA verification failure",
    )


def test_a_leaf_never_outlives_its_ca() -> None:
    """R17: 876000h only up to the CA's end."""
    plan = documented_plan(TARGET)
    ca = authority_of(constrained=False)
    request = build_request(key_of(KeySpec.ECDSA_P256), plan)

    leaf = sign_request(request, RequestExpectation(plan, EXPECTATION.spki_sha256), ca, NOW)

    assert leaf.not_after == ca.certificate.not_after
    assert _usages(leaf) == {"digital_signature", "key_encipherment"}


def test_what_limits_a_lifetime_is_said() -> None:
    near = replace(ROOT, name="Near", key=ec_key(8), not_after=NOW + 10 * DAY)
    between = replace(INTERMEDIATE, not_after=NOW + 20 * DAY)
    chained = Authority(make(between, near), private_key(between), (make(near),))

    assert plan_validity(PLAN, chained, NOW).limited_by == "CN=Near"
    assert plan_validity(PLAN, chained, NOW).not_after == NOW + 10 * DAY
    assert plan_validity(PLAN, authority_of(), NOW).limited_by == ""


def test_a_leaf_never_starts_before_its_ca() -> None:
    young = replace(ROOT, not_before=NOW - timedelta(minutes=1))

    assert _sign_with(young).not_before == young.not_before


def test_a_ca_that_ends_tomorrow_signs_nothing() -> None:
    """OLM 0.29.0 and later replaces what ends within 24 hours."""
    with pytest.raises(CertificateError, match="Renew the CA first"):
        _sign_with(replace(ROOT, not_after=NOW + timedelta(hours=24)))


def test_a_ca_without_a_key_identifier_still_gets_pointed_to() -> None:
    leaf = _sign_with(replace(ROOT, key_identifiers=False))

    assert len(leaf.authority_key_id) == 20


def test_a_request_that_breaks_the_policy_is_not_signed() -> None:
    foreign = replace(EXPECTATION, spki_sha256="0" * 64)

    with pytest.raises(CertificateError, match="FOREIGN_KEY"):
        sign_request(REQUEST, foreign, authority_of(), NOW)


def test_what_we_sign_passes_its_own_check() -> None:
    assert check_issued(leaf_of().pem, EXPECTATION, [authority_of().certificate], NOW) == ()


def test_it_also_passes_with_the_old_ca_behind_the_new_one() -> None:
    trust = [authority_of().certificate, make(ROOT)]

    assert check_issued(leaf_of().pem, EXPECTATION, trust, NOW) == ()


OURS = replace(LEAF, key=key_of(KeySpec.ECDSA_P256).signing_key, dns=TARGET.dns_names)
RETURNED = {
    "nothing": (b"", [make(ROOT)], {RefusalReason.UNREADABLE}),
    "a foreign key": (
        pem(make(replace(OURS, key=ec_key(9)), ROOT)),
        [make(ROOT)],
        {RefusalReason.FOREIGN_KEY},
    ),
    "a weak foreign key": (
        pem(make(replace(OURS, key=rsa_key(1024)), ROOT)),
        [make(ROOT)],
        {RefusalReason.FOREIGN_KEY, RefusalReason.WEAK_KEY},
    ),
    "a CA": (pem(make(replace(OURS, authority=True), ROOT)), [make(ROOT)], {RefusalReason.AUTHORITY}),
    "the documented names": (
        pem(make(replace(OURS, dns=documented_plan(TARGET).dns_names), ROOT)),
        [make(ROOT)],
        {RefusalReason.NAMES, RefusalReason.CHAIN},
    ),
    "another CA": (pem(make(OURS, INTERMEDIATE)), [make(ROOT)], {RefusalReason.CHAIN}),
    "the issuing CA second": (
        pem(make(OURS, ROOT)),
        [make(replace(ROOT, name="Other", key=ec_key(6))), make(ROOT)],
        {RefusalReason.CHAIN},
    ),
    "the root instead of the intermediate": (
        pem(make(OURS, INTERMEDIATE), make(INTERMEDIATE, ROOT)),
        [make(ROOT)],
        {RefusalReason.CHAIN},
    ),
    "the intermediate first": (pem(make(OURS, INTERMEDIATE)), [make(INTERMEDIATE, ROOT), make(ROOT)], set()),
    "no CA at all": (pem(make(OURS, ROOT)), [], {RefusalReason.CHAIN}),
    "an end within a day": (
        pem(make(replace(OURS, not_after=NOW + timedelta(hours=20)), ROOT)),
        [make(ROOT)],
        {RefusalReason.VALIDITY},
    ),
    "expired": (
        pem(make(replace(OURS, not_after=NOW - DAY), ROOT)),
        [make(ROOT)],
        {RefusalReason.CHAIN, RefusalReason.VALIDITY},
    ),
    "for clients": (
        pem(make(replace(OURS, purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)), ROOT)),
        [make(ROOT)],
        {RefusalReason.CHAIN},
    ),
}


@pytest.mark.parametrize(("returned", "trust", "reasons"), RETURNED.values(), ids=RETURNED)
def test_a_certificate_that_came_back_is_judged(
    returned: bytes, trust: list[Certificate], reasons: set[RefusalReason]
) -> None:
    """R19: the API server compares status.certificate with nothing."""
    refusals = check_issued(returned, EXPECTATION, trust, NOW)

    assert {refusal.reason for refusal in refusals} == reasons


def test_signatures_use_sha2() -> None:
    for spec in (KeySpec.RSA_2048, KeySpec.ECDSA_P256):
        assert isinstance(leaf_of(KeySpec.ECDSA_P256, spec).parsed.signature_hash_algorithm, hashes.SHA256)
    p384 = leaf_of(KeySpec.ECDSA_P384, KeySpec.ECDSA_P384)
    assert isinstance(p384.parsed.signature_hash_algorithm, hashes.SHA384)
