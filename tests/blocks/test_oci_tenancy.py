"""The OciTenancy block: what it accepts, and that its secrets stay secret."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from blocks.oci_tenancy import ApiKey, ConfigFile, OciTenancy

FIELDS: dict[str, Any] = {
    "tenancy_id": "ocid1.tenancy.oc1..aaaa",
    "region": "eu-frankfurt-1",
    "compartment_id": "ocid1.compartment.oc1..bbbb",
    "authentication": {"kind": "instance_principal"},
}
USER = "ocid1.user.oc1..u"
FINGERPRINT = ":".join(["ab"] * 16)


@pytest.mark.parametrize(
    "authentication",
    [
        {"kind": "config_file"},
        {"kind": "api_key", "user_id": USER, "fingerprint": FINGERPRINT, "private_key": "x"},
        {"kind": "session_token", "profile": "PROD"},
        {"kind": "instance_principal"},
        {"kind": "resource_principal"},
        {"kind": "workload_identity"},
    ],
)
def test_every_kind_of_authentication_is_told_by_its_kind(authentication: dict[str, str]) -> None:
    block = OciTenancy(**{**FIELDS, "authentication": authentication})

    assert block.authentication.kind == authentication["kind"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tenancy_id": "acme"}, "tenancy_id"),
        ({"region": "frankfurt"}, "region"),
        ({"compartment_id": "ocid1.user.oc1..u"}, "compartment_id"),
        ({"endpoint": "http://host/path"}, "endpoint"),
        ({"authentication": {"kind": "password"}}, "does not match any of the expected tags"),
        ({"authentication": {"kind": "config_file", "proflie": "X"}}, "Extra inputs are not permitted"),
        (
            {
                "authentication": {
                    "kind": "api_key",
                    "user_id": "ocid1.user.oc1..u",
                    "fingerprint": FINGERPRINT,
                }
            },
            "give either private_key or private_key_file",
        ),
    ],
)
def test_what_cannot_be_right_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OciTenancy(**{**FIELDS, **change})


def test_the_tenancy_itself_is_a_compartment() -> None:
    block = OciTenancy(**{**FIELDS, "compartment_id": FIELDS["tenancy_id"]})

    assert block.compartment_id == "ocid1.tenancy.oc1..aaaa"


def test_a_key_is_shown_nowhere() -> None:
    key = ApiKey(
        user_id="ocid1.user.oc1..u",
        fingerprint=FINGERPRINT,
        private_key=SecretStr("hush"),
        passphrase=SecretStr("hush"),
    )
    block = OciTenancy(**{**FIELDS, "authentication": key})

    assert "hush" not in repr(block) + block.model_dump_json()


def test_the_default_configuration_file_is_the_users() -> None:
    assert ConfigFile() == ConfigFile(path=Path("~/.oci/config"), profile="DEFAULT")
