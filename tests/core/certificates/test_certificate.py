"""Certificates and their raw names are read as verifiers read them, OLM's own included."""

import contextlib
import pickle
import warnings
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.certificates.certificate import Names, Subtrees, check_signature
from tasks.core.certificates.der import (
    describe_name,
    name_attributes,
    read_items,
    read_names,
    read_request_subject,
)
from tasks.core.certificates.hostnames import permits
from tasks.core.certificates.reading import read_certificate, read_certificates
from tasks.core.certificates.verification import VerdictKind, verify_chain
from tasks.core.errors import CertificateError
from tests.core.certificates.workshop import HOST, HOSTS, LEAF, NOW, ROOT, ec_key, make, pem

DAMAGED = b"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
OLM_NAME = "oci-service-operator-controller-manager-service.oci-service-operator-system"


def _named(*attributes: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """DER of a self-signed certificate with this subject; names of any length, as Go makes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns about names of more than 64 characters
        name = x509.Name([x509.NameAttribute(kind, text, _validate=False) for kind, text in attributes])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(ec_key(1).public_key())
        .serial_number(0x1F)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
    )
    return builder.sign(ec_key(1), hashes.SHA256()).public_bytes(Encoding.DER)


def test_olms_own_common_name_of_75_characters_is_read_without_a_warning() -> None:
    """Go does not mind ub-common-name; the cryptography library warns when it builds such a name."""
    certificate = read_certificate(
        _named((NameOID.ORGANIZATION_NAME, "Red Hat, Inc."), (NameOID.COMMON_NAME, OLM_NAME))
    )

    assert certificate.subject == f"O=Red Hat, Inc., CN={OLM_NAME}"
    assert certificate.common_name == OLM_NAME
    assert certificate.serial == "1f"


def test_an_attribute_without_a_short_name_is_shown_by_its_number() -> None:
    names = read_names(_named((NameOID.EMAIL_ADDRESS, "a@b.c")))

    assert name_attributes(names.subject) == (("2a864886f70d010901", "a@b.c"),)


def test_an_empty_name_is_said_to_be_empty() -> None:
    certificate = read_certificate(_named())

    assert (certificate.subject, certificate.common_name) == ("(empty)", "")
    assert describe_name(certificate.issuer_raw) == "(empty)"


def test_two_byte_strings_are_decoded() -> None:
    name = bytes.fromhex("3011310f300d0603550403" + "1e06" + "00e4006200e7")

    assert name_attributes(name) == (("CN", "äbç"),)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        items = list(read_items(content))
    except CertificateError:
        return
    assert b"".join(item.raw for item in items) == content


LEAF_DER = make(LEAF, ROOT).der


@given(st.integers(0, len(LEAF_DER) - 1), st.integers(0, 255))
def test_a_damaged_certificate_is_read_or_refused(place: int, value: int) -> None:
    """No other exception than ours leaves the reader."""
    der = bytearray(LEAF_DER)
    der[place] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns about some damaged values
        with contextlib.suppress(CertificateError):
            read_certificate(bytes(der))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x30",
        b"\x30\x80",
        b"\x30\x82\x01",
        b"\x30\x05\x02",
        b"\x1f\x01\x00",
        b"\x02\x01\x00",
        b"\x30\x02\x30\x00",
        bytes.fromhex("300c300a020100020100020100"),
    ],
    ids=lambda content: content.hex() or "empty",
)
def test_what_is_no_certificate_has_no_names(content: bytes) -> None:
    with pytest.raises(CertificateError, match="read the names"):
        read_names(content)
    with pytest.raises(CertificateError, match="read the names"):
        read_request_subject(content)


def test_a_certificate_of_version_1_has_names_too() -> None:
    """Without the version field in front (RFC 5280 section 4.1.2.1)."""
    sequence, integer = b"\x30\x00", b"\x02\x01\x01"
    fields = integer + sequence + b"\x30\x00" + sequence + sequence + sequence
    body = bytes([0x30, len(fields)]) + fields

    assert read_names(bytes([0x30, len(body)]) + body).subject == b"\x30\x00"


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(CertificateError, match=r"an X\.509 certificate"):
        read_certificate(b"ABC")


def test_an_unknown_signature_algorithm_is_gos_answer_too() -> None:
    ecdsa_with_sha256, unknown = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040363")
    strange = read_certificate(LEAF_DER.replace(ecdsa_with_sha256, unknown))

    answer = check_signature(strange, make(ROOT))

    assert answer == "x509: cannot verify signature: algorithm unimplemented"


def test_facts_without_extensions_are_none() -> None:
    certificate = read_certificate(_named())

    assert (certificate.names, certificate.is_authority, certificate.may_sign) == (None, None, None)
    assert (certificate.purposes, certificate.constraints, certificate.dns_names) == (None, None, ())
    assert (certificate.subject_key_id, certificate.authority_key_id) == (b"", b"")


def test_names_are_sorted_by_type() -> None:
    every = x509.SubjectAlternativeName(
        [
            x509.DNSName("a.b"),
            x509.IPAddress(ip_address("10.1.2.3")),
            x509.IPAddress(ip_address("fd00::1")),
            x509.RFC822Name("a@b.c"),
        ]
    )

    certificate = make(replace(LEAF, dns=None, extra=((every, False),)), ROOT)

    assert certificate.names == Names(
        dns=("a.b",),
        ips=(ip_network("10.1.2.3/32"), ip_network("fd00::1/128")),
        others=("RFC822Name:a@b.c",),
    )


def test_a_bundle_gives_its_certificates_in_order() -> None:
    root, leaf = make(ROOT), make(LEAF, ROOT)

    assert read_certificates(b"x\n" + pem(root) + DAMAGED + pem(leaf)) == (root, leaf)


def test_a_certificate_does_not_print_its_bytes() -> None:
    assert len(repr(make(ROOT))) < 400


def test_mail_names_under_mail_constraints_count_as_not_permitted() -> None:
    """Go weighs them; a webhook has none, so refusing is the safe side."""
    mail = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.RFC822Name("a@b.c")])
    limits = x509.NameConstraints([x509.RFC822Name("b.c")], None)
    root = replace(ROOT, extra=((limits, True),))

    leaf = make(replace(LEAF, dns=None, extra=((mail, False),)), root)
    verdict = verify_chain([leaf], [make(root)], HOST, NOW)

    assert verdict.kind is VerdictKind.NAME_CONSTRAINT


def test_mail_constraints_do_not_touch_hosts() -> None:
    mail = Names(others=("RFC822Name:b.c",))

    assert permits(Subtrees(mail, Names()), HOSTS)


def test_a_certificate_goes_to_another_process_as_it_is() -> None:
    certificate = make(LEAF, ROOT)

    arrived = pickle.loads(pickle.dumps(certificate))  # noqa: S301 - our own bytes

    assert arrived == certificate
    assert arrived.der == certificate.der
