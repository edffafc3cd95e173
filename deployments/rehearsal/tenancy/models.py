"""JSON on the wire, made and read with the SDK's own models.

A field that the SDK does not know can be neither sent nor received: a wrong name on our side of the wire is
not hidden by the same wrong name on the other.
"""

import json
import logging
from functools import cache
from importlib import import_module
from typing import Any

from oci.base_client import BaseClient, merge_type_mappings

from deployments.rehearsal.tenancy.answers import RefusedError

Model = Any
"""An instance of one of the SDK's model classes, which carry no types."""
Json = Any
"""Decoded JSON, or what can be encoded as JSON."""


class _Codec(BaseClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's own serialiser, without a client around it."""

    def __init__(self, mapping: dict[str, Any]) -> None:
        # The base class's constructor would want credentials and an address.
        self.complex_type_mappings = mapping
        self.type_mappings = merge_type_mappings(self.primitive_type_map, mapping)
        self.skip_deserialization = False
        self._allow_control_chars = None
        self.logger = logging.getLogger(__name__)


@cache
def _codec(package: str) -> _Codec:
    models = import_module(f"oci.{package}.models")
    return _Codec(getattr(models, f"{package}_type_mapping"))


def encode(package: str, value: Model) -> Json:
    """A model, or a list of them, as JSON data with the names of the wire."""
    return _codec(package).sanitize_for_serialization(value)


def decode(package: str, type_name: str, body: bytes) -> Model:
    """Read a request's body into the SDK's model for it.

    Raises:
        RefusedError: It is not JSON, or has a field that the model does not know (400).
    """
    try:
        sent = json.loads(body)
    except ValueError as error:
        raise RefusedError(400, "InvalidParameter", "the body is not JSON") from error
    model = _codec(package).deserialize_response_data(body, type_name)
    unknown = _unknown_fields(sent, encode(package, model), type_name)
    if unknown:
        raise RefusedError(400, "InvalidParameter", f"unknown fields: {', '.join(unknown)}")
    return model


def summary(package: str, type_name: str, full: Model, **renamed: str) -> Model:
    """Make a summary of a full model: fields of the same name, and those that `renamed` maps from it."""
    made = getattr(import_module(f"oci.{package}.models"), type_name)()
    for attribute in made.swagger_types:
        value = getattr(full, renamed.get(attribute, attribute), None)
        if value is not None:
            setattr(made, attribute, value)
    return made


def _unknown_fields(sent: Json, understood: Json, path: str) -> list[str]:
    if isinstance(sent, list) and isinstance(understood, list):
        pairs = zip(sent, understood, strict=False)
        return [field for one, other in pairs for field in _unknown_fields(one, other, path)]
    if not isinstance(sent, dict) or not isinstance(understood, dict):
        return []
    found = [f"{path}.{key}" for key, value in sent.items() if key not in understood and value is not None]
    for key in sent.keys() & understood.keys():
        found += _unknown_fields(sent[key], understood[key], f"{path}.{key}")
    return found
