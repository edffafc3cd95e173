"""Signing requests: what ours ask for, and hostile ones that are refused (runbook R12-R14, R19)."""

import warnings
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID

from tasks.core.certificates.keys import KeySpec, PrivateKey
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.profiles import Usage, documented_plan, recommended_plan
from tasks.core.certificates.request_policy import (
    Refusal,
    RefusalReason,
    RequestExpectation,
    check_request,
    require_none,
)
from tasks.core.certificates.requests import build_request, load_request, read_request
from tasks.core.errors import CertificateError
from tasks.core.manifests import sha256_hex
from tests.core.certificates.workshop import LEAF, ROOT, SigningKey, ec_key, make, rsa_key

TARGET = WebhookTarget("mesh", ("manager", "webhook"))
PLAN = recommended_plan(TARGET)
KEY = PrivateKey(ec_key(1))
EXPECTATION = RequestExpectation(PLAN, KEY.spki_sha256)


def test_our_request_asks_for_the_plan_and_nothing_else() -> None:
    pem = build_request(KEY, PLAN)

    facts = read_request(pem)

    assert facts.subject == (("CN", "kube.operator.cert"),)
    assert facts.dns_names == TARGET.dns_names
    assert facts.usages == ("digital signature", "server auth")
    assert (facts.signature_valid, facts.signature_hash) == (True, "sha256")
    assert (facts.wants_authority, facts.other_names, facts.other_extensions) == (False, (), ())
    assert (facts.spki_sha256, facts.digest) == (KEY.spki_sha256, sha256_hex(pem))


def test_our_request_passes_our_policy() -> None:
    assert check_request(build_request(KEY, PLAN), EXPECTATION) == ()


def test_an_rsa_request_passes_with_key_encipherment() -> None:
    plan, key = recommended_plan(TARGET, KeySpec.RSA_2048), PrivateKey(rsa_key())

    assert check_request(build_request(key, plan), RequestExpectation(plan, key.spki_sha256)) == ()


def test_a_p384_request_is_signed_with_sha384() -> None:
    plan = recommended_plan(TARGET, KeySpec.ECDSA_P384)
    key = PrivateKey(ec.generate_private_key(ec.SECP384R1()))

    assert read_request(build_request(key, plan)).signature_hash == "sha384"


def test_the_documented_request_is_not_the_recommended_one() -> None:
    """R12: the page's hosts lack four of the six names."""
    refusals = check_request(build_request(KEY, documented_plan(TARGET)), EXPECTATION)

    assert {refusal.reason for refusal in refusals} == {RefusalReason.NAMES, RefusalReason.USAGE}


def test_a_key_of_another_type_makes_no_request() -> None:
    with pytest.raises(CertificateError, match="a key ECDSA_P256"):
        build_request(PrivateKey(rsa_key()), PLAN)


def test_a_request_without_server_auth_is_not_made() -> None:
    with pytest.raises(CertificateError, match="server auth"):
        build_request(KEY, replace(PLAN, usages=(Usage.DIGITAL_SIGNATURE,)))


@dataclass(frozen=True)
class Hostile:
    """A request with changed parts."""

    subject: tuple[tuple[x509.ObjectIdentifier, str], ...] = ((NameOID.COMMON_NAME, "kube.operator.cert"),)
    names: tuple[x509.GeneralName, ...] = tuple(x509.DNSName(name) for name in TARGET.dns_names)
    key: SigningKey = field(default_factory=lambda: ec_key(1))
    extra: tuple[x509.ExtensionType, ...] = ()
    attributes: tuple[tuple[x509.ObjectIdentifier, bytes], ...] = ()
    digest: hashes.SHA256 | hashes.SHA224 = field(default_factory=hashes.SHA256)

    def pem(self) -> bytes:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # the library warns about the long name that is the point of one case
            attributes = [x509.NameAttribute(kind, value, _validate=False) for kind, value in self.subject]
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(attributes))
        if self.names:
            builder = builder.add_extension(x509.SubjectAlternativeName(self.names), critical=False)
        for extension in self.extra:
            builder = builder.add_extension(extension, critical=False)
        for kind, value in self.attributes:
            builder = builder.add_attribute(kind, value)
        return builder.sign(self.key, self.digest).public_bytes(Encoding.PEM)


def _usage(**asked: bool) -> x509.KeyUsage:
    bits = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    bits += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{bit: asked.get(bit, False) for bit in bits})


OURS = Hostile().names
FOREIGN_EXTENSION = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")

HOSTILE = {
    "nothing but names": (Hostile(), ()),
    "names in another order": (Hostile(names=OURS[::-1]), ()),
    "another common name": (
        Hostile(subject=((NameOID.COMMON_NAME, "system:admin"),)),
        (RefusalReason.SUBJECT,),
    ),
    "a group that Kubernetes knows": (
        Hostile(
            subject=(
                (NameOID.COMMON_NAME, "kube.operator.cert"),
                (NameOID.ORGANIZATION_NAME, "system:masters"),
            )
        ),
        (RefusalReason.SUBJECT,),
    ),
    "a common name of 75 characters": (
        Hostile(subject=((NameOID.COMMON_NAME, "a" * 75),)),
        (RefusalReason.SUBJECT,),
    ),
    "no subject": (Hostile(subject=()), (RefusalReason.SUBJECT,)),
    "an additional DNS name": (
        Hostile(names=(*OURS, x509.DNSName("kubernetes.default.svc"))),
        (RefusalReason.NAMES,),
    ),
    "a wildcard": (Hostile(names=(*OURS, x509.DNSName("*.mesh.svc"))), (RefusalReason.NAMES,)),
    "an address": (
        Hostile(names=(*OURS, x509.IPAddress(ip_address("10.96.0.1")))),
        (RefusalReason.NAMES,),
    ),
    "a mail address": (Hostile(names=(*OURS, x509.RFC822Name("a@b.c"))), (RefusalReason.NAMES,)),
    "a name missing": (Hostile(names=OURS[1:]), (RefusalReason.NAMES,)),
    "a name twice": (Hostile(names=(*OURS, OURS[0])), (RefusalReason.NAMES,)),
    "no names": (Hostile(names=()), (RefusalReason.NAMES,)),
    "another case": (
        Hostile(names=(x509.DNSName("Manager.mesh"), *OURS[1:])),
        (RefusalReason.NAMES, RefusalReason.NAMES),
    ),
    "CA:TRUE": (Hostile(extra=(x509.BasicConstraints(True, 0),)), (RefusalReason.AUTHORITY,)),  # noqa: FBT003 - cA
    "CA:FALSE": (Hostile(extra=(x509.BasicConstraints(False, None),)), ()),  # noqa: FBT003 - cA
    "client auth": (
        Hostile(
            extra=(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),)
        ),
        (RefusalReason.USAGE,),
    ),
    "cert sign": (
        Hostile(extra=(_usage(digital_signature=True, key_cert_sign=True),)),
        (RefusalReason.USAGE,),
    ),
    "key agreement": (
        Hostile(extra=(_usage(key_agreement=True, encipher_only=True),)),
        (RefusalReason.USAGE,),
    ),
    "name constraints": (
        Hostile(extra=(x509.NameConstraints([x509.DNSName("x")], None),)),
        (RefusalReason.EXTENSION,),
    ),
    "an unknown extension": (Hostile(extra=(FOREIGN_EXTENSION,)), (RefusalReason.EXTENSION,)),
    "a challenge password": (
        Hostile(attributes=((AttributeOID.CHALLENGE_PASSWORD, b"secret"),)),
        (RefusalReason.EXTENSION,),
    ),
    "another key": (Hostile(key=ec_key(2)), (RefusalReason.FOREIGN_KEY,)),
    "a weak key": (Hostile(key=rsa_key(1024)), (RefusalReason.WEAK_KEY, RefusalReason.FOREIGN_KEY)),
    "a key of another type": (Hostile(key=rsa_key()), (RefusalReason.WEAK_KEY, RefusalReason.FOREIGN_KEY)),
    "a short hash": (Hostile(digest=hashes.SHA224()), (RefusalReason.SIGNATURE,)),
}


@pytest.mark.parametrize(("request_", "reasons"), HOSTILE.values(), ids=HOSTILE)
def test_a_request_is_refused_for_what_it_asks(request_: Hostile, reasons: tuple[RefusalReason, ...]) -> None:
    assert tuple(refusal.reason for refusal in check_request(request_.pem(), EXPECTATION)) == reasons


def _flip_last_byte(pem: bytes) -> bytes:
    der = bytearray(load_request(pem).public_bytes(Encoding.DER))
    der[-1] ^= 1
    request = x509.load_der_x509_csr(bytes(der))
    return request.public_bytes(Encoding.PEM)


def test_a_request_that_does_not_prove_its_key_is_refused() -> None:
    refusals = check_request(_flip_last_byte(build_request(KEY, PLAN)), EXPECTATION)

    assert [refusal.reason for refusal in refusals] == [RefusalReason.SIGNATURE]


OUR_REQUEST = build_request(KEY, PLAN)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        OUR_REQUEST + OUR_REQUEST,
        OUR_REQUEST + make(LEAF, ROOT).pem,
        OUR_REQUEST[:200],
        OUR_REQUEST.replace(b"CERTIFICATE REQUEST", b"CERTIFICATE"),
        b"-----BEGIN CERTIFICATE REQUEST-----\nQUJD\n-----END CERTIFICATE REQUEST-----\n",
    ],
    ids=["empty", "two requests", "a certificate after it", "cut", "another label", "no request"],
)
def test_what_is_not_exactly_one_request_is_unreadable(content: bytes) -> None:
    refusals = check_request(content, EXPECTATION)

    assert [refusal.reason for refusal in refusals] == [RefusalReason.UNREADABLE]


def test_all_refusals_stand_in_one_error() -> None:
    refusals = check_request(Hostile(key=rsa_key(1024)).pem(), EXPECTATION)

    with pytest.raises(CertificateError) as refused:
        require_none(refusals, "sign a request", "fra-1: CertificateSigningRequest x")

    assert "WEAK_KEY: RSA 1024 bit" in refused.value.found
    assert "FOREIGN_KEY: the public key" in refused.value.found


def test_no_refusal_raises_nothing() -> None:
    require_none((), "sign a request", "x")


def test_a_refusal_reads_as_one_line() -> None:
    refusal = Refusal(RefusalReason.SUBJECT, "CN=a alone", "CN=b")

    assert str(refusal) == "SUBJECT: expected CN=a alone, found CN=b"
