"""The OCI SDK, imported when it is first needed: the import takes about a second and 80 MB."""

import importlib
from typing import Any

Untyped = Any
"""What the SDK gives and takes: it carries no types."""


def oci() -> Untyped:
    """The SDK's root package; its services are imported by themselves when they are used."""
    return importlib.import_module("oci")
