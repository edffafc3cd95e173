"""R23: the operator's own credentials in the cluster, and the namespace it runs in."""

import base64
from collections.abc import Mapping

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tasks.core.manifests import Manifest
from tasks.core.prerequisites.clusters import check_metrics_server, check_pod_security
from tasks.core.prerequisites.credentials import (
    OperatorIdentity,
    check_config_secret,
    check_credentials,
    fingerprint_of,
)
from tasks.core.prerequisites.findings import Finding, Status

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM_FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
PEM = KEY.private_bytes(*PEM_FORM, serialization.NoEncryption()).decode()
LOCKED_PEM = KEY.private_bytes(*PEM_FORM, serialization.BestAvailableEncryption(b"open sesame")).decode()
EC_PEM = (
    ec.generate_private_key(ec.SECP256R1()).private_bytes(*PEM_FORM, serialization.NoEncryption()).decode()
)
REGIONS = frozenset({"eu-frankfurt-1", "us-ashburn-1"})
GOOD = {
    "tenancy": "ocid1.tenancy.oc1..t",
    "user": "ocid1.user.oc1..u",
    "fingerprint": fingerprint_of(KEY.public_key()),
    "privatekey": PEM,
    "passphrase": "",
    "region": "eu-frankfurt-1",
}


def secret(values: Mapping[str, str]) -> Manifest:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ocicredentials"}, "data": encoded}


def check(
    values: Mapping[str, str], identity: OperatorIdentity = OperatorIdentity.USER
) -> tuple[Finding, ...]:
    return check_credentials(secret(values), "osok", identity, REGIONS)


def failures(findings: tuple[Finding, ...]) -> dict[str, str]:
    return {finding.check: finding.reason for finding in findings if finding.status is Status.FAIL}


def test_complete_credentials_pass() -> None:
    assert {finding.status for finding in check(GOOD)} == {Status.PASS}


def test_a_key_with_its_passphrase_passes() -> None:
    assert failures(check({**GOOD, "privatekey": LOCKED_PEM, "passphrase": "open sesame"})) == {}


@pytest.mark.parametrize(
    ("change", "name", "reason"),
    [
        ({"user": ""}, "completeness", "it lacks user"),
        ({"user": "joe"}, "identity", "user is no OCID"),
        ({"tenancy": "ocid1.user.oc1..u"}, "identity", "tenancy is no OCID"),
        ({"region": "frankfurt"}, "region", "no region such as"),
        ({"fingerprint": "aa:bb"}, "key", "not aa:bb"),
        ({"privatekey": "-----BEGIN"}, "key", "cannot be read"),
        ({"privatekey": EC_PEM}, "key", "not RSA"),
        ({"privatekey": LOCKED_PEM}, "key", "do not fit"),
        ({"privatekey": LOCKED_PEM, "passphrase": "wrong"}, "key", "cannot be read"),
        ({"passphrase": "stray"}, "key", "do not fit"),
    ],
)
def test_a_wrong_value_is_named(change: dict[str, str], name: str, reason: str) -> None:
    found = failures(check({**GOOD, **change}))

    assert reason in found[f"operator's credentials: {name}"]


def test_a_secret_without_the_key_passphrase_is_incomplete() -> None:
    values = {key: value for key, value in GOOD.items() if key != "passphrase"}

    assert "passphrase" in failures(check(values))["operator's credentials: completeness"]


def test_no_finding_holds_the_key_or_its_passphrase() -> None:
    findings = check({**GOOD, "privatekey": LOCKED_PEM, "passphrase": "hush hush"})

    assert "hush hush" not in str(findings)
    assert LOCKED_PEM[40:80] not in str(findings)


@pytest.mark.parametrize("values", [{}, dict.fromkeys(GOOD, "")])
def test_an_empty_secret_means_the_instance(values: dict[str, str]) -> None:
    instance = check(values, OperatorIdentity.INSTANCE_PRINCIPAL)
    user = check(values)

    assert [finding.status for finding in instance] == [Status.PASS]
    assert failures(user) == {
        "operator's credentials": "it is absent or empty, so the operator signs as its instance"
    }


def test_filled_credentials_keep_the_operator_from_being_its_instance() -> None:
    found = failures(check({"user": "ocid1.user.oc1..u"}, OperatorIdentity.INSTANCE_PRINCIPAL))

    assert "signs as a user" in found["operator's credentials"]


def test_data_that_is_not_base64_is_named() -> None:
    broken = {**secret({}), "data": {"user": "%%%"}}

    findings = check_credentials(broken, "osok", OperatorIdentity.USER, REGIONS)

    assert failures(findings) == {"operator's credentials": "its data is not base64"}


def test_the_configuration_secret_has_to_exist() -> None:
    assert check_config_secret(secret({}), "osok").status is Status.PASS
    assert check_config_secret(None, "osok").status is Status.WARN


@pytest.mark.parametrize(
    ("labels", "status"),
    [
        ({}, Status.PASS),
        ({"pod-security.kubernetes.io/enforce": "privileged"}, Status.PASS),
        ({"pod-security.kubernetes.io/enforce": "baseline"}, Status.FAIL),
        ({"pod-security.kubernetes.io/enforce": "restricted"}, Status.FAIL),
    ],
)
def test_a_namespace_has_to_admit_the_host_path(labels: dict[str, str], status: Status) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "osok", "labels": labels}}

    assert check_pod_security(namespace, "osok").status is status


def test_a_namespace_that_will_be_created_passes() -> None:
    assert check_pod_security(None, "osok").status is Status.PASS


@pytest.mark.parametrize(("available", "status"), [("True", Status.PASS), ("False", Status.WARN)])
def test_the_metrics_api_has_to_be_available(available: str, status: Status) -> None:
    service = {"status": {"conditions": [{"type": "Available", "status": available}]}}

    assert check_metrics_server(service).status is status
    assert check_metrics_server(None).status is Status.WARN
