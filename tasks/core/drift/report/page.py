"""Renders the report: one HTML page that loads nothing and runs nothing, wherever it is opened.

Everything that a cluster says is text to the template: Jinja2 escapes all of it. The page's own content
security policy (CSP Level 3) forbids scripts, and every resource but the two plots, which are in it.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from tasks.core.drift.items import DriftItem, DriftSeverity
from tasks.core.drift.report.calendar import ELEMENTS, CalendarRow, Month, calendar_rows, months
from tasks.core.drift.report.history import WINDOW, HistoryPoint
from tasks.core.drift.reports import drift_text, health_text, repeated, version_text, worst_clusters_first
from tasks.core.drift.results import FleetVerification, VerificationState
from tasks.core.markdown import counted

MOST_ITEMS = 300
"""So many items are told one by one, those of the worst clusters first."""
_LONGEST = 300


@dataclass(frozen=True)
class ReportContent:
    """What the page is about.

    Attributes:
        name: The name of the fleet.
        fleet: What was found.
        history: Drift over time, this verification included.
    """

    name: str
    fleet: FleetVerification
    history: tuple[HistoryPoint, ...]

    @property
    def rows(self) -> tuple[CalendarRow, ...]:
        """The calendar."""
        return calendar_rows(self.fleet.clusters)

    @property
    def months(self) -> tuple[Month, ...]:
        """The calendar, counted by month."""
        return months(self.rows, self.fleet.at)


@dataclass(frozen=True)
class Plots:
    """The plots as SVG documents."""

    calendar: str
    history: str


@dataclass(frozen=True)
class Picture:
    """A plot as the page shows it.

    Attributes:
        source: A data URL.
        alternative: What it shows, in words.
    """

    source: str
    alternative: str


def render_report(content: ReportContent, plots: Plots) -> str:
    """The page."""
    fleet = content.fleet
    worst = worst_clusters_first(fleet)
    style = _part("page.css")
    items = [(one.cluster, item) for one in worst for item in one.items]
    template = _environment().from_string(_part("page.html.j2"))
    return template.render(
        content=content,
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        counts=[(state, fleet.count(state)) for state in VerificationState],
        to_look_at=[one for one in worst if one.state is not VerificationState.FINE],
        fine=[one for one in worst if one.state is VerificationState.FINE],
        repeated=repeated(fleet.clusters),
        items=items[:MOST_ITEMS],
        items_left=len(items) - len(items[:MOST_ITEMS]),
        elements=ELEMENTS,
        severities=tuple(reversed(DriftSeverity)),
        window_days=WINDOW.days,
        calendar=Picture(_data_url(plots.calendar), calendar_text(content.months)),
        history=Picture(_data_url(plots.history), history_text(content.history)),
    )


def calendar_text(counted: Iterable[Month]) -> str:
    """The plot of the calendar in words."""
    busy = [(month, sum(month.ends.values())) for month in counted]
    shown = ", ".join(f"{number} in {month.label}" for month, number in busy if number)
    return f"Bar chart of the elements that end in each month: {shown or 'none'}."


def history_text(points: Sequence[HistoryPoint]) -> str:
    """The plot of drift over time in words."""
    if not points:
        return "Nothing is known of earlier verifications."
    first, last = points[0], points[-1]
    most = max(points, key=lambda point: sum(point.items.values()))
    return (
        f"Area chart of drift in {counted(len(points), 'verification')}: "
        f"{counted(sum(first.items.values()), 'item')} on "
        f"{_date(first.at)}, at most {sum(most.items.values())} on {_date(most.at)}, "
        f"{sum(last.items.values())} on {_date(last.at)}."
    )


def _environment() -> Environment:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "date": _date,
        "minute": _minute,
        "days": _days,
        "short": _short,
        "drift": drift_text,
        "health": health_text,
        "version": version_text,
        "css": _css_class,
        "owner": _owner,
    }
    return environment


def _part(name: str) -> str:
    return files("tasks.core.drift.report").joinpath(name).read_text(encoding="utf-8")


def _data_url(svg: str) -> str:
    """As an image an SVG document runs nothing and loads nothing (HTML, "image" processing of SVG)."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _date(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"


def _minute(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else "never"


def _days(at: datetime, now: datetime) -> int:
    return (at - now).days


def _short(text: str) -> str:
    """Without the marks that messages have for Markdown."""
    plain = text.replace("`", "")
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def _owner(item: DriftItem) -> str:
    return item.owner.manager if item.owner else "unknown"


def _css_class(word: VerificationState | DriftSeverity) -> str:
    return word.value.lower().replace("_", "-")
