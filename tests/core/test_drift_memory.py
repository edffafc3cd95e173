"""What a verification remembers: since when, what is news, what is gone, and who keeps coming back."""

from datetime import UTC, datetime, timedelta

from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, FieldOwner
from tasks.core.drift.memory import ClusterMemory, recollect
from tasks.core.manifests import ObjectRef

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
REF = ObjectRef("apps/v1", "Deployment", "olm-operator", "olm")


def item(
    severity: DriftSeverity = DriftSeverity.WARNING,
    owner: FieldOwner | None = None,
    kind: DriftKind = DriftKind.CHANGED,
) -> DriftItem:
    return DriftItem(kind=kind, ref=REF, field="/spec/replicas", severity=severity, owner=owner)


def by(manager: str, at: datetime = NOW - 3 * HOUR) -> FieldOwner:
    return FieldOwner(manager=manager, operation="Update", at=at)


def test_what_is_found_first_is_news_and_as_old_as_its_last_write() -> None:
    seen = recollect(ClusterMemory(), [item(owner=by("mallory"))], NOW, "osok-fleet")

    assert [one.since for one in seen.new] == [NOW - 3 * HOUR]


def test_without_an_owner_it_is_as_old_as_its_finding() -> None:
    seen = recollect(ClusterMemory(), [item()], NOW, "osok-fleet")

    assert seen.items[0].since == NOW


def test_the_same_in_the_next_run_is_no_news_and_keeps_its_age() -> None:
    memory = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory

    seen = recollect(memory, [item()], NOW + HOUR, "osok-fleet")

    assert seen.new == ()
    assert seen.items[0].since == NOW


def test_what_became_worse_is_news_again() -> None:
    memory = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory

    seen = recollect(memory, [item(DriftSeverity.CRITICAL)], NOW + HOUR, "osok-fleet")

    assert [one.severity for one in seen.new] == [DriftSeverity.CRITICAL]


def test_what_is_gone_is_resolved_once() -> None:
    memory = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory

    first = recollect(memory, [], NOW + HOUR, "osok-fleet")
    second = recollect(first.memory, [], NOW + 2 * HOUR, "osok-fleet")

    assert list(first.resolved) == [item().key]
    assert dict(second.resolved) == {}


def test_what_is_gone_for_a_week_is_forgotten() -> None:
    memory = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory
    memory = recollect(memory, [], NOW + HOUR, "osok-fleet").memory

    assert recollect(memory, [], NOW + timedelta(days=8), "osok-fleet").memory.items == {}


def after_flips(manager: str, flips: int) -> DriftItem:
    memory, now = ClusterMemory(), NOW
    memory = recollect(memory, [item(owner=by(manager))], now, "osok-fleet").memory
    seen = item()
    for _ in range(flips):
        memory = recollect(memory, [], now + HOUR, "osok-fleet").memory
        now += 2 * HOUR
        found = recollect(memory, [item(owner=by(manager))], now, "osok-fleet")
        memory, seen = found.memory, found.items[0]
    return seen


def test_three_returns_by_another_writer_are_contested() -> None:
    assert (after_flips("argocd", 2).kind, after_flips("argocd", 3).kind) == (
        DriftKind.CHANGED,
        DriftKind.CONTESTED,
    )


def test_our_own_writes_contest_nothing() -> None:
    assert after_flips("osok-fleet", 4).kind is DriftKind.CHANGED


def test_a_contested_field_is_the_same_item() -> None:
    assert item(kind=DriftKind.CONTESTED).key == item().key


def test_what_was_not_looked_at_is_not_resolved() -> None:
    """A run without live checks says nothing about what does not answer."""
    silent = item(kind=DriftKind.UNREACHABLE)
    memory = recollect(ClusterMemory(), [silent], NOW, "osok-fleet").memory

    seen = recollect(memory, [], NOW + HOUR, "osok-fleet", looked_closely=False)

    assert dict(seen.resolved) == {}
    assert silent.key in seen.memory.items


def repaired(memory: ClusterMemory, now: datetime) -> ClusterMemory:
    return memory.repaired([item().key], now, HOUR, timedelta(hours=3))


def test_every_repair_doubles_the_wait_up_to_the_longest() -> None:
    memory, waits = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory, []
    for _ in range(3):
        memory = repaired(memory, NOW)
        until = memory.waits(item(), NOW)
        waits.append(until - NOW if until else None)

    assert waits == [HOUR, 2 * HOUR, 3 * HOUR]


def test_a_repair_is_remembered_while_the_item_is_gone_and_when_it_is_back() -> None:
    memory = repaired(recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory, NOW)
    memory = recollect(memory, [], NOW, "osok-fleet").memory
    memory = recollect(memory, [item()], NOW + HOUR / 2, "osok-fleet").memory

    known = memory.items[item().key]
    assert (known.repairs, known.repaired_at, known.waits_until) == (1, NOW, NOW + HOUR)


def test_what_came_back_during_its_wait_is_news_again_once_when_the_wait_is_over() -> None:
    memory = repaired(recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory, NOW)
    memory = recollect(memory, [], NOW, "osok-fleet").memory
    back = recollect(memory, [item()], NOW + HOUR / 2, "osok-fleet")
    over = recollect(back.memory, [item()], NOW + HOUR, "osok-fleet")
    later = recollect(over.memory, [item()], NOW + 2 * HOUR, "osok-fleet")

    assert [len(one.new) for one in (back, over, later)] == [1, 1, 0]


def test_without_a_wait_it_may_be_repaired_again_at_once() -> None:
    memory = recollect(ClusterMemory(), [item()], NOW, "osok-fleet").memory

    again = memory.repaired([item().key], NOW, timedelta(0), HOUR)

    assert again.waits(item(), NOW) is None
    assert again.items[item().key].repairs == 1


def test_a_repair_of_what_nobody_remembers_is_passed_over() -> None:
    assert ClusterMemory().repaired([item().key], NOW, HOUR, HOUR) == ClusterMemory()
