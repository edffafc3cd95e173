"""The report of a fleet: what stands on the page, that nothing a cluster says becomes markup, its weight."""

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

from typing_extensions import override

from tasks.core.drift.certificates import EndKind
from tasks.core.drift.items import DriftSeverity
from tasks.core.drift.report.calendar import calendar_rows, months
from tasks.core.drift.report.history import drift_over_time, snapshot_of
from tasks.core.drift.report.page import Plots, ReportContent, render_report
from tasks.core.drift.report.plots import calendar_plot, history_plot
from tasks.core.drift.results import FleetVerification
from tests.support.fleet_results import NOW, five_hundred, fleet, item, unreachable, verified

HOSTILE = "</th><script>alert(1)</script><img src=https://evil.example/x onerror=alert(2)>"
ESCAPED = (
    "&lt;/th&gt;&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=https://evil.example/x onerror=alert(2)&gt;"
)
VOID = ("meta", "img", "br")


class Outline(HTMLParser):
    """What a browser makes of the page: elements in order, attributes, text of the cells of each row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.feed(page)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    @override
    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    @override
    def handle_data(self, data: str) -> None:
        if self.open and {"th", "td"} & set(self.open):
            self.rows[-1][-1] += data

    def names(self) -> set[str]:
        """Which elements there are."""
        return {name for name, _ in self.elements}


def page_of(of: FleetVerification, *earlier: FleetVerification) -> str:
    history = drift_over_time(map(snapshot_of, (*earlier, of)), (one.cluster for one in of.clusters))
    content = ReportContent("prod", of, history)
    return render_report(content, Plots(calendar_plot(content.months), history_plot(history)))


def test_clusters_stand_worst_first_with_their_first_failure_date() -> None:
    outline = Outline(page_of(fleet(verified("fine"), verified("warned", item()), unreachable("dark"))))

    assert [row for row in outline.rows if row[0] in ("fine", "warned", "dark")][:3] == [
        ["dark", "UNREACHABLE", "", "no answer", "", "", "", "2026-11-24 08:00"],
        [
            "warned",
            "DRIFTED",
            "oci-service-operator.v1.1.9 / OLM 0.46.0",
            "WARNING",
            "95",
            "1 CHANGED: Deployment olm/olm-operator /spec/replicas",
            "2027-03-01",
            "2026-11-25 08:00",
        ],
        [
            "fine",
            "FINE",
            "oci-service-operator.v1.1.9 / OLM 0.46.0",
            "OK",
            "95",
            "none",
            "2027-03-01",
            "2026-11-25 08:00",
        ],
    ]


def test_an_item_says_what_by_whom_and_since_when() -> None:
    outline = Outline(page_of(fleet(verified("warned", item()))))

    assert [
        "warned",
        "WARNING",
        "CHANGED",
        "Deployment olm/olm-operator /spec/replicas",
        "1",
        "2",
        "mallory",
        "2026-11-25 03:00",
    ] in outline.rows


def test_the_calendar_has_a_row_for_each_cluster_the_first_to_fail_at_the_top() -> None:
    soon = verified("soon", leaf_end=NOW + timedelta(days=12))
    page = page_of(fleet(verified("later"), soon))

    calendar = [row for row in Outline(page).rows if len(row) == 10]

    assert calendar[0][4:] == [
        "Certificate",
        "Its issuer",
        "Another trusted CA",
        "OLM replaces it",
        "OLM rotates it",
        "Request is collected",
    ]
    assert calendar[1:] == [
        ["soon", "2026-12-07", "12", "certificate CN=kube", "2026-12-07", "2029-03-01", "", "", "", ""],
        ["later", "2027-03-01", "95", "certificate CN=kube", "2027-03-01", "2029-03-01", "", "", "", ""],
    ]
    assert "<strong>First failure date of the fleet: 2026-12-07</strong> (12 days), on soon." in page


def test_months_are_counted_from_now_with_the_past_and_the_rest_beside_them() -> None:
    rows = calendar_rows((verified("a"), verified("b", leaf_end=NOW - timedelta(days=1))))

    counted = months(rows, NOW)

    leaf, issuer = EndKind.LEAF_EXPIRES, EndKind.ISSUER_EXPIRES
    assert [month.label for month in counted][:3] == ["past", "2026-11", "2026-12"]
    assert [month.label for month in counted][-2:] == ["2028-11", "later"]
    assert {month.label: month.ends[leaf] for month in counted if month.ends[leaf]} == {
        "past": 1,
        "2027-03": 1,
    }
    assert {month.label: month.ends[issuer] for month in counted if month.ends[issuer]} == {"later": 2}


def test_plots_have_their_content_in_words() -> None:
    earlier = fleet(verified("a", item(DriftSeverity.CRITICAL), item(field="/b")), at=NOW - timedelta(days=2))

    pictures = [
        found["alt"]
        for tag, found in Outline(page_of(fleet(verified("a")), earlier)).elements
        if tag == "img"
    ]

    calendar, history = pictures
    assert calendar == "Bar chart of the elements that end in each month: 1 in 2027-03, 1 in later."
    assert history == (
        "Area chart of drift in 2 verifications: 2 items on 2026-11-23, "
        "at most 2 on 2026-11-23, 0 on 2026-11-25."
    )


def test_a_first_verification_has_no_drift_over_time() -> None:
    assert "This is the first verification of the last 30 days." in page_of(fleet(verified("a")))


def test_nothing_that_a_cluster_says_becomes_markup() -> None:
    one = verified(HOSTILE, item(found=HOSTILE, field=HOSTILE)).model_copy(update={"operator": HOSTILE})
    page = page_of(fleet(one, unreachable("dark", error=HOSTILE)))

    outline = Outline(page)

    assert "script" not in outline.names()
    assert [
        found["src"] for tag, found in outline.elements if tag == "img" and "data:" not in str(found)
    ] == []
    assert page.count(ESCAPED) >= 7
    assert HOSTILE not in page
    assert not [name for _, found in outline.elements for name in found if name.startswith("on")]


def test_the_page_asks_for_nothing_and_forbids_what_is_not_its_own() -> None:
    page = page_of(fleet(verified("a", item())), fleet(verified("a"), at=NOW - timedelta(days=2)))
    outline = Outline(page)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = [
        found["content"]
        for _, found in outline.elements
        if found.get("http-equiv") == "Content-Security-Policy"
    ]

    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    links = [found.get("href", found.get("src")) for _, found in outline.elements]
    assert {
        str(link)[:1] for link in links if link and not link.startswith("data:image/svg+xml;base64,")
    } == {"#"}
    assert outline.names().isdisjoint({"script", "link", "iframe", "object", "embed", "form"})
    assert "style" not in {name for _, found in outline.elements for name in found}
    assert "url(" not in style
    assert "@import" not in style


def test_headings_and_tables_are_those_of_an_accessible_page() -> None:
    outline = Outline(page_of(fleet(verified("a"), verified("b", item()))))

    levels = [int(tag[1]) for tag, _ in outline.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert {found.get("scope") for tag, found in outline.elements if tag == "th"} == {"col", "row"}
    assert [found for tag, found in outline.elements if tag == "html"] == [{"lang": "en"}]
    assert outline.open == []


def test_the_report_of_five_hundred_clusters_is_lighter_than_a_megabyte() -> None:
    now = five_hundred()
    earlier = [now.model_copy(update={"at": NOW - timedelta(hours=12 * number)}) for number in range(1, 60)]

    page = page_of(now, *earlier)

    rows = Outline(page).rows
    assert len([row for row in rows if len(row) == 10]) == 501
    assert [row[0] for row in rows].count("cluster-499") == 2
    assert len(page.encode()) < 1_000_000


def test_items_beyond_the_bound_are_counted() -> None:
    items = [item(field=f"/{number}") for number in range(301)]

    page = page_of(fleet(verified("a", *items)))

    assert "… and 1 more on clusters that are not worse than these" in page


def test_the_same_results_give_the_same_bytes() -> None:
    assert page_of(fleet(verified("a", item()))) == page_of(fleet(verified("a", item())))
