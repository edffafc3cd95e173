"""Makes an object so that doing it again makes no twin: look, create with a retry token, wait.

The retry token is made of what is created, so that a request whose answer was lost is answered with the same
object. Bodies hold no time of their own making: the service would refuse the token with another body.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.errors import TenancyConflictError
from tasks.clients.tenancy.sdk import Untyped
from tasks.core.errors import TenancyError
from tasks.core.prerequisites.objects import LEAVING

TAGS = {"managed-by": "osok-fleet"}
"""Free-form tags of everything that is made here."""
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_ENDED_BADLY = frozenset({"FAILED", "DELETED", "DELETING"}) | LEAVING


class TenancyObjectError(TenancyError):
    """An object ended in a state that it does not leave by itself, or is on its way out."""


@dataclass(frozen=True)
class Recipe:
    """How one kind of object is made once.

    Attributes:
        kind: Its name in messages.
        name: The wanted name.
        details: The request's body.
        listed: Lists what is there: models with a name, a state and an id.
        create: Sends the request with a retry token and gives the model.
        read: Reads the object by OCID.
        good: The state to wait for.
    """

    kind: str
    name: str
    details: Untyped
    listed: Callable[[], Iterable[Untyped]]
    create: Callable[[str], Untyped]
    read: Callable[[str], Untyped]
    good: str


def make_once(calls: TenancyCalls, recipe: Recipe) -> str:
    """Find the object by its name or create it, and wait until it is in its good state; gives its OCID.

    Raises:
        TenancyObjectError: It failed, or one of its name is on its way out.
        TenancyError: The service refuses or does not answer, or the deadline passed.
    """
    identifier = _present(recipe)
    if identifier is None:
        # The SDK shows a model as JSON with sorted keys, so the same body gives the same token.
        token = hashlib.sha256(f"{recipe.kind}/{recipe.details}".encode()).hexdigest()
        try:
            identifier = str(recipe.create(token).id)
        except TenancyConflictError:
            # The name is taken: somebody, or this run's lost request, was faster.
            identifier = _present(recipe)
            if identifier is None:
                _explain_failed(recipe)
                raise
    return wait_for_state(calls, recipe.kind, identifier, recipe.read, recipe.good)


def wait_for_state(
    calls: TenancyCalls, kind: str, identifier: str, read: Callable[[str], Untyped], good: str
) -> str:
    """Wait until an object is in a state; gives its OCID.

    Raises:
        TenancyObjectError: It is in a state that it does not leave by itself.
        TenancyError: The service refuses or does not answer, or the deadline passed.
    """
    pause = _FIRST_PAUSE
    while True:
        model = read(identifier)
        if model.lifecycle_state == good:
            return identifier
        if model.lifecycle_state in _ENDED_BADLY:
            details = getattr(model, "lifecycle_details", None) or ""
            raise TenancyObjectError(
                f"wait for the {kind}",
                identifier,
                good,
                f"{model.lifecycle_state} {details}".strip(),
                "Read the reason in the OCI console; a missing right to use the key is the usual one.",
            )
        calls.pause(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _explain_failed(recipe: Recipe) -> None:
    """Where names are unique, one that failed before keeps the name.

    Raises:
        TenancyObjectError: There is one.
    """
    for model in recipe.listed():
        if _name(model) == recipe.name and model.lifecycle_state == "FAILED":
            raise TenancyObjectError(
                f"create a {recipe.kind}",
                recipe.name,
                "a free name",
                f"{model.id} in FAILED",
                "Delete it in the OCI console, or choose another name.",
            )


def _present(recipe: Recipe) -> str | None:
    """The OCID of the object that bears the name already.

    Raises:
        TenancyObjectError: It is on its way out; another one of the same name would be its twin.
    """
    named = [model for model in recipe.listed() if _name(model) == recipe.name]
    alive = [model for model in named if model.lifecycle_state not in _ENDED_BADLY]
    if alive:
        return str(alive[0].id)
    leaving = [model for model in named if model.lifecycle_state in LEAVING]
    if leaving:
        raise TenancyObjectError(
            f"create a {recipe.kind}",
            recipe.name,
            "no other of that name",
            f"{leaving[0].id} in {leaving[0].lifecycle_state}",
            "Cancel its deletion, or choose another name.",
        )
    return None


def _name(model: Untyped) -> str:
    return str(getattr(model, "display_name", None) or getattr(model, "name", ""))
