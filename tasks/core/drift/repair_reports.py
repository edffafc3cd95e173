"""What people read about a repair: the plan of all clusters before it, and what became of it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tasks.core.drift.proposals import RepairProposal
from tasks.core.drift.repairs import ClusterRepair, RepairEntry, RepairVerdict
from tasks.core.markdown import bullets, counted, escaped, table

_HEADERS = ("Object", "Field", "Expected", "Found", "Owner", "Step", "What becomes of it", "Why")
_FORM_LINES = 10


def repair_page(repairs: Mapping[str, ClusterRepair], asked: str = "") -> str:
    """Every item of every cluster with its owner, its step and what becomes of it.

    Args:
        repairs: By cluster.
        asked: What a person is asked, above it all; empty when nobody is.
    """
    parts = [f"{asked}\n" if asked else "", f"**{escaped(summarize(repairs.values()))}**\n"]
    for cluster, repair in repairs.items():
        if repair.entries or repair.error:
            parts += [f"## {escaped(cluster)}\n", repair_section(repair)]
    return "\n".join(part for part in parts if part)


def repair_section(repair: ClusterRepair) -> str:
    """The same of one cluster."""
    parts = [
        f"**Failed:** {escaped(repair.error)}\n" if repair.error else "",
        table(_HEADERS, map(_row, repair.entries)) if repair.entries else "",
        "Written:\n\n" + bullets(repair.changed) if repair.changed else "",
    ]
    return "\n".join(part for part in parts if part)


def form_text(proposal: RepairProposal) -> str:
    """What the form says; Prefect's form shows no tables, so the artifact has all of it."""
    shown = [f"{one.cluster}: {one.summary}" for one in proposal.repairs[:_FORM_LINES]]
    rest = len(proposal.repairs) - len(shown)
    lines = bullets([*shown, *([f"… and {rest} more"] if rest else [])])
    return (
        f"Repair **{counted(len(proposal.repairs), 'item')}** on "
        f"{counted(len(proposal.clusters), 'cluster')}?\n\n{lines}\n"
        "All of it, with owners and steps, is in this run's artifact **drift-repair**. The clusters are "
        f"looked at again first, and nothing else is repaired. Decision is bound to `{proposal.digest}`.\n"
    )


def summarize(repairs: Iterable[ClusterRepair]) -> str:
    """One line: how many items are repaired, failed, proposed and so on; empty without any."""
    counts = Counter(entry.verdict for repair in repairs for entry in repair.entries)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in RepairVerdict if counts[verdict])


def _row(entry: RepairEntry) -> tuple[str, ...]:
    item = entry.item
    owner = item.owner.manager if item.owner else "unknown"
    return (
        f"{item.kind} {item.ref}",
        item.field,
        item.expected,
        item.found,
        owner,
        entry.title,
        entry.verdict.value,
        entry.reason,
    )
