"""What people read about a verification: the status of the fleet, and the drift of one cluster."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from tasks.core.drift.items import DriftItem, DriftSeverity
from tasks.core.drift.repair_reports import repair_section
from tasks.core.drift.results import ClusterVerification, FleetVerification, VerificationState
from tasks.core.markdown import bullets, escaped, table

ROWS = 50
"""So many clusters stand in the table of the fleet; the others are counted."""
_STATES = list(VerificationState)
_SEVERITIES = [None, *DriftSeverity]
_HEADERS = ("Cluster", "State", "Version", "Health", "Certificate days", "Drift", "Last verified")
_ITEM_HEADERS = ("Severity", "Kind", "Object", "Field", "Expected", "Found", "Owner", "Since")


def fleet_status(fleet: FleetVerification, handed_on: Iterable[str] = ()) -> str:
    """One table, the worst clusters first; from `ROWS` on the rest is folded into counts.

    Args:
        fleet: What was found.
        handed_on: What became of metrics and report, a line for each.
    """
    ordered = worst_clusters_first(fleet)
    shown, folded = ordered[:ROWS], ordered[ROWS:]
    parts = [
        f"**{escaped(fleet.summary())}**\n",
        _first_end(fleet),
        table(_HEADERS, [_row(one, fleet.at) for one in shown]),
        _folded(folded),
        _repeated(fleet.clusters),
        _handed_on(handed_on),
    ]
    return "\n".join(part for part in parts if part)


def cluster_page(one: ClusterVerification, now: datetime) -> str:
    """The drift table of one cluster, its dates, and what was not looked at."""
    parts = [
        f"# {escaped(one.cluster)}: {one.state}\n",
        f"**Why:** {escaped(one.error)}\n" if one.error else "",
        table(
            ("", ""),
            (
                ("Kubernetes", one.kubernetes),
                ("OLM", one.olm),
                ("Operator", one.operator),
                ("Last verified", _when(one.verified_at)),
            ),
        ),
        _items_section(one.items),
        "## Repair\n\n" + repair_section(one.repair) if one.repair and one.repair.entries else "",
        _calendar_section(one, now),
        "## Not looked at\n\n" + bullets(one.unseen) if one.unseen else "",
        _ignored_section(one),
    ]
    return "\n".join(part for part in parts if part)


def worst_clusters_first(fleet: FleetVerification) -> list[ClusterVerification]:
    """By severity, number of items and days of the certificate; unknown is worse than a warning."""
    return sorted(fleet.clusters, key=lambda one: _rank(one, fleet.at))


def repeated(clusters: Iterable[ClusterVerification]) -> list[tuple[str, int]]:
    """Drift that several clusters have in common and how many they are, at most ten."""
    counted = Counter(item.summary for one in clusters for item in one.items)
    return [(summary, number) for summary, number in counted.most_common(10) if number > 1]


def drift_text(one: ClusterVerification) -> str:
    """How many items of which kind, and the worst of them."""
    if not one.items:
        return "none" if not one.error else ""
    kinds = Counter(item.kind.value for item in one.items)
    counted = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return f"{counted}: {one.items[0].ref} {one.items[0].field}".rstrip()


def health_text(one: ClusterVerification) -> str:
    """The worst severity, or why it is not known."""
    if one.error:
        return one.error[:160]
    return one.worst.value if one.worst else "OK"


def version_text(one: ClusterVerification) -> str:
    """What is installed."""
    return " / ".join(part for part in (one.operator, one.olm and f"OLM {one.olm}") if part)


def _rank(one: ClusterVerification, now: datetime) -> tuple[int, int, int, int, str]:
    days = one.certificate_days(now)
    severity = _SEVERITIES.index(one.worst)
    # Two states count as equally bad: one that nobody could look at may be anything.
    unknown = _STATES.index(one.state) >= _STATES.index(VerificationState.UNVERIFIED)
    critical = one.worst is DriftSeverity.CRITICAL
    return (
        -(3 if critical else 2 if unknown else 0),
        -severity,
        -len(one.items),
        10**6 if days is None else days,
        one.cluster,
    )


def _row(one: ClusterVerification, now: datetime) -> tuple[str, ...]:
    days = one.certificate_days(now)
    return (
        one.cluster,
        one.state.value,
        version_text(one),
        health_text(one),
        "" if days is None else str(days),
        drift_text(one),
        _when(one.verified_at),
    )


def _first_end(fleet: FleetVerification) -> str:
    first = fleet.first_end
    if first is None:
        return ""
    cluster, entry = first
    days = (entry.at - fleet.at).days
    text = f"{entry.at:%Y-%m-%d} ({days} days): {entry.kind} on {cluster}, {entry.subject}"
    return f"First failure date of the fleet: {escaped(text)}\n"


def _folded(rest: list[ClusterVerification]) -> str:
    if not rest:
        return ""
    counts = Counter(one.state.value for one in rest)
    text = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    return f"… and {len(rest)} more clusters, none worse than these: {text}.\n"


def _repeated(clusters: Iterable[ClusterVerification]) -> str:
    """The same drift on several clusters has one cause: a list of it says more than many rows."""
    rows = [(summary, str(number)) for summary, number in repeated(clusters)]
    return "## The same on several clusters\n\n" + table(("Drift", "Clusters"), rows) if rows else ""


def _handed_on(lines: Iterable[str]) -> str:
    shown = list(lines)
    return "## Metrics and report\n\n" + bullets(shown) if shown else ""


def _items_section(items: tuple[DriftItem, ...]) -> str:
    if not items:
        return "## Drift\n\nNone: everything that was looked at is as it should be.\n"
    return f"## Drift ({len(items)})\n\n" + table(_ITEM_HEADERS, map(_item_row, items))


def _item_row(item: DriftItem) -> tuple[str, ...]:
    owner = f"{item.owner.manager}, {_when(item.owner.at)}" if item.owner else "unknown"
    returns = f" (came back {item.returns} times)" if item.returns else ""
    return (
        item.severity.value,
        item.kind.value + returns,
        str(item.ref),
        item.field,
        item.expected,
        item.found,
        owner,
        _when(item.since),
    )


def _calendar_section(one: ClusterVerification, now: datetime) -> str:
    if not one.calendar:
        return ""
    rows = [
        (f"{entry.at:%Y-%m-%d}", str((entry.at - now).days), entry.kind.value, entry.subject)
        for entry in one.calendar
    ]
    return "## What ends when\n\n" + table(("Date", "Days", "What", "Of"), rows)


def _ignored_section(one: ClusterVerification) -> str:
    if not one.ignored:
        return ""
    rows = [(each.item.summary, each.rule.reason, f"{each.rule.until:%Y-%m-%d}") for each in one.ignored]
    return "## Ignored\n\n" + table(("Drift", "Reason", "Until"), rows)


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC" if at else "never"
