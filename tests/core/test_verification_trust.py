"""The CA that each webhook trusts against the CA in the certificate Secret (R9, R10, R21)."""

import base64
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta

import pytest

from tasks.core.manifests import Manifest
from tasks.core.verification import (
    Check,
    Finding,
    FindingState,
    TrustedCa,
    ca_bundle_of,
    check_ca_bundles,
    open_findings,
    published_ca,
    verify_objects,
)
from tests.core.verification_objects import (
    CA,
    NOW,
    OSOK,
    configuration,
    healthy,
    make_ca,
    webhook_named,
    with_configuration,
)

MESH = webhook_named("mesh-validator")
OTHER_CA = make_ca("Other CA")
OLD_CA = make_ca("Old CA", days=-1)


def bundle(pem: bytes | None) -> Manifest:
    changed = deepcopy(configuration(MESH))
    client = changed["webhooks"][0]["clientConfig"]
    client.pop("caBundle")
    if pem is not None:
        client["caBundle"] = base64.b64encode(pem).decode()
    return changed


def problem(changed: Manifest) -> Finding:
    found = open_findings(verify_objects(OSOK, with_configuration(MESH, changed), NOW))
    assert len(found) == 1, found
    return found[0]


def test_every_registered_webhook_is_compared_with_the_secret() -> None:
    """R21: the nine validators, the injector, and the two inert ones."""
    found = check_ca_bundles(OSOK, healthy().configurations, CA, NOW)
    assert [finding.state for finding in found] == [FindingState.PASS] * 12


@pytest.mark.parametrize(
    ("pem", "found"),
    [
        (None, "no caBundle"),
        (b"not PEM", "a caBundle that is not PEM"),
        (OTHER_CA, "another CA: CN=Other CA"),
        (CA + b"\n", "another CA: CN=Test CA"),
        (CA + OTHER_CA, "another CA: CN=Test CA"),
        (OLD_CA, "a CA that is not valid now: CN=Old CA"),
    ],
)
def test_a_webhook_that_trusts_something_else_fails(pem: bytes | None, found: str) -> None:
    """R21: equal byte for byte, because that is what OLM writes."""
    finding = problem(bundle(pem))
    assert (finding.check, finding.state, finding.found.startswith(found)) == (
        Check.CA_BUNDLE,
        FindingState.FAIL,
        True,
    )


def test_a_bundle_of_an_old_and_a_new_ca_is_fine_when_both_sides_have_it() -> None:
    """The overlap of a rotation: one certificate that ended does no harm beside one that is valid."""
    both = CA + OLD_CA
    found = check_ca_bundles(OSOK, [bundle(both)], both, NOW)
    assert [finding.state for finding in found] == [FindingState.PASS]


def test_all_webhooks_fail_when_the_secret_has_another_ca() -> None:
    """R20: a patch of the Secret alone does not reach the caBundles."""
    found = open_findings(verify_objects(OSOK, replace(healthy(), ca=OTHER_CA), NOW))
    assert {(f.check, "never reaches the caBundles" in f.next_step) for f in found} == {
        (Check.CA_BUNDLE, True)
    }


def test_all_webhooks_fail_when_the_secret_has_no_ca() -> None:
    found = open_findings(verify_objects(OSOK, replace(healthy(), ca=None), NOW))
    assert len(found) == 12


def test_a_ca_that_is_not_valid_yet_fails() -> None:
    found = check_ca_bundles(OSOK, [bundle(CA)], CA, NOW - timedelta(days=1000))
    assert [finding.state for finding in found] == [FindingState.FAIL]


def test_a_finding_shows_who_the_ca_is_and_until_when() -> None:
    finding = check_ca_bundles(OSOK, [bundle(OTHER_CA)], CA, NOW)[0]
    assert ("CN=Test CA" in finding.expected, "until 2026-06-01" in finding.expected) == (True, True)


@pytest.mark.parametrize(
    ("secret", "ca"),
    [
        (None, None),
        ({}, None),
        ({"data": {"tls.crt": "eA=="}}, None),
        ({"data": {"olmCAKey": "%%%"}}, None),
        ({"data": {"olmCAKey": base64.b64encode(CA).decode()}}, CA),
    ],
)
def test_the_published_ca_is_the_olm_key_of_the_secret(secret: Manifest | None, ca: bytes | None) -> None:
    assert published_ca(secret) == ca


def test_an_entry_without_a_client_configuration_trusts_nothing() -> None:
    assert ca_bundle_of({}) is None


def test_bytes_that_are_no_certificate_are_kept_as_they_are() -> None:
    trusted = TrustedCa.read(b"garbage")
    assert (trusted.pem, trusted.certificates, trusted.description()) == (b"garbage", (), "no certificate")
