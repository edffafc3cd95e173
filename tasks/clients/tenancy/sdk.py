"""The OCI SDK, imported when it is first needed: the import takes about a second and 80 MB."""

import importlib
from typing import Any

Untyped = Any
"""What the SDK gives and takes: it carries no types."""


def oci() -> Untyped:
    """The SDK's root package; its services are imported by themselves when they are used."""
    return importlib.import_module("oci")


def realm_domain(region: str) -> str:
    """The domain under which a region's services are, such as oraclecloud.com."""
    regions = oci().regions
    return str(regions.REALMS.get(regions.REGION_REALMS.get(region, ""), "oraclecloud.com"))


def region_of(ocid: str) -> str:
    """The region in an OCID, which older ones have as three letters; empty where there is none."""
    written = (ocid.split(".") + [""] * 4)[3]
    return str(oci().regions.REGIONS_SHORT_NAMES.get(written, written))
