"""prefect.yaml: deployments load, parameters and schedules are valid, forms explain themselves."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools import validate
from pydantic import TypeAdapter

from deployments.rehearsal.prefect_services import WORK_POOL

PROJECT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
SCHEDULES = [
    pytest.param(deployment, schedule, id=f"{deployment['name']}-{number}")
    for deployment in DEPLOYMENTS
    for number, schedule in enumerate(deployment.get("schedules", []))
]

each_deployment = pytest.mark.parametrize(
    "deployment", [pytest.param(deployment, id=deployment["name"]) for deployment in DEPLOYMENTS]
)


def flow_of(deployment: Mapping[str, Any]) -> Flow[..., Any]:
    """The flow that a deployment runs, loaded as the worker loads it."""
    return load_flow_from_entrypoint(f"{PROJECT}/{deployment['entrypoint']}", use_placeholder_flow=False)


def form_fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field and group of the form that Prefect makes of a flow, with its path."""
    waiting = [("", schema)]
    while waiting:
        path, group = waiting.pop()
        for name, declared in group.get("properties", {}).items():
            field = resolved(schema, declared)
            yield f"{path}{name}", field
            choices = field.get("oneOf", field.get("anyOf", []))
            waiting += [(f"{path}{name}.", resolved(schema, each)) for each in (field, *choices)]


def resolved(schema: Mapping[str, Any], declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """As the Prefect UI shows it: what a field says of itself goes before what its type says."""
    name = str(declared.get("$ref", "")).rsplit("/", 1)[-1]
    return {**schema.get("definitions", {}).get(name, {}), **declared}


def test_every_flow_file_is_deployed() -> None:
    files = {f"flows/{path.name}" for path in (PROJECT / "flows").glob("*.py") if path.name != "__init__.py"}

    assert {deployment["entrypoint"].partition(":")[0] for deployment in DEPLOYMENTS} == files


@each_deployment
def test_the_entrypoint_loads_under_the_deployments_name(deployment: Mapping[str, Any]) -> None:
    assert flow_of(deployment).name == deployment["name"]


@each_deployment
def test_the_parameters_are_valid(deployment: Mapping[str, Any]) -> None:
    """What a deployment leaves out, the person who starts it fills in."""
    schema = parameter_schema(flow_of(deployment)).model_dump_for_openapi()

    validate(deployment.get("parameters", {}), schema, raise_on_error=True, ignore_required=True)


@pytest.mark.parametrize(("deployment", "schedule"), SCHEDULES)
def test_the_schedule_is_valid_and_its_runs_lack_nothing(
    deployment: Mapping[str, Any], schedule: Mapping[str, Any]
) -> None:
    """Nobody fills in a form for a scheduled run."""
    timing = {
        key: value for key, value in schedule.items() if key not in ("parameters", "active", "slug", "id")
    }
    TypeAdapter(CronSchedule | IntervalSchedule | RRuleSchedule).validate_python(timing)

    flow_of(deployment).validate_parameters(
        {**deployment.get("parameters", {}), **schedule.get("parameters", {})}
    )


@each_deployment
def test_people_find_out_what_it_does_and_where_it_runs(deployment: Mapping[str, Any]) -> None:
    assert deployment["description"].strip()
    assert "osok-fleet" in deployment["tags"]
    assert deployment["work_pool"]["name"] == WORK_POOL


@each_deployment
def test_every_field_of_the_form_says_what_it_is_for(deployment: Mapping[str, Any]) -> None:
    schema = parameter_schema(flow_of(deployment)).model_dump_for_openapi()

    unexplained = [path for path, field in form_fields(schema) if not field.get("description")]

    assert unexplained == []


@each_deployment
def test_defaults_of_the_form_are_valid(deployment: Mapping[str, Any]) -> None:
    """A form that is submitted as it is shown must not fail at a field that nobody touched."""
    schema = parameter_schema(flow_of(deployment)).model_dump_for_openapi()
    shown = {name: field["default"] for name, field in schema["properties"].items() if "default" in field}

    validate(shown, schema, raise_on_error=True, ignore_required=True)
