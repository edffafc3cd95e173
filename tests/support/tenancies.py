"""Blocks for the rehearsal's tenancy, as a person saves them before the first run."""

from collections.abc import Mapping
from pathlib import Path

from blocks.oci_tenancy import ConfigFile, OciTenancy
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place


def save_tenancy_block(
    server: TenancyServer,
    place: Place,
    name: str,
    folder: Path,
    region_endpoints: Mapping[str, str] | None = None,
) -> str:
    """Save a block that signs with a configuration file in a folder of its own; gives its name."""
    folder = folder / name
    folder.mkdir()
    block = OciTenancy(
        tenancy_id=place.tenancy.id,
        region=server.region,
        home_region=place.tenancy.home_region,
        compartment_id=place.compartment_id,
        authentication=ConfigFile(path=place.signatory.write_config(folder, server.region)),
        endpoint=server.url,
        region_endpoints=dict(region_endpoints or {}),
    )
    block.save(name, overwrite=True)
    return name
