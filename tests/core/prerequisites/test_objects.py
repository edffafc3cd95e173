"""R24, R25, R26, R27: each fact that is not as it has to be gives the finding that says so."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tasks.core.prerequisites.authorities import check_authority
from tasks.core.prerequisites.certificates import check_certificate
from tasks.core.prerequisites.findings import Finding, Status
from tasks.core.prerequisites.readings import NotSeen, Unread
from tasks.core.prerequisites.vaults import check_key, check_vault
from tests.core.prerequisites.facts import AUTHORITY, CERTIFICATE, KEY, NOW, VAULT

FAIL, WARN, UNKNOWN = Status.FAIL, Status.WARN, Status.UNKNOWN
HOSTS = ("shop.example.com", "v1.api.example.com")


def problems(findings: tuple[Finding, ...]) -> list[tuple[str, Status]]:
    return [(finding.check, finding.status) for finding in findings if finding.status is not Status.PASS]


def test_facts_that_are_as_they_have_to_be_pass() -> None:
    findings = (
        *check_vault(VAULT),
        *check_key(KEY),
        *check_authority(AUTHORITY, KEY.id, NOW),
        *check_certificate(CERTIFICATE, HOSTS, NOW),
    )

    assert problems(findings) == []
    assert {finding.runbook for finding in findings} == {"R24", "R25", "R26", "R27"}


@pytest.mark.parametrize(
    ("change", "check", "status", "reason"),
    [
        ({"lifecycle_state": "PENDING_DELETION"}, "vault: state", FAIL, "it will be deleted"),
        ({"lifecycle_state": "CREATING"}, "vault: state", FAIL, "CREATING"),
        ({"lifecycle_state": "UPDATING"}, "vault: state", WARN, "UPDATING"),
        ({"lifecycle_state": "UNKNOWN_ENUM_VALUE"}, "vault: state", UNKNOWN, "does not know"),
        ({"vault_type": "EXTERNAL"}, "vault: kind", FAIL, "external vault"),
        ({"vault_type": "UNKNOWN_ENUM_VALUE"}, "vault: kind", UNKNOWN, "not known"),
        ({"twins": 1}, "vault: name", WARN, "not unique"),
    ],
)
def test_r24_a_vault_that_is_not_usable(
    change: dict[str, Any], check: str, status: Status, reason: str
) -> None:
    findings = check_vault(replace(VAULT, **change))

    assert problems(findings) == [(check, status)]
    assert any(reason in finding.reason for finding in findings)


@pytest.mark.parametrize(
    ("change", "check", "status"),
    [
        ({"lifecycle_state": "DISABLED"}, "key: state", FAIL),
        ({"lifecycle_state": "ACTIVE"}, "key: state", UNKNOWN),
        ({"protection_mode": "SOFTWARE"}, "key: protection", FAIL),
        ({"protection_mode": "UNKNOWN_ENUM_VALUE"}, "key: protection", UNKNOWN),
        ({"algorithm": "AES", "length_bytes": 32}, "key: algorithm and length", FAIL),
        ({"length_bytes": 384}, "key: algorithm and length", FAIL),
        ({"length_bytes": 2048}, "key: algorithm and length", FAIL),
        ({"current_version": ""}, "key: current version", FAIL),
        ({"twins": 2}, "key: name", WARN),
    ],
)
def test_r25_a_key_that_is_not_usable(change: dict[str, Any], check: str, status: Status) -> None:
    assert problems(check_key(replace(KEY, **change))) == [(check, status)]


def test_r25_a_key_of_4096_bits_passes() -> None:
    assert problems(check_key(replace(KEY, length_bytes=512))) == []


@pytest.mark.parametrize(
    ("change", "check", "status"),
    [
        ({"lifecycle_state": "FAILED"}, "state", FAIL),
        ({"lifecycle_state": "PENDING_ACTIVATION"}, "state", FAIL),
        ({"config_type": "ROOT_CA_MANAGED_EXTERNALLY"}, "kind", FAIL),
        ({"config_type": "UNKNOWN_ENUM_VALUE"}, "kind", UNKNOWN),
        ({"key_id": "another"}, "key", FAIL),
        ({"leaf_validity": "P30D"}, "validity of certificates", FAIL),
        ({"leaf_validity": "P1M"}, "validity of certificates", FAIL),
        ({"leaf_validity": "P45D"}, "validity of certificates", WARN),
        ({"leaf_validity": None}, "validity of certificates", WARN),
        ({"leaf_validity": "soon"}, "validity of certificates", UNKNOWN),
        ({"leaf_validity": None, "unknown_rules": ("X",)}, "validity of certificates", UNKNOWN),
        ({"not_after": NOW + timedelta(days=45)}, "lifetime", FAIL),
        ({"not_after": NOW + timedelta(days=60)}, "lifetime", WARN),
        ({"not_before": NOW + timedelta(days=1)}, "lifetime", FAIL),
        ({"not_after": None}, "lifetime", UNKNOWN),
        ({"revoked": True}, "revocation", FAIL),
        ({"signing_algorithm": "SHA256_WITH_ECDSA"}, "signing algorithm", FAIL),
        ({"signing_algorithm": "UNKNOWN_ENUM_VALUE"}, "signing algorithm", UNKNOWN),
    ],
)
def test_r26_an_authority_that_is_not_usable(change: dict[str, Any], check: str, status: Status) -> None:
    findings = check_authority(replace(AUTHORITY, **change), KEY.id, NOW)

    assert problems(findings) == [(f"certificate authority: {check}", status)]


def test_r26_without_the_key_nothing_is_said_about_it() -> None:
    findings = check_authority(AUTHORITY, "", NOW)

    assert problems(findings) == [("certificate authority: key", UNKNOWN)]


@pytest.mark.parametrize(
    ("change", "check", "status"),
    [
        ({"lifecycle_state": "SCHEDULING_DELETION"}, "state", FAIL),
        ({"stages": ("PREVIOUS",)}, "current version", FAIL),
        ({"revoked": True}, "current version", FAIL),
        ({"profile": "TLS_CLIENT"}, "profile", FAIL),
        ({"profile": ""}, "profile", UNKNOWN),
        ({"host_names": ("shop.example.com",)}, "host names", FAIL),
        ({"host_names": ()}, "host names", FAIL),
        ({"not_after": NOW}, "days left", FAIL),
        ({"not_after": NOW + timedelta(days=14)}, "days left", WARN),
        ({"not_before": NOW + timedelta(days=1)}, "days left", FAIL),
        ({"not_before": None}, "days left", UNKNOWN),
        ({"renewal": None}, "renewal", WARN),
        ({"renewal": ("P10D", "P20D")}, "renewal", WARN),
        ({"renewal": ("P10D", "x")}, "renewal", UNKNOWN),
    ],
)
def test_r27_a_certificate_that_is_not_usable(change: dict[str, Any], check: str, status: Status) -> None:
    findings = check_certificate(replace(CERTIFICATE, **change), HOSTS, NOW)

    assert problems(findings) == [(f"certificate: {check}", status)]


def test_r27_without_hosts_nothing_is_said_about_names() -> None:
    assert problems(check_certificate(CERTIFICATE, (), NOW)) == [("certificate: host names", UNKNOWN)]


@pytest.mark.parametrize(
    ("reading", "status", "word"),
    [
        (NotSeen("the vault v", "the compartment c", 2), FAIL, "not among the 2"),
        (NotSeen("the vault v", "the compartment c", 0), FAIL, "nothing like"),
        (NotSeen("the vault v", "the compartment c", None), UNKNOWN, "404"),
        (Unread("the vault v", "HTTP 500"), UNKNOWN, "HTTP 500"),
    ],
)
def test_a_404_is_called_missing_only_after_a_second_look(
    reading: NotSeen | Unread, status: Status, word: str
) -> None:
    (finding,) = check_vault(reading)

    assert finding.status is status
    assert word in finding.reason


def test_every_finding_that_is_not_pass_says_why_and_what_to_do() -> None:
    findings = (
        *check_vault(replace(VAULT, lifecycle_state="DELETED", vault_type="EXTERNAL")),
        *check_key(replace(KEY, lifecycle_state="DISABLED", protection_mode="SOFTWARE")),
        *check_authority(replace(AUTHORITY, leaf_validity="P30D", revoked=True), "", NOW),
        *check_certificate(replace(CERTIFICATE, renewal=None, revoked=True), HOSTS, NOW),
    )

    assert all(item.reason and item.fix for item in findings if item.status is not Status.PASS)
