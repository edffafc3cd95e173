"""Reads operator profiles from YAML: the built-in ones, and those that users write after their example."""

from importlib.resources import files

import yaml
from pydantic import ValidationError

from tasks.core.errors import InputError
from tasks.core.profiles.model import OperatorProfile

BUILT_IN_PROFILES = ("osok-1.1.9",)
"""The profiles that lie beside this module as NAME.yaml."""


def built_in_profile(name: str = "osok-1.1.9") -> OperatorProfile:
    """The profile that comes with the product.

    Raises:
        InputError: There is no built-in profile of that name.
    """
    if name not in BUILT_IN_PROFILES:
        known = ", ".join(BUILT_IN_PROFILES)
        raise InputError("find a built-in profile", name, known, "no such name", "Name a file instead.")
    text = files("tasks.core.profiles").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    return load_profile(text, f"built-in profile {name}")


def load_profile(text: str, source: str) -> OperatorProfile:
    """Read a profile from YAML or JSON.

    Args:
        text: The file's content.
        source: Where it came from, for messages.

    Raises:
        InputError: It is not YAML, or a field is missing, unknown or wrong; the message names each field.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("read an operator profile", source, "YAML", f"{error}"[:300]) from error
    try:
        return OperatorProfile.model_validate(content)
    except ValidationError as error:
        raise InputError("read an operator profile", source, found=_field_errors(error)) from error


def _field_errors(error: ValidationError) -> str:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_field_name(detail['loc'])}{_reason(detail['msg'])}" for detail in details)


def _field_name(location: tuple[int | str, ...]) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return f"{name}: " if name else ""


def _reason(message: str) -> str:
    plain = message.removeprefix("Value error, ")
    return plain[:1].lower() + plain[1:]
