"""R16: what a block of a CA has to say, and the order in which its chain is published."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import ValidationError

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from tasks.certificates.authorities import read_external_trust
from tasks.certificates.signers import describe_signer, signer_for
from tasks.core.certificate_orders import CertificateOrder
from tasks.core.certificates.authorities import Authority, AuthorityPlan, create_authority
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.chains import issuing_first
from tasks.core.certificates.keys import KeySpec, generate_key
from tasks.core.certificates.reading import read_certificate
from tasks.core.certificates.requests import common_name
from tasks.core.errors import CertificateError

NOW = datetime.now(UTC)
ORDER = CertificateOrder("mesh", ("manager",), "manager-cert", "osok")


def make_root(name: str, lifetime: timedelta = timedelta(days=1000)) -> Authority:
    return create_authority(AuthorityPlan(name, KeySpec.ECDSA_P256, lifetime), generate_key(), NOW)


def make_below(above: Authority, name: str) -> Authority:
    key = generate_key()
    built = (
        x509.CertificateBuilder()
        .subject_name(common_name(name))
        .issuer_name(above.certificate.parsed.subject)
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(above.key.signing_key, hashes.SHA256())
    )
    return Authority(read_certificate(built.public_bytes(Encoding.DER)), key)


ROOT = make_root("Root")
MIDDLE = make_below(ROOT, "Middle")
ISSUING = make_below(MIDDLE, "Issuing")
NAMESAKE = make_root("Root")
CHAIN = [one.certificate for one in (ISSUING, MIDDLE, ROOT)]


def pem_of(*certificates: Certificate) -> str:
    return b"".join(one.pem for one in certificates).decode()


@pytest.mark.parametrize(
    "others",
    [
        CHAIN[1:],
        CHAIN[::-1],
        [*CHAIN, *CHAIN],
        [NAMESAKE.certificate, CHAIN[2], CHAIN[1]],
    ],
    ids=["in order", "root first", "each twice", "with a root of the same name"],
)
def test_the_issuing_ca_comes_first_and_those_above_it_follow(others: list[Certificate]) -> None:
    assert list(issuing_first(CHAIN[0], others)) == CHAIN


def test_a_root_alone_is_its_own_chain() -> None:
    assert issuing_first(CHAIN[2], []) == (CHAIN[2],)


def test_the_chain_of_an_external_ca_is_put_in_order() -> None:
    block = CertificateAuthority(
        kind=AuthorityKind.EXTERNAL, certificate=pem_of(CHAIN[0], CHAIN[2], CHAIN[1])
    )

    assert list(read_external_trust(block)) == CHAIN


def test_the_approver_sees_kind_subject_and_fingerprint_of_the_issuing_ca() -> None:
    """R14."""
    block = CertificateAuthority(kind=AuthorityKind.EXTERNAL, certificate=pem_of(*CHAIN))

    told = describe_signer(block, signer_for(block))

    assert told == f"EXTERNAL: CN=Issuing, SHA-256 {CHAIN[0].sha256}"


def test_text_without_a_certificate_is_no_ca() -> None:
    block = CertificateAuthority(kind=AuthorityKind.EXTERNAL, certificate="see the wiki")

    with pytest.raises(CertificateError, match="a PEM block `CERTIFICATE`; found none"):
        signer_for(block)


def test_an_external_ca_that_may_not_sign_is_told_before_anybody_is_asked() -> None:
    expired = create_authority(
        AuthorityPlan("Expired", KeySpec.ECDSA_P256, timedelta(days=1)),
        generate_key(),
        NOW - timedelta(days=2),
    )
    block = CertificateAuthority(kind=AuthorityKind.EXTERNAL, certificate=pem_of(expired.certificate))

    with pytest.raises(CertificateError, match="certificate has expired"):
        signer_for(block).require_able(ORDER.plan)


INCOMPLETE: dict[str, tuple[dict[str, str], str]] = {
    "no certificate": (
        {"kind": "EXTERNAL"},
        "certificate or certificate_file: required",
    ),
    "a private key": (
        {"kind": "EXTERNAL", "certificate": "-----BEGIN PRIVATE KEY-----"},
        "a private key has no place there",
    ),
    "no tenancy": ({"kind": "OCI", "ocid": "ocid1.certificateauthority.oc1.x.y"}, "tenancy: required"),
    "another object of OCI": ({"kind": "OCI", "tenancy": "t", "ocid": "ocid1.vault.oc1.x.y"}, "ocid"),
}


@pytest.mark.parametrize(("fields", "reason"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_an_incomplete_block_is_refused(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        CertificateAuthority.model_validate(fields)
