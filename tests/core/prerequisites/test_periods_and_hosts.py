"""R26, R27: ISO 8601 periods at their shortest, and wildcards of host names."""

from datetime import timedelta

import pytest

from tasks.core.errors import InputError
from tasks.core.prerequisites.host_names import uncovered_hosts
from tasks.core.prerequisites.periods import shortest_length


@pytest.mark.parametrize(
    ("period", "days"),
    [
        ("P45D", 45),
        ("P7W", 49),
        ("PT1080H", 45),
        ("P1M", 28),
        ("P2M", 59),
        ("P3M", 89),
        ("P12M", 365),
        ("P1Y", 365),
        ("P1M17D", 45),
        ("P1Y2M3D", 427),
        ("P0D", 0),
    ],
)
def test_a_period_counts_at_its_shortest(period: str, days: int) -> None:
    assert shortest_length(period) == timedelta(days=days)


@pytest.mark.parametrize("text", ["", "45", "45 days", "P", "P45", "PT"])
def test_what_is_no_period_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="ISO 8601"):
        shortest_length(text)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("shop.example.com", "shop.example.com"),
        ("Shop.Example.com", "shop.example.COM"),
        ("*.example.com", "shop.example.com"),
        ("*.example.com", "*.example.com"),
        ("shop.example.com", "shop.example.com."),
    ],
)
def test_a_name_covers_its_host(name: str, host: str) -> None:
    assert uncovered_hosts([host], [name]) == ()


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("*.example.com", "example.com"),
        ("*.example.com", "a.shop.example.com"),
        ("*.com", "example.com"),
        ("*", "example"),
        ("s*.example.com", "shop.example.com"),
        ("shop.*.com", "shop.example.com"),
        ("shop.example.com", "*.example.com"),
        ("*.example.com", "*.shop.example.com"),
    ],
)
def test_a_wildcard_stands_for_one_whole_first_label_only(name: str, host: str) -> None:
    assert uncovered_hosts([host], [name]) == (host,)
