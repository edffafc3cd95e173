"""Maintenance windows: when work may begin on a cluster.

The cron syntax is the one of Debian's cron, daylight saving included: a time that a spring night skips begins
right after the change; a time that an autumn night has twice begins once, the first time.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.core.errors import InputError
from tasks.core.label_selectors import parse_selector

_CRON_FIELDS = 5
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class MaintenanceWindow(BaseModel):
    """When work may begin. What has begun is finished, also after the window has closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: str = Field(
        title="Opens at",
        description="When it opens, as five cron fields: 0 22 * * MON-FRI is 22:00 on working days.",
    )
    duration: timedelta = Field(
        gt=timedelta(0),
        le=timedelta(days=7),
        title="Stays open for",
        description="ISO 8601 duration, for example PT4H; hours that pass, not hours on the clock.",
    )
    time_zone: str = Field(
        default="UTC", title="Time zone", description="IANA name, for example Europe/Berlin."
    )
    selector: str = Field(
        default="",
        title="Clusters",
        description="Kubernetes label selector of the clusters that it is for. Empty: all of them.",
    )

    @field_validator("cron")
    @classmethod
    def _opens_some_day(cls, value: str) -> str:
        if len(value.split()) != _CRON_FIELDS:
            raise ValueError("give five fields: minute, hour, day of month, month, day of week")
        try:
            next(CronSim(value, _SOME_DAY))
        except (CronSimError, StopIteration) as error:
            raise ValueError(f"no cron expression that ever comes true: {value}") from error
        return value

    @field_validator("time_zone")
    @classmethod
    def _exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (LookupError, ValueError, OSError) as error:
            raise ValueError(f"no IANA time zone: {value}") from error
        return value

    @field_validator("selector")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        return checked_selector(value)

    @property
    def text(self) -> str:
        """As a person reads it."""
        return f"{self.cron} {self.time_zone} for {self.duration}"


def checked_selector(value: str) -> str:
    """A label selector as it is, for validators of pydantic models.

    Raises:
        ValueError: It cannot be read; the message says where.
    """
    try:
        parse_selector(value)
    except InputError as error:
        raise ValueError(f"{error}") from error
    return value


def opening(window: MaintenanceWindow, now: datetime) -> datetime:
    """When the window opened if it is open, else when it opens next; in UTC.

    It is open from that moment on, and closed again in the moment in which its duration is over.
    """
    now = now.astimezone(UTC)
    # A time that the clock shows twice begins where it shows it first, which may be too long ago.
    return next(start for start in _starts(window, now - window.duration) if start + window.duration > now)


def may_begin(windows: Iterable[MaintenanceWindow], now: datetime) -> datetime:
    """The first moment from now on in which one of some windows is open; now when there are none."""
    openings = [opening(window, now) for window in windows]
    return max(now, min(openings, default=now))


def _starts(window: MaintenanceWindow, after: datetime) -> Iterator[datetime]:
    for start in CronSim(window.cron, after.astimezone(ZoneInfo(window.time_zone))):
        yield start.astimezone(UTC)
