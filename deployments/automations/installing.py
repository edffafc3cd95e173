"""Creates or updates automations on a Prefect server by their names; twice the same changes nothing."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound

from deployments.automations.files import AutomationFile, Choices, LeftOutError, complete
from tasks.core.errors import InputError


class Mode(StrEnum):
    """Whether the server is changed."""

    DRY_RUN = "DRY_RUN"
    APPLY = "APPLY"


class Change(StrEnum):
    """What the server needed."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    LEFT_OUT = "LEFT_OUT"


@dataclass(frozen=True)
class Installed:
    """One automation after the installation; in a dry run: what would have happened.

    Attributes:
        reason: Why it was left out; empty otherwise.
    """

    name: str
    change: Change
    reason: str = ""


class ServerIds:
    """Finds blocks and deployments on one server by their names."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client

    def notification_block(self, name: str) -> UUID:
        """Id of a notification block, named `type-slug/name`.

        Raises:
            InputError: There is no such block, or it cannot notify.
        """
        slug, _, block = name.partition("/")
        attempted, expected = "find the notification block", "type-slug/name of a saved notification block"
        try:
            found = self._client.read_block_document_by_name(block, slug, include_secrets=False)
        except ObjectNotFound as error:
            raise InputError(attempted, name, expected, "none") from error
        capabilities = found.block_schema.capabilities if found.block_schema else []
        if "notify" not in capabilities:
            raise InputError(attempted, name, expected, f"a block of type {slug}, which cannot notify")
        return found.id

    def deployment(self, name: str, parameters: frozenset[str]) -> UUID:
        """Id of a deployment, named `flow/deployment`.

        Raises:
            LeftOutError: There is no such deployment, or it has not got one of the parameters.
        """
        expected = f"the deployment {name} with {', '.join(sorted(parameters)) or 'no parameters'}"
        try:
            found = self._client.read_deployment_by_name(name)
        except ObjectNotFound as error:
            raise _left_out(expected, "none") from error
        unknown = parameters - (found.parameter_openapi_schema or {}).get("properties", {}).keys()
        if unknown:
            raise _left_out(expected, f"one without {', '.join(sorted(unknown))}")
        return found.id


def _left_out(expected: str, found: str) -> LeftOutError:
    return LeftOutError("install an automation", "", expected, found, "Run `make deploy`, then this again.")


def install(
    client: SyncPrefectClient, files: Iterable[AutomationFile], choices: Choices, mode: Mode
) -> Iterator[Installed]:
    """Bring the server's automations to what the files say, one after the other.

    Whether an automation is enabled stays as people left it in the UI.

    Raises:
        InputError: The name of a block leads nowhere, or the server has two automations of one name.
    """
    known = ServerIds(client)
    for file in files:
        try:
            wanted = complete(file, choices, known)
        except LeftOutError as error:
            yield Installed(file.name, Change.LEFT_OUT, str(error))
        else:
            yield Installed(file.name, _bring_to(client, wanted, mode))


def _bring_to(client: SyncPrefectClient, wanted: AutomationCore, mode: Mode) -> Change:
    existing = _only_one(client.read_automations_by_name(wanted.name), wanted.name)
    if existing is None:
        if mode is Mode.APPLY:
            client.create_automation(wanted)
        return Change.CREATED
    kept = wanted.model_copy(update={"enabled": existing.enabled})
    if _as_sent(existing) == _as_sent(kept):
        return Change.UNCHANGED
    if mode is Mode.APPLY:
        # An update makes the server forget what it has counted so far, so it is not sent without need.
        client.update_automation(existing.id, _as_sent(kept))
    return Change.UPDATED


def _only_one(found: list[Automation], name: str) -> Automation | None:
    if len(found) > 1:
        raise InputError(
            "install an automation", name, "at most one of that name", str(len(found)), "Delete all but one."
        )
    return found[0] if found else None


def _as_sent(automation: AutomationCore) -> AutomationCore:
    """Only what a file or a person decides, so that two of them can be compared."""
    fields = ("name", "description", "enabled", "tags", "trigger", "actions")
    return AutomationCore.model_validate({name: getattr(automation, name) for name in fields})
