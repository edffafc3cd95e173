"""The clusters of a run: named one by one, or those of a fleet's block that a label selector chooses."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field, field_validator

from blocks.cluster_fleet import ClusterBlock, ClusterFleet, FleetEntry
from blocks.kubernetes_cluster import KubernetesCluster
from tasks.connections.blocks import find_block, load_block
from tasks.core.errors import InputError
from tasks.core.label_selectors import parse_selector
from tasks.core.markdown import counted
from tasks.core.rollout.plans import FleetCluster
from tasks.core.rollout.windows import checked_selector


class FleetChoice(BaseModel):
    """Which clusters of a fleet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(
        default="",
        title="Fleet block",
        description="Name of an OSOK Cluster Fleet block, instead of clusters.",
    )
    selector: str = Field(
        default="",
        title="Clusters",
        description="Kubernetes label selector, for example env in (prod), region!=iad. Empty: all.",
    )

    @field_validator("selector")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        return checked_selector(value)


def choose_clusters(names: Sequence[str], fleet: FleetChoice) -> list[FleetCluster]:
    """The clusters of a run by the names of their blocks, each with its labels.

    Raises:
        InputError: Both or neither are given, there is no such fleet, or nothing is selected.
    """
    if bool(names) is bool(fleet.name):
        raise _refusal(
            "clusters or a fleet",
            f"{counted(len(names), 'cluster')} and fleet {fleet.name!r}",
            "Give one of the two.",
        )
    members = _members(load_block(ClusterFleet, fleet.name)) if fleet.name else _named(names)
    selector = parse_selector(fleet.selector)
    chosen = [member for member in members if selector.matches(member.labels)]
    if not chosen:
        raise _refusal("at least one cluster", f"none of {len(members)} for {fleet.selector!r}", "")
    return chosen


def _members(fleet: ClusterFleet) -> list[FleetCluster]:
    return [FleetCluster(_block_of(entry), entry.labels) for entry in fleet.clusters]


def _block_of(entry: FleetEntry) -> str:
    # discover-fleet saves a block of the entry's name for an OKE cluster.
    return entry.connection.block if isinstance(entry.connection, ClusterBlock) else entry.name


def _named(names: Sequence[str]) -> list[FleetCluster]:
    """A cluster whose block is not there stays in, and fails with that reason when its turn comes."""
    blocks = {name: find_block(KubernetesCluster, name) for name in names}
    return [FleetCluster(name, block.labels if block else {}) for name, block in blocks.items()]


def _refusal(expected: str, found: str, next_step: str) -> InputError:
    return InputError("choose the clusters", "clusters, fleet", expected, found, next_step)
