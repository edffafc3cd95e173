"""The report of a fleet opened as a file in a real browser: it asks for nothing and breaks no rule."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page

from deployments.rehearsal.prefect_ui import open_browser
from tasks.core.drift.items import DriftSeverity
from tasks.core.drift.report.history import drift_over_time, snapshot_of
from tasks.core.drift.report.page import Plots, ReportContent, render_report
from tasks.core.drift.report.plots import calendar_plot, history_plot
from tests.support.browsers import BROWSER
from tests.support.fleet_results import NOW, fleet, item, unreachable, verified

pytestmark = BROWSER

HOSTILE = (
    "<script>document.title='owned'</script>"
    "<img src='https://evil.example/x' onerror=\"document.title='owned'\">"
)


@dataclass
class Opened:
    """The page in a browser, and what happened while it was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    drifted = verified(HOSTILE, item(DriftSeverity.CRITICAL, found=HOSTILE))
    now = fleet(*(verified(f"fine-{number}") for number in range(40)), drifted, unreachable("dark", HOSTILE))
    snapshots = [snapshot_of(now), snapshot_of(fleet(drifted, at=NOW - timedelta(days=2)))]
    history = drift_over_time(snapshots, (one.cluster for one in now.clusters))
    content = ReportContent("prod", now, history)
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render_report(content, Plots(calendar_plot(content.months), history_plot(history))))
    with open_browser() as page:
        opened = Opened(page)
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("console", lambda message: opened.complaints.append(message.text))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(path.as_uri())
        yield opened


def test_it_asks_for_nothing_but_itself(report: Opened) -> None:
    outside = [url for url in report.requests if not url.startswith(("data:image/svg+xml", "file://"))]

    assert outside == []
    assert [url for url in report.requests if url.startswith("file://")] == [report.page.url]


def test_the_browser_complains_of_nothing(report: Opened) -> None:
    """A breach of the page's own security policy would be on the console."""
    assert report.complaints == []


def test_what_a_cluster_says_is_shown_and_not_run(report: Opened) -> None:
    assert report.page.title() == "Fleet prod, 2026-11-25 08:00 UTC"
    assert report.page.get_by_role("rowheader", name=HOSTILE).count() == 3
    assert report.page.locator("img").count() == 2


def test_the_plots_are_drawn_and_have_their_words(report: Opened) -> None:
    widths = report.page.evaluate("Array.from(document.images, one => one.naturalWidth)")

    assert widths == [1008, 1008]
    assert (
        report.page.get_by_role("img", name="Bar chart of the elements that end in each month").count() == 1
    )
    assert report.page.get_by_role("img", name="Area chart of drift in 2 verifications").count() == 1


def test_the_style_is_applied_under_the_pages_own_policy(report: Opened) -> None:
    colour = report.page.locator("td.state.critical").first.evaluate("cell => getComputedStyle(cell).color")

    assert colour == "rgb(140, 29, 24)"


def test_it_fits_into_a_window_without_scrolling_sideways(report: Opened) -> None:
    """Wide tables scroll in a frame of their own."""
    sizes = report.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )

    assert sizes[0] == sizes[1]


def test_tables_have_headers_and_frames_have_names(report: Opened) -> None:
    names = [frame.get_attribute("aria-label") for frame in report.page.locator(".wide").all()]

    assert names == [
        "Clusters that drifted or could not be verified",
        "Clusters that are as they should be, the certificate that ends first at the top",
        "Drift, item by item",
        "What ends when, per cluster",
    ]
    assert report.page.get_by_role("columnheader", name="First failure date").count() == 3


def test_the_numbers_of_a_plot_are_printed_though_they_are_folded(report: Opened) -> None:
    numbers = report.page.locator("details table")
    assert not numbers.is_visible()

    report.page.emulate_media(media="print")
    try:
        assert numbers.is_visible()
    finally:
        report.page.emulate_media(media="screen")
