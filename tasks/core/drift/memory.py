"""What earlier verifications of a cluster saw: since when something is wrong, and how often it came back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA, DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.unchanged import ComparedVersions

FLIPS = 3
"""So often has a field to come back, written by the same other manager, until it counts as contested."""
_FORGOTTEN_AFTER = timedelta(days=7)
_DOUBLINGS = 30
"""Far beyond any wait that a person chooses, and within what a timedelta holds."""
_ORDER = list(DriftSeverity)


class Remembered(BaseModel):
    """One item, as the next verification has to know it."""

    model_config = DATA

    since: datetime = Field(description="Since when it is, or was last, there")
    severity: DriftSeverity = Field(description="How bad it was")
    summary: str = Field(description="What a person reads when it is gone")
    returns: int = Field(default=0, description="How often it came back")
    gone_at: datetime | None = Field(default=None, description="When it was found gone; None while there")
    repairs: int = Field(default=0, description="How often it was repaired")
    repaired_at: datetime | None = Field(default=None, description="When it was repaired last")
    waits_until: datetime | None = Field(default=None, description="Not repaired again before; None: at once")


class ClusterMemory(BaseModel):
    """Everything that is remembered of one cluster, by the items' keys."""

    model_config = DATA

    items: Mapping[str, Remembered] = Field(default_factory=dict, description="By DriftItem.key")
    compared: ComparedVersions | None = Field(
        default=None, description="Large objects that need not be read again while they are unchanged"
    )

    def knows(self, item: DriftItem) -> bool:
        """Whether an item was there at the last verification too."""
        known = self.items.get(item.key)
        return known is not None and known.gone_at is None

    def waits(self, item: DriftItem, now: datetime) -> datetime | None:
        """Until when an item is not repaired again; None when it may be."""
        known = self.items.get(item.key)
        return known.waits_until if known and known.waits_until and known.waits_until > now else None

    def repaired(
        self, keys: Iterable[str], now: datetime, first_wait: timedelta, longest_wait: timedelta
    ) -> "ClusterMemory":
        """What is remembered after a repair: each one doubles the time until the next of the same item.

        Args:
            keys: Of the items; those that nobody remembers are passed over.
            now: When they were repaired.
            first_wait: How long the second repair waits after the first.
            longest_wait: How long any repair waits at most.
        """
        noted = {}
        for key in keys:
            known = self.items.get(key)
            if known is not None:
                wait = min(longest_wait, first_wait * 2 ** min(known.repairs, _DOUBLINGS))
                update = {
                    "repairs": known.repairs + 1,
                    "repaired_at": now,
                    "waits_until": now + wait if wait else None,
                }
                noted[key] = known.model_copy(update=update)
        return self.model_copy(update={"items": {**self.items, **noted}})


@dataclass(frozen=True)
class Recollection:
    """The items of a verification in the light of the earlier ones.

    Attributes:
        items: With `since`, `returns`, and CONTESTED where it applies.
        new: Those that nobody has been told about, that became worse, or that may be repaired again now.
        resolved: Keys of those that are gone, with what was remembered.
        memory: For the next verification.
    """

    items: tuple[DriftItem, ...]
    new: tuple[DriftItem, ...]
    resolved: Mapping[str, Remembered]
    memory: ClusterMemory


def recollect(
    memory: ClusterMemory,
    items: Iterable[DriftItem],
    now: datetime,
    own_manager: str,
    *,
    looked_closely: bool = True,
) -> Recollection:
    """Put what was found beside what is remembered.

    Args:
        memory: Of the last verification.
        items: What was found now.
        now: The time.
        own_manager: Our own field manager, which contests nothing.
        looked_closely: Whether the live checks were made; without them, what does not answer stays as it was.
    """
    found = {item.key: _dated(item, memory.items.get(item.key), now, own_manager) for item in items}
    new = tuple(item for item in found.values() if _is_news(item, memory, now))
    missed = {key: one for key, one in memory.items.items() if key not in found}
    kept = {key: one for key, one in missed.items() if not looked_closely and _needs_a_closer_look(key)}
    resolved = {key: one for key, one in missed.items() if one.gone_at is None and key not in kept}
    gone = {
        key: one if one.gone_at else one.model_copy(update={"gone_at": now})
        for key, one in missed.items()
        if key not in kept and (one.gone_at is None or now - one.gone_at < _FORGOTTEN_AFTER)
    }
    there = {item.key: _remembered(item, memory, now) for item in found.values()}
    remembered = memory.model_copy(update={"items": {**gone, **kept, **there}})
    return Recollection(tuple(found.values()), new, resolved, remembered)


def _remembered(item: DriftItem, memory: ClusterMemory, now: datetime) -> Remembered:
    known = memory.items.get(item.key)
    return Remembered(
        since=item.since or now,
        severity=item.severity,
        summary=item.summary,
        returns=item.returns,
        repairs=known.repairs if known else 0,
        repaired_at=known.repaired_at if known else None,
        waits_until=memory.waits(item, now),
    )


def _dated(item: DriftItem, known: Remembered | None, now: datetime, own_manager: str) -> DriftItem:
    written = item.owner.at if item.owner else None
    if known is None:
        return item.model_copy(update={"since": written or now})
    if known.gone_at is None:
        return _contested(item, own_manager, known.returns, known.since)
    return _contested(item, own_manager, known.returns + 1, written or now)


def _contested(item: DriftItem, own_manager: str, returns: int, since: datetime) -> DriftItem:
    by_another = item.owner is not None and item.owner.manager != own_manager
    contested = returns >= FLIPS and by_another
    kind = DriftKind.CONTESTED if contested and item.kind is DriftKind.CHANGED else item.kind
    return item.model_copy(update={"kind": kind, "returns": returns, "since": since})


def _is_news(item: DriftItem, memory: ClusterMemory, now: datetime) -> bool:
    known = memory.items.get(item.key)
    if known is None or known.gone_at is not None:
        return True
    if known.waits_until is not None and known.waits_until <= now:
        # It came back during its wait, when nobody could do anything about it.
        return True
    return _ORDER.index(item.severity) > _ORDER.index(known.severity)


def _needs_a_closer_look(key: str) -> bool:
    return key.startswith(DriftKind.UNREACHABLE)
