"""Verifies one cluster: looks, looks again at what is new, and says what drifted since when (R3–R22)."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.observing import read_authority
from tasks.clients.cluster.client import FIELD_MANAGER
from tasks.connections import load_block, open_cluster
from tasks.core.drift.choice import LiveChecks, VerificationChoice
from tasks.core.drift.expectation import CSV_KIND, Expectation
from tasks.core.drift.finding import compared, find_calendar, find_drift
from tasks.core.drift.ignoring import ignore
from tasks.core.drift.items import DriftItem, DriftKind, worst_first
from tasks.core.drift.memory import ClusterMemory, Remembered, recollect
from tasks.core.drift.observation import ClusterObservation
from tasks.core.drift.repair_steps import RepairSteps
from tasks.core.drift.repairs import RepairEntry, repairable_items
from tasks.core.drift.results import ClusterVerification, VerificationState, is_drift
from tasks.core.errors import ClusterUnavailableError, FleetError, PrerequisiteError
from tasks.core.identity import require_pinned
from tasks.core.manifests import ObjectRef
from tasks.core.olm_health import installed_olm_version
from tasks.drift.observing import observe_cluster
from tasks.sources import Sources


@dataclass(frozen=True)
class Verified:
    """A cluster's result, and what follows from what was remembered of it.

    Attributes:
        news: Items that nobody has been told about.
        resolved: Items that are gone, by key.
        memory: For the next verification; unchanged where the cluster could not be verified.
        repairable: Keys of the items that a repair may put right now.
        repaired: What was repaired, and nobody has been told about.
    """

    result: ClusterVerification
    memory: ClusterMemory
    news: tuple[DriftItem, ...] = ()
    resolved: tuple[tuple[str, Remembered], ...] = ()
    repairable: frozenset[str] = frozenset()
    repaired: tuple[RepairEntry, ...] = ()


@dataclass(frozen=True)
class ConfirmedLook:
    """The last look at a cluster.

    Attributes:
        seen: What was read.
        found: What is not as it should be.
        confirmed: Of that, what an earlier look saw too.
    """

    seen: ClusterObservation
    found: tuple[DriftItem, ...]
    confirmed: tuple[DriftItem, ...]


def expectation_of(sources: Sources, choice: VerificationChoice) -> Expectation:
    """What should be there: what an installation makes of the same sources."""
    return Expectation(
        sources.profile,
        sources.bundle,
        sources.installation,
        sources.catalog,
        sources.olm,
        sources.metrics_server,
        read_authority(choice.authority) if choice.authority else (),
        choice.limits,
    )


@task(
    name="verify-cluster", task_run_name="verify-cluster/{name}", cache_policy=NO_CACHE, persist_result=False
)
def verify_cluster(
    name: str,
    expected: Expectation,
    choice: VerificationChoice,
    memory: ClusterMemory,
    block: KubernetesCluster | None = None,
) -> Verified:
    """One cluster, from its block to its result; what cannot be read stands in it and is not raised.

    Args:
        name: The name of its block.
        expected: What it should hold.
        choice: What is looked at.
        memory: What is remembered of it.
        block: The block where it is loaded already, as with those of a whole fleet.
    """
    started = time.monotonic()
    try:
        look = _look(block or load_block(KubernetesCluster, name), expected, choice, memory)
    except ClusterUnavailableError as error:
        return not_verified(name, VerificationState.UNREACHABLE, error, memory)
    except FleetError as error:
        return not_verified(name, VerificationState.UNVERIFIED, error, memory)
    seen = look.seen
    reported, ignored = ignore(name, look.confirmed, choice.ignored, seen.now.date())
    closely = choice.live_checks is LiveChecks.ALL and not seen.unseen
    recalled = recollect(memory, reported, seen.now, FIELD_MANAGER, looked_closely=closely)
    remembered = recalled.memory.model_copy(update={"compared": compared(expected, seen, look.found)})
    result = ClusterVerification(
        cluster=name,
        state=VerificationState.DRIFTED if is_drift(recalled.items) else VerificationState.FINE,
        verified_at=seen.now,
        uid=seen.uid,
        kubernetes=seen.version,
        olm=_olm_version(seen),
        operator=_operator(expected, seen),
        items=worst_first(recalled.items),
        ignored=ignored,
        calendar=find_calendar(expected, seen),
        unseen=seen.unseen,
        reads=seen.reads,
        seconds=round(time.monotonic() - started, 3),
    )
    steps = RepairSteps(expected, result.olm, result.operator)
    repairable = repairable_items(steps, recalled.items, memory, seen.now)
    return Verified(result, remembered, recalled.new, tuple(recalled.resolved.items()), repairable)


def checked(name: str, result: object, memory: ClusterMemory) -> Verified:
    """What a task run returned, or the exception with which it ended, as a result of the cluster."""
    if isinstance(result, Verified):
        return result
    error = f"a fault of the verification itself: {type(result).__name__}; the run's log has the rest"
    return Verified(
        ClusterVerification(cluster=name, state=VerificationState.UNVERIFIED, error=error), memory
    )


def confirmed(
    look: Callable[[], ClusterObservation],
    expected: Expectation,
    choice: VerificationChoice,
    memory: ClusterMemory,
) -> ConfirmedLook:
    """Look, and look again when there is something new: what OLM is about to put right is no drift."""
    seen = look()
    found = find_drift(expected, seen)
    fresh = {item.key for item in found if item.kind is not DriftKind.EXPIRING and not memory.knows(item)}
    if not fresh:
        return ConfirmedLook(seen, found, found)
    time.sleep(choice.confirm_after.total_seconds())
    seen = look()
    first = {item.key for item in found}
    # What appears at the second look only is for the next run, unless it was known before.
    found = find_drift(expected, seen)
    still = tuple(item for item in found if item.key in first or memory.knows(item))
    return ConfirmedLook(seen, found, still)


def _look(
    cluster: KubernetesCluster, expected: Expectation, choice: VerificationChoice, memory: ClusterMemory
) -> ConfirmedLook:
    client = open_cluster(cluster)

    def look() -> ClusterObservation:
        seen = observe_cluster(client, expected, choice.live_checks, memory.compared)
        require_pinned("verify the cluster", client.name, cluster.expected_uid, seen.uid)
        return seen

    return confirmed(look, expected, choice, memory)


def not_verified(name: str, state: VerificationState, error: FleetError, memory: ClusterMemory) -> Verified:
    """The result of a cluster that was not looked at."""
    return Verified(ClusterVerification(cluster=name, state=state, error=str(error)), memory)


def _olm_version(seen: ClusterObservation) -> str:
    try:
        return installed_olm_version(seen.of_kind(CSV_KIND, "olm"))
    except PrerequisiteError:
        return "several"


def _operator(expected: Expectation, seen: ClusterObservation) -> str:
    name = expected.installation.csv
    ref = ObjectRef("operators.coreos.com/v1alpha1", CSV_KIND, name, expected.namespace)
    return name if seen.find(ref) is not None else ""
