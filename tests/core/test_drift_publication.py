"""The choice where results go: what is refused, and what a fleet is called."""

import pytest
from pydantic import ValidationError

from tasks.core.drift.publication import PublicationChoice, fleet_name


def test_nothing_goes_anywhere_unless_it_was_chosen() -> None:
    assert PublicationChoice().wanted is False
    assert PublicationChoice(report="/srv/reports").wanted is True


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pushgateway", "https://ada:geheim@push.example.com", "name a Secret block in pushgateway_login"),
        ("pushgateway", "https://push.example.com?token=x", "without user, password and query"),
        ("pushgateway", "push.example.com:9091", "expected an address like https://"),
        ("textfile", "var/lib/node_exporter", "expected an absolute folder"),
        ("fleet", "../prod", "String should match pattern"),
    ],
)
def test_bad_input_is_refused_with_the_field_and_what_is_expected(
    field: str, value: str, message: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        PublicationChoice.model_validate({field: value})

    assert [error["loc"] for error in caught.value.errors()] == [(field,)]
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("chosen", "deployment", "expected"),
    [
        ("prod", "verify-fleet", "prod"),
        ("", "verify-fleet", "verify-fleet"),
        ("", "Prod / Frankfurt ü", "Prod-Frankfurt"),
        ("", "../..", "fleet"),
        ("", "", "fleet"),
    ],
)
def test_a_fleet_is_called_as_chosen_or_after_its_deployment(
    chosen: str, deployment: str, expected: str
) -> None:
    assert fleet_name(chosen, deployment) == expected


def test_a_password_in_an_address_is_not_in_the_refusal() -> None:
    with pytest.raises(ValidationError) as caught:
        PublicationChoice(pushgateway="https://ada:geheim@push.example.com")

    assert "geheim" not in str(caught.value)
