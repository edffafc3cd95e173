"""The Secret's content: built whole, patched with a precondition, read without its key (runbook R20, R21)."""

import base64
from dataclasses import replace

import pytest

from tasks.core.certificates.bundles import BundleProblem, read_bundle
from tasks.core.certificates.keys import KeySpec, PrivateKey
from tasks.core.certificates.olm import OlmAction, predict_olm
from tasks.core.certificates.webhook_secrets import (
    ServingMaterial,
    StagedKey,
    build_staging_secret,
    build_webhook_secret,
    read_staging_secret,
    read_webhook_secret,
    switch_patch,
    trust_patch,
)
from tasks.core.errors import CertificateError
from tasks.core.manifests import sha256_hex
from tests.core.certificates.secrets_made import manifest_of
from tests.core.certificates.signing import authority_of, key_of, leaf_of
from tests.core.certificates.workshop import HOSTS, LEAF, NOW, ROOT, ec_key, make, pem

KEY = key_of(KeySpec.ECDSA_P256)
TRUST = authority_of().certificate.pem
MATERIAL = ServingMaterial(leaf_of().pem, KEY, TRUST)
KEY_PEM = KEY.pkcs8_pem().get_secret_value()
OLD = manifest_of(
    pem(make(LEAF, ROOT)), pem(make(ROOT)), PrivateKey(ec_key(1)).pkcs8_pem().get_secret_value()
)
OLD_FACTS = read_webhook_secret(OLD)


def test_the_secret_of_a_fresh_install_is_what_olm_expects() -> None:
    """Measured: OLM then uses it as it is, no reinstall, no window."""
    made = build_webhook_secret("manager-service-cert", "mesh", MATERIAL)

    assert made["type"] == "kubernetes.io/tls"
    assert made["metadata"] == {
        "name": "manager-service-cert",
        "namespace": "mesh",
        "labels": {"olm.managed": "true"},
        "annotations": {"olmcahash": sha256_hex(TRUST)},
    }
    assert {name: base64.b64decode(value) for name, value in made["data"].items()} == {
        "tls.crt": leaf_of().pem,
        "tls.key": KEY_PEM,
        "olmCAKey": TRUST,
    }


@pytest.mark.parametrize("version", ["0.20.0", "0.46.0"])
def test_both_olms_keep_it(version: str) -> None:
    made = build_webhook_secret("manager-service-cert", "mesh", MATERIAL)

    prediction = predict_olm(made, {}, HOSTS, version, NOW)

    assert prediction.action is OlmAction.KEEP
    assert prediction.message


def test_the_switch_is_one_patch_with_a_precondition() -> None:
    patch = switch_patch(OLD_FACTS, MATERIAL)

    assert patch["metadata"]["resourceVersion"] == "42"
    assert patch["metadata"]["labels"] == {"olm.managed": "true"}
    assert set(patch["data"]) == {"tls.crt", "tls.key", "olmCAKey"}


def test_widening_touches_the_trust_alone() -> None:
    patch = trust_patch(OLD_FACTS, TRUST)

    assert patch["data"] == {"olmCAKey": base64.b64encode(TRUST).decode()}
    assert patch["metadata"] == {
        "resourceVersion": "42",
        "labels": {"olm.managed": "true"},
        "annotations": {"olmcahash": sha256_hex(TRUST)},
    }


def test_a_secret_of_another_type_is_not_patched() -> None:
    facts = replace(OLD_FACTS, kind="Opaque")

    with pytest.raises(CertificateError, match="which nobody can change"):
        switch_patch(facts, MATERIAL)


def test_a_certificate_of_another_key_is_not_published() -> None:
    with pytest.raises(CertificateError, match="a certificate for our key"):
        ServingMaterial(make(LEAF, ROOT).pem, KEY, TRUST)
    with pytest.raises(CertificateError, match="no certificate"):
        ServingMaterial(b"", KEY, TRUST)


@pytest.mark.parametrize(
    "trust",
    [b"", KEY_PEM + TRUST, leaf_of().pem, TRUST.replace(b"\n", b"\r\n"), TRUST + TRUST],
    ids=["empty", "a private key", "the page's server.crt", "Windows line ends", "twice"],
)
def test_a_trust_bundle_with_a_fault_is_not_published(trust: bytes) -> None:
    with pytest.raises(CertificateError, match="CA certificates in PEM and nothing else"):
        ServingMaterial(leaf_of().pem, KEY, trust)


def test_what_is_read_has_the_keys_fingerprint_and_not_the_key() -> None:
    facts = OLD_FACTS

    assert facts.key_spki_sha256 == PrivateKey(ec_key(1)).spki_sha256
    assert (facts.name, facts.namespace, facts.kind) == ("manager-service-cert", "mesh", "kubernetes.io/tls")
    assert facts.leaf is not None
    assert "PRIVATE KEY" not in repr(facts)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (None, "there is no tls.key"),
        (b"", "there is no tls.key"),
        (pem(make(ROOT)), "none instead of a PEM block `PRIVATE KEY`"),
    ],
)
def test_a_key_that_cannot_be_read_is_a_fact(key: bytes | None, problem: str) -> None:
    facts = read_webhook_secret(manifest_of(b"", b"", key))

    assert (facts.key_spki_sha256, facts.key_problem, facts.leaf) == ("", problem, None)


def test_kubectls_copy_of_the_secret_is_left_behind() -> None:
    """The annotation of `kubectl apply` repeats the data."""
    applied = manifest_of(b"", b"", KEY_PEM)
    applied["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": base64.b64encode(KEY_PEM).decode(),
        "olmcahash": "x",
    }

    assert read_webhook_secret(applied).annotations == {"olmcahash": "x"}


def test_a_key_that_stands_in_the_place_of_a_certificate_is_redacted() -> None:
    facts = read_webhook_secret(manifest_of(KEY_PEM, TRUST + KEY_PEM))

    assert KEY_PEM.splitlines()[1] not in facts.certificate + facts.trust
    assert read_bundle(facts.trust).problems == (BundleProblem.PRIVATE_KEY,)


def test_the_staging_secret_gives_key_and_request_back() -> None:
    staged = StagedKey(KEY, b"request")

    made = build_staging_secret("osok-fleet-staging-1", "mesh", staged, {"app": "osok-fleet"})
    again = read_staging_secret(made)

    assert (again.key.spki_sha256, again.request) == (KEY.spki_sha256, b"request")
    assert made["metadata"]["labels"] == {"app": "osok-fleet"}
    assert "olm.managed" not in made["metadata"]["labels"]


def test_a_staging_secret_without_its_key_starts_afresh() -> None:
    made = build_staging_secret("osok-fleet-staging-1", "mesh", StagedKey(KEY, b"request"), {})
    del made["data"]["tls.key"]

    with pytest.raises(CertificateError, match=r"no tls\.key\. Delete the Secret"):
        read_staging_secret(made)


@pytest.mark.parametrize(
    "holder", [MATERIAL, StagedKey(KEY, b"request"), authority_of()], ids=lambda one: type(one).__name__
)
def test_what_holds_a_key_does_not_print_it(holder: object) -> None:
    assert "PrivateKey" not in repr(holder)
    assert "PRIVATE KEY" not in repr(holder)
