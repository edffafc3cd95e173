"""The parameters of a run as a person or a schedule writes them, checked before anything starts."""

from datetime import timedelta

import pytest
from pydantic import BaseModel, ValidationError

from tasks.core.settings import (
    BundleSource,
    CatalogChoice,
    Deadlines,
    MetricsServerChoice,
    MetricsServerMode,
    OlmRelease,
    OperatorChoice,
    VersionChange,
)

MODELS: list[type[BaseModel]] = [CatalogChoice, Deadlines, MetricsServerChoice, OlmRelease, OperatorChoice]


def test_the_defaults_are_what_the_runbook_installs() -> None:
    """R2, R6, R11: OLM 0.20.0, OSOK 1.1.9 from its registry, five minutes, no metrics server."""
    assert (OlmRelease().version, OlmRelease().other_version) == ("0.20.0", VersionChange.REFUSE)
    assert (OperatorChoice().version, OperatorChoice().bundle_source) == ("1.1.9", BundleSource.REGISTRY)
    assert Deadlines().operator == timedelta(minutes=5)
    assert MetricsServerChoice().mode is MetricsServerMode.OFF


@pytest.mark.parametrize("model", MODELS)
def test_a_misspelt_field_is_refused(model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        model.model_validate({"verson": "1"})


@pytest.mark.parametrize("model", MODELS)
def test_every_field_is_explained_in_the_form(model: type[BaseModel]) -> None:
    unexplained = [name for name, field in model.model_fields.items() if not field.description]

    assert unexplained == []


@pytest.mark.parametrize(
    ("text", "duration"),
    [("PT90S", timedelta(seconds=90)), ("PT5M", timedelta(minutes=5)), (30, timedelta(seconds=30))],
)
def test_a_deadline_is_an_iso_duration_or_seconds(text: object, duration: timedelta) -> None:
    assert Deadlines.model_validate({"operator": text}).operator == duration


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (OlmRelease, {"version": "latest"}),
        (OlmRelease, {"version": "0.46"}),
        (OlmRelease, {"crds_sha256": "abc"}),
        (OlmRelease, {"olm_sha256": "A" * 64}),
        (OlmRelease, {"other_version": "FORCE"}),
        (OperatorChoice, {"namespace": "With-Capitals"}),
        (OperatorChoice, {"namespace": "a" * 64}),
        (OperatorChoice, {"bundle_source": "IMAGE"}),
        (MetricsServerChoice, {"version": "v0.8.0"}),
        (MetricsServerChoice, {"sha256": "0" * 63}),
        (Deadlines, {"operator": "five minutes"}),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(model: type[BaseModel], wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(wrong)


def test_settings_cannot_change_during_a_run() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        OlmRelease().version = "0.46.0"  # type: ignore[misc]  # that it is refused is the point
