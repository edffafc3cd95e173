"""The two plots of the report as SVG. Matplotlib takes a second to import: only reports pay for it.

Import this module where a plot is drawn, not at the top of another one.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import StringIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tasks.core.drift.certificates import EndKind
from tasks.core.drift.items import DriftSeverity
from tasks.core.drift.report.calendar import ELEMENTS, LATER, Month
from tasks.core.drift.report.history import HistoryPoint

# Okabe and Ito's colours, which people with any colour vision tell apart; hatches do so in print.
_END_STYLES: Mapping[EndKind, tuple[str, str]] = {
    EndKind.LEAF_EXPIRES: ("#d55e00", ""),
    EndKind.ISSUER_EXPIRES: ("#0072b2", "//"),
    EndKind.TRUSTED_CA_EXPIRES: ("#56b4e9", "\\\\"),
    EndKind.OLM_REPLACES: ("#009e73", "xx"),
    EndKind.OLM_ROTATES: ("#f0e442", ""),
    EndKind.REQUEST_COLLECTED: ("#cc79a7", "--"),
}
_SEVERITY_COLOURS: Mapping[DriftSeverity, str] = {
    DriftSeverity.CRITICAL: "#b3261e",
    DriftSeverity.WARNING: "#e69f00",
    DriftSeverity.NOTE: "#9ecae1",
}
_SIZE = (10.5, 3.2)


def calendar_plot(months: Sequence[Month]) -> str:
    """Stacked bars: how many elements end in each month; without those that end later, which are most."""
    months = [month for month in months if month.label != LATER]
    with _settings():
        figure, axes = _figure("Elements that end")
        places = range(len(months))
        bottoms = [0] * len(months)
        for kind, text in ELEMENTS.items():
            heights = [month.ends[kind] for month in months]
            if any(heights):
                colour, hatch = _END_STYLES[kind]
                axes.bar(
                    places,
                    heights,
                    bottom=bottoms,
                    label=text,
                    color=colour,
                    hatch=hatch,
                    edgecolor="black",
                    lw=0.4,
                )
                bottoms = [below + height for below, height in zip(bottoms, heights, strict=True)]
        axes.set_xticks(places, [month.label for month in months], rotation=60, ha="right")
        _legend(axes)
        return _svg(figure)


def history_plot(points: Sequence[HistoryPoint]) -> str:
    """Steps: items by severity, stacked, and the clusters that could not be verified as a line."""
    with _settings():
        figure, axes = _figure("Items, clusters")
        times = [point.at for point in points]
        severities = tuple(_SEVERITY_COLOURS)
        # Matplotlib's plots take datetimes; its annotations know of numbers only.
        axes.stackplot(
            times,  # type: ignore[arg-type]
            [[point.items[severity] for point in points] for severity in severities],
            labels=[f"{severity} items" for severity in severities],
            colors=[_SEVERITY_COLOURS[severity] for severity in severities],
            step="post",
            edgecolor="black",
            linewidth=0.4,
        )
        axes.step(
            times,  # type: ignore[arg-type]
            [point.unverified for point in points],
            where="post",
            label="clusters not verified",
            color="black",
            ls="--",
            marker=".",
        )
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        _legend(axes)
        return _svg(figure)


def _settings() -> AbstractContextManager[None]:
    return mpl.rc_context(
        {
            # The same input gives the same bytes.
            "svg.hashsalt": "osok-fleet",
            "svg.fonttype": "path",
            "hatch.linewidth": 0.5,
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def _figure(label: str) -> tuple[Figure, Axes]:
    # Without pyplot: no window system, and no list of figures that somebody has to empty.
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    axes.set_ylabel(label)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, axis="y", lw=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _legend(axes: Axes) -> None:
    """With room above what was drawn."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="upper right", frameon=False, ncols=3)
    axes.set_ylim(0, max(axes.get_ylim()[1] * 1.25, 1))


def _svg(figure: Figure) -> str:
    text = StringIO()
    # Without the date and the version of the program, which would make two equal plots differ.
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()
