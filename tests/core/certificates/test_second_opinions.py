"""Others judge what we issue: pkilint, openssl, Go, cryptography's own verifier, and a real TLS handshake."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.x509 import DNSName, NameConstraints
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pkilint import document, loader, pkix, validation
from pkilint.pkix import algorithm, certificate, extension, key, name
from pkilint.pkix.certificate import certificate_extension, certificate_key
from pyasn1_alt_modules import rfc5280  # type: ignore[import-untyped]  # reason: it ships no types

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import KeySpec
from tasks.core.certificates.profiles import documented_plan
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import build_request
from tests.core.certificates.goprogram import ask, needs_go
from tests.core.certificates.signing import (
    CA_SPECS,
    LEAF_SPECS,
    authority_of,
    key_of,
    leaf_of,
)
from tests.core.certificates.workshop import HOST, HOSTS, NOW, ROOT, TARGET, make

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="no openssl program to ask")
PAIRS = [(leaf, ca) for leaf in LEAF_SPECS for ca in CA_SPECS]
DOCUMENTED = documented_plan(TARGET)


def _documented_leaf() -> Certificate:
    """The page's certificate, from our own signing."""
    expectation = RequestExpectation(DOCUMENTED, key_of(KeySpec.ECDSA_P256).spki_sha256)
    request = build_request(key_of(KeySpec.ECDSA_P256), DOCUMENTED)
    return sign_request(request, expectation, authority_of(), NOW)


LINTER = certificate.create_pkix_certificate_validator_container(
    certificate.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificate.create_issuer_validator_container([]),
        certificate.create_validity_validator_container(),
        certificate.create_subject_validator_container([]),
        certificate.create_extensions_validator_container([]),
        certificate.create_spki_validator_container([]),
    ],
)
_DECODERS = validation.ValidatorContainer(
    validators=[
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        pkix.create_signature_algorithm_identifier_decoder(
            algorithm.SIGNATURE_ALGORITHM_IDENTIFIER_MAPPINGS, path="certificate.tbsCertificate.signature"
        ),
        certificate.create_spki_decoder(
            key.SUBJECT_PUBLIC_KEY_ALGORITHM_IDENTIFIER_MAPPINGS,
            key.SUBJECT_KEY_PARAMETER_ALGORITHM_IDENTIFIER_MAPPINGS,
        ),
    ],
    path="certificate",
)
_ISSUER_RULES = validation.ValidatorContainer(
    validators=[
        name.IssuerSubjectNameBinaryEqualValidator(
            path="certificate.tbsCertificate.subject",
            subject_document_issuer_dn_path="subject:certificate.tbsCertificate.issuer",
        ),
        extension.IssuerSubjectKeyIdentifierBinaryEqualValidator(
            subject_auth_key_id_retriever=lambda node: document.get_document_by_name(
                node, "subject"
            ).get_extension_by_oid(rfc5280.id_ce_authorityKeyIdentifier)
        ),
        certificate_extension.IssuerSubjectPolicyChainValidator(),
    ]
)
_SUBJECT_RULES = validation.ValidatorContainer(
    validators=[
        certificate_key.SubjectSignatureVerificationValidator(
            tbs_node_retriever=lambda node: node.navigate("^.tbsCertificate"), path="certificate.signature"
        )
    ]
)


def _codes(results: list[validation.ValidationResult]) -> list[str]:
    """Findings that matter; INFO only says which method made a key identifier."""
    return [
        described.finding.code
        for result in results
        for described in result.finding_descriptions
        if described.finding.severity < validation.ValidationFindingSeverity.INFO
    ]


def _lint(one: Certificate) -> list[str]:
    read = loader.RFC5280CertificateDocumentLoader().load_pem_document(one.pem.decode(), "certificate")
    return _codes(LINTER.validate(read.root))


def _lint_pair(issuer: Certificate, leaf: Certificate) -> list[str]:
    documents: dict[str, document.Document] = {}
    read = loader.RFC5280CertificateDocumentLoader().load_pem_document
    for label, one in (("issuer", issuer), ("subject", leaf)):
        documents[label] = read(one.pem.decode(), label, label, documents)
    first, second = documents["issuer"].root, documents["subject"].root
    return _codes(
        [
            *_DECODERS.validate(first),
            *_DECODERS.validate(second),
            *_ISSUER_RULES.validate(first),
            *_SUBJECT_RULES.validate(second),
        ]
    )


@pytest.mark.parametrize("spec", LEAF_SPECS)
def test_pkilint_finds_nothing_in_a_leaf(spec: KeySpec) -> None:
    assert _lint(leaf_of(spec)) == []


@pytest.mark.parametrize("spec", CA_SPECS)
@pytest.mark.parametrize("constrained", [True, False])
def test_pkilint_finds_nothing_in_a_ca(spec: KeySpec, *, constrained: bool) -> None:
    assert _lint(authority_of(spec, constrained=constrained).certificate) == []


@pytest.mark.parametrize(("spec", "ca_spec"), PAIRS)
def test_pkilint_finds_nothing_between_ca_and_leaf(spec: KeySpec, ca_spec: KeySpec) -> None:
    assert _lint_pair(authority_of(ca_spec).certificate, leaf_of(spec, ca_spec)) == []


def test_pkilint_finds_what_is_wrong() -> None:
    """The checks above can fail: key encipherment with ECDSA, a one-label constraint, a foreign issuer."""
    one_label = NameConstraints([DNSName("default")], None)

    assert _lint(_documented_leaf()) != []
    assert _lint(make(replace(ROOT, extra=((one_label, True),)))) == ["pkix.invalid_domain_name_syntax"]
    assert _lint_pair(authority_of(KeySpec.RSA_2048).certificate, leaf_of()) != []


def _openssl(ca: Certificate, leaf: Certificate, host: str, folder: Path) -> str:
    assert OPENSSL is not None
    files = [folder / "ca.pem", folder / "leaf.pem"]
    for file, one in zip(files, (ca, leaf), strict=True):
        file.write_bytes(one.pem)
    command = [OPENSSL, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", host]
    command += ["-attime", str(int(NOW.timestamp())), "-CAfile", str(files[0]), str(files[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - files of this test
    return "OK" if done.returncode == 0 else done.stdout + done.stderr


@needs_openssl
@pytest.mark.parametrize(("spec", "ca_spec"), PAIRS)
def test_openssl_accepts_every_name_by_its_strict_rules(
    spec: KeySpec, ca_spec: KeySpec, tmp_path: Path
) -> None:
    ca, leaf = authority_of(ca_spec).certificate, leaf_of(spec, ca_spec)

    assert {_openssl(ca, leaf, host, tmp_path) for host in TARGET.dns_names} == {"OK"}


@needs_openssl
def test_openssl_refuses_the_documented_names(tmp_path: Path) -> None:
    answer = _openssl(authority_of().certificate, _documented_leaf(), HOST, tmp_path)

    assert "hostname mismatch" in answer


@needs_go
def test_go_and_olms_rule_accept_what_we_issue(go_program: Path) -> None:
    secrets = [
        {
            "certificate": leaf_of(spec, ca_spec).pem,
            "authority": authority_of(ca_spec).certificate.pem,
            "hosts": HOSTS,
            "now": NOW.isoformat(),
        }
        for spec, ca_spec in PAIRS
    ]

    assert ask(go_program, "secret", secrets) == [True] * len(PAIRS)


@pytest.mark.parametrize(("spec", "ca_spec"), PAIRS)
def test_the_web_pki_verifier_accepts_it_too(spec: KeySpec, ca_spec: KeySpec) -> None:
    store = Store([authority_of(ca_spec).certificate.parsed])
    verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(DNSName(HOST))

    chain = verifier.verify(leaf_of(spec, ca_spec).parsed, [])

    assert len(chain) == 2


def test_the_web_pki_verifier_refuses_the_documented_names() -> None:
    store = Store([authority_of().certificate.parsed])
    verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(DNSName(HOST))

    with pytest.raises(VerificationError):
        verifier.verify(_documented_leaf().parsed, [])
