"""The ContainerRegistry block: what it accepts, and that its secrets stay hidden."""

from typing import Any

import pytest
from pydantic import ValidationError

from blocks.container_registry import AnonymousAccess, BasicAccess, ContainerRegistry

BASIC = {"kind": "basic", "username": "tenancy/user", "password": "swordfish"}


def test_access_is_anonymous_unless_chosen_otherwise() -> None:
    assert ContainerRegistry(host="iad.ocir.io").access == AnonymousAccess()


def test_the_kind_chooses_the_form_of_access() -> None:
    block = ContainerRegistry.model_validate({"host": "iad.ocir.io", "access": BASIC})

    assert isinstance(block.access, BasicAccess)
    assert block.access.password.get_secret_value() == "swordfish"


def test_secrets_are_shown_nowhere() -> None:
    block = ContainerRegistry.model_validate({"host": "iad.ocir.io", "access": BASIC})

    assert "swordfish" not in f"{block} {block!r} {block.model_dump_json()}"


def test_prefect_knows_which_fields_to_encrypt() -> None:
    assert ContainerRegistry.model_json_schema()["secret_fields"] == ["access.password", "access.token"]


def test_every_field_has_a_description_for_the_form() -> None:
    descriptions = [field.description for field in ContainerRegistry.model_fields.values()]

    assert None not in descriptions


def test_the_host_is_kept_in_lower_case() -> None:
    assert ContainerRegistry(host=" IAD.ocir.io ").host == "iad.ocir.io"


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "[::1]:5000", "127.66.0.1:80"])
def test_plain_http_is_for_loopback_addresses(host: str) -> None:
    assert ContainerRegistry(host=host, plain_http="loopback").plain_http == "loopback"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"host": "https://iad.ocir.io"}, "without a scheme or a path"),
        ({"host": "iad.ocir.io/oracle"}, "without a scheme or a path"),
        ({"host": ""}, "without a scheme or a path"),
        ({"host": "iad.ocir.io", "plain_http": "loopback"}, "use https for this host"),
        ({"host": "127.0.0.1.example.com", "plain_http": "loopback"}, "use https for this host"),
        (
            {"host": "iad.ocir.io", "token_realms": ["https://auth.example.com"]},
            "token_realms are",
        ),
        ({"host": "iad.ocir.io", "access": {"kind": "cookie"}}, "cookie"),
        ({"host": "iad.ocir.io", "access": {"kind": "basic", "username": "u"}}, "password"),
        ({"host": "iad.ocir.io", "access": {**BASIC, "username": "a:b"}}, "username"),
        ({"host": "iad.ocir.io", "access": {**BASIC, "token": "t"}}, "token"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ContainerRegistry.model_validate(fields)
