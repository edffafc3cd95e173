"""What a person is asked about a repair, as it was shown: the decision is bound to it."""

import json
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA
from tasks.core.drift.repairs import Identity, RepairEntry, RepairVerdict
from tasks.core.manifests import sha256_hex


class ProposedRepair(BaseModel):
    """One item of one cluster."""

    model_config = DATA

    cluster: str = Field(description="Name of its block")
    key: str = Field(description="Names the item; equal in its events")
    expected: str = Field(description="What it would be put back to")
    step: str = Field(description="Id of the step that would write it")
    summary: str = Field(description="One line for people")


class RepairProposal(BaseModel):
    """Everything that a person was asked about at once."""

    model_config = DATA

    schema_version: int = Field(default=1, description="Of this document")
    run_count: int = Field(description="How often the run had been started; a retry asks again")
    repairs: tuple[ProposedRepair, ...] = Field(description="What was proposed")

    @property
    def digest(self) -> str:
        """SHA-256 of what is proposed, by which the decision is bound to it."""
        return sha256_hex(json.dumps([one.model_dump() for one in self.repairs], sort_keys=True).encode())

    @property
    def clusters(self) -> tuple[str, ...]:
        """The clusters that it is about."""
        return tuple(dict.fromkeys(one.cluster for one in self.repairs))

    def identities(self, cluster: str) -> frozenset[Identity]:
        """What was proposed for a cluster."""
        return frozenset((one.key, one.expected, one.step) for one in self.repairs if one.cluster == cluster)


def leave_to_others(
    cluster: str, entries: Iterable[RepairEntry], waiting: Mapping[str, RepairProposal]
) -> tuple[RepairEntry, ...]:
    """The entries of a cluster, with those not proposed that another run asks about already.

    It is all of the cluster or nothing: a step may write several items at once, and who approves one of them
    must have seen the others.

    Args:
        cluster: Name of its block.
        entries: All of its entries.
        waiting: What other runs asked and nobody answered, by the name of the run.
    """
    listed = tuple(entries)
    proposed = {entry.identity for entry in listed if entry.verdict is RepairVerdict.PROPOSED}
    asking = [name for name, other in waiting.items() if proposed <= other.identities(cluster)]
    if not proposed or not asking:
        return listed
    return in_place_of_asking(listed, RepairVerdict.ASKED, f"answer in flow run {asking[0]}, which waits")


def in_place_of_asking(
    entries: Iterable[RepairEntry], verdict: RepairVerdict, reason: str
) -> tuple[RepairEntry, ...]:
    """The entries, with another verdict and its reason for those that are proposed."""
    update = {"verdict": verdict, "reason": reason}
    return tuple(
        entry.model_copy(update=update) if entry.verdict is RepairVerdict.PROPOSED else entry
        for entry in entries
    )


def propose(entries: Mapping[str, Iterable[RepairEntry]], run_count: int) -> RepairProposal:
    """What is proposed for each cluster, given all its entries."""
    return RepairProposal(
        run_count=run_count,
        repairs=tuple(
            ProposedRepair(
                cluster=cluster,
                key=entry.item.key,
                expected=entry.item.expected,
                step=entry.step,
                summary=f"{entry.item.summary}: {entry.title}",
            )
            for cluster, listed in entries.items()
            for entry in listed
            if entry.verdict is RepairVerdict.PROPOSED
        ),
    )
