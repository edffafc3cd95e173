"""ISO 8601 periods as OCI Certificates writes them, counted at their shortest."""

from datetime import timedelta

import isodate

from tasks.core.errors import InputError

_DAYS_OF_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def shortest_length(period: str) -> timedelta:
    """The shortest time that a period can stand for.

    A month has 28 days at its shortest, a year 365: `P1M` is 28 days, `P2M` 59, `P1Y` 365, `P7W` 49,
    `PT1080H` 45.

    Raises:
        InputError: It is no ISO 8601 period.
    """
    duration = _parse(period)
    if isinstance(duration, timedelta):
        return duration
    months = int(duration.years * 12 + duration.months)
    whole_years, rest = divmod(months, 12)
    days = whole_years * 365 + _shortest_months(rest)
    rest_of_it: timedelta = duration.tdelta
    return timedelta(days=days) + rest_of_it


def _parse(period: str) -> timedelta | isodate.Duration:
    expected = "ISO 8601 such as P45D"
    if not any(character.isdigit() for character in period):
        # The library reads "PT" as a period of nothing.
        raise InputError("read a period", period, expected, "no number")
    try:
        return isodate.parse_duration(period)
    except (isodate.ISO8601Error, TypeError, ValueError) as error:
        raise InputError("read a period", period, expected, f"{error}"[:100]) from error


def _shortest_months(count: int) -> int:
    twice = _DAYS_OF_MONTHS * 2
    return min(sum(twice[start : start + count]) for start in range(12))
