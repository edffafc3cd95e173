"""The clusters of a fleet, by name, with labels to select them by and the way to reach each."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, model_validator

from blocks.kubernetes_cluster import OkeEndpoint

DiscoveredEndpoint = Literal[OkeEndpoint.AUTO, OkeEndpoint.PUBLIC, OkeEndpoint.PRIVATE]
"""An address of one's own belongs to one cluster, so that it is set in that cluster's block."""
BlockName = Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClusterBlock(_Part):
    """A cluster that has an OSOK Kubernetes Cluster block of its own."""

    kind: Literal["block"] = Field(default="block", description="An OSOK Kubernetes Cluster block.")
    block: BlockName = Field(description="The block's name.")


class OkeConnection(_Part):
    """An OKE cluster; discover-fleet saves a block of the entry's name for it."""

    kind: Literal["oke"] = Field(default="oke", description="An OKE cluster.")
    tenancy: BlockName = Field(description="Name of the OSOK OCI Tenancy block to sign in with.")
    region: str = Field(min_length=1, description="The cluster's region.")
    cluster_id: str = Field(pattern=r"^ocid1\.cluster\.", description="The cluster's OCID.")
    endpoint: DiscoveredEndpoint = Field(
        default=OkeEndpoint.AUTO, description="Which address of its API server to use."
    )


class EntryOrigin(StrEnum):
    """Who wrote an entry."""

    STATIC = "STATIC"
    """A person; discovery leaves it alone."""
    DISCOVERED = "DISCOVERED"
    """discover-fleet, which replaces it."""


class FleetEntry(_Part):
    """One cluster of the fleet."""

    name: BlockName = Field(description="The cluster's name in runs and reports.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels to select the cluster by, for example env: prod."
    )
    connection: Annotated[ClusterBlock | OkeConnection, Field(discriminator="kind")] = Field(
        description="How to reach the cluster."
    )
    origin: EntryOrigin = Field(default=EntryOrigin.STATIC, description="Who wrote this entry.")


class ClusterFleet(Block):
    """Clusters that are worked on together. Written by hand, by discover-fleet, or both."""

    _block_type_name: ClassVar[str] = "OSOK Cluster Fleet"
    _block_type_slug: ClassVar[str] = "osok-cluster-fleet"
    _description: ClassVar[str] = "The clusters of a fleet, with labels to select them by."

    clusters: list[FleetEntry] = Field(default_factory=list, description="The clusters, each once.")

    @model_validator(mode="after")
    def _is_consistent(self) -> "ClusterFleet":
        names: dict[str, list[str]] = {}
        for entry in self.clusters:
            names.setdefault(target_of(entry), []).append(entry.name)
        problems = [
            *(f"two clusters have the name {name}" for name in _twice(each.name for each in self.clusters)),
            *(f"{target} has the names {', '.join(of)}" for target, of in names.items() if len(of) > 1),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self


def target_of(entry: FleetEntry) -> str:
    """What an entry leads to: a block's name or a cluster's OCID."""
    connection = entry.connection
    return connection.block if isinstance(connection, ClusterBlock) else connection.cluster_id


def _twice(values: Iterable[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]
