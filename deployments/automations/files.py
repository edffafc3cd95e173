"""Reads the automations' files, and puts the installing person's choices in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

import yaml
from prefect.events.schemas.automations import AutomationCore
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.core.errors import InputError

SHIPPED = Path(__file__).parent
"""The folder of the automations that come with the project."""


@dataclass(frozen=True)
class Choices:
    """What the person who installs the automations decides.

    Attributes:
        notify: Notification block as `type-slug/name`; empty: automations that need one are left out.
        gate_waits: How long a gate may wait before people are told.
        silent_for: How long a run may send no heartbeat before it counts as crashed; at least three times the
            workers' PREFECT_FLOWS_HEARTBEAT_FREQUENCY (180 s when it is not set).
    """

    notify: str = ""
    gate_waits: timedelta = timedelta(hours=4)
    silent_for: timedelta = timedelta(minutes=10)


class LeftOutError(InputError):
    """An automation needs something that is not there; the others are installed all the same."""


class AutomationFile(BaseModel):
    """One file: an automation in Prefect's words, with names where a server wants ids."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="By this it is found again on the server.")
    description: str = Field(description="What it does, shown in the UI.")
    tags: list[str] = Field(default_factory=list, description="Tags of the automation.")
    trigger: dict[str, Any] = Field(
        description="Prefect's trigger; `within` may be $gate-waits or $silent-for."
    )
    actions: list[dict[str, Any]] = Field(min_length=1, description="Prefect's actions, with names for ids.")


class KnownIds(Protocol):
    """Finds what the automations name on one server."""

    def notification_block(self, name: str) -> UUID:
        """Id of a notification block, named `type-slug/name`."""

    def deployment(self, name: str, parameters: frozenset[str]) -> UUID:
        """Id of a deployment that has these parameters, named `flow/deployment`."""


def read_files(folder: Path) -> tuple[AutomationFile, ...]:
    """Read every `*.yaml` of a folder, in the order of their names.

    Raises:
        InputError: A file is not an automation, or two have the same name.
    """
    found = tuple(_read(path) for path in sorted(folder.glob("*.yaml")))
    names = [each.name for each in found]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins or not found:
        raise InputError(
            "read the automations", str(folder), "files with names of their own", ", ".join(twins)
        )
    return found


def complete(file: AutomationFile, choices: Choices, known: KnownIds) -> AutomationCore:
    """The automation as a server takes it.

    Raises:
        LeftOutError: It needs a notification block and none was chosen, or a deployment that does not exist.
        InputError: Prefect does not understand the result.
    """
    durations = {"$gate-waits": choices.gate_waits, "$silent-for": choices.silent_for}
    within = file.trigger.get("within", 0)
    trigger = {**file.trigger, "within": durations.get(within, within)}
    actions = [_complete_action(action, choices, known) for action in file.actions]
    try:
        return AutomationCore.model_validate({**file.model_dump(), "trigger": trigger, "actions": actions})
    except ValidationError as error:
        raise InputError("install an automation", file.name, "an automation", str(error)) from error


def _complete_action(action: Mapping[str, Any], choices: Choices, known: KnownIds) -> dict[str, Any]:
    completed = dict(action)
    if action.get("block_document_id") == "$notify":
        if not choices.notify:
            raise LeftOutError(
                "install an automation", "", "a notification block", "none", "Name one with --notify."
            )
        completed["block_document_id"] = known.notification_block(choices.notify)
    deployment = str(action.get("deployment_id", ""))
    if "/" in deployment:
        parameters = frozenset(action.get("parameters", {}))
        completed["deployment_id"] = known.deployment(deployment, parameters)
    return completed


def _read(path: Path) -> AutomationFile:
    try:
        return AutomationFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, ValidationError) as error:
        raise InputError("read an automation", str(path), "an automation's file", str(error)) from error
