"""The certificate calendar of a fleet: what ends when, per cluster and element, and per month."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from tasks.core.drift.certificates import EndKind
from tasks.core.drift.results import ClusterVerification

MONTHS = 25
"""So many months are shown one by one: this one and two years, as long as OLM's own certificates last."""
PAST, LATER = "past", "later"

ELEMENTS: Mapping[EndKind, str] = {
    EndKind.LEAF_EXPIRES: "Certificate",
    EndKind.ISSUER_EXPIRES: "Its issuer",
    EndKind.TRUSTED_CA_EXPIRES: "Another trusted CA",
    EndKind.OLM_REPLACES: "OLM replaces it",
    EndKind.OLM_ROTATES: "OLM rotates it",
    EndKind.REQUEST_COLLECTED: "Request is collected",
}
"""What people read for each kind of end, in the order of the columns."""


@dataclass(frozen=True)
class CalendarRow:
    """The dates of one cluster.

    Attributes:
        first: The first date at which something stops working.
        kind: What happens then.
        subject: To which certificate or object.
        ends: The earliest date of each kind that there is.
    """

    cluster: str
    first: datetime
    kind: EndKind
    subject: str
    ends: Mapping[EndKind, datetime]


@dataclass(frozen=True)
class Month:
    """What ends in one month.

    Attributes:
        label: `2026-12`; `past` for what has ended, `later` for what is beyond the months shown.
    """

    label: str
    ends: Mapping[EndKind, int]


def calendar_rows(clusters: Iterable[ClusterVerification]) -> tuple[CalendarRow, ...]:
    """A row for each cluster with a date, the one that fails first at the top."""
    rows = []
    for one in clusters:
        first = one.first_end
        if first is None:
            continue
        ends: dict[EndKind, datetime] = {}
        for entry in one.calendar:
            ends[entry.kind] = min(entry.at, ends.get(entry.kind, entry.at))
        rows.append(CalendarRow(one.cluster, first.at, first.kind, first.subject, ends))
    return tuple(sorted(rows, key=lambda row: (row.first, row.cluster)))


def months(rows: Iterable[CalendarRow], now: datetime) -> tuple[Month, ...]:
    """How many elements end in each month from now on, empty months included."""
    counted: Counter[tuple[str, EndKind]] = Counter()
    labels = [_label(now, number) for number in range(MONTHS)]
    for row in rows:
        for kind, at in row.ends.items():
            name = f"{at:%Y-%m}"
            place = PAST if at < now else name if name in labels else LATER
            counted[place, kind] += 1
    return tuple(
        Month(label, {kind: counted[label, kind] for kind in ELEMENTS}) for label in (PAST, *labels, LATER)
    )


def _label(now: datetime, number: int) -> str:
    year, month = divmod(now.year * 12 + now.month - 1 + number, 12)
    return f"{year}-{month + 1:02}"
