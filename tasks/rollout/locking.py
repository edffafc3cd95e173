"""Holds a cluster for one run: no other run works on it, and a run that is gone lets go of it by itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect.runtime import flow_run

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import open_cluster
from tasks.connections.prefect_api import prefect_api
from tasks.core.errors import (
    ClusterConflictError,
    ClusterError,
    ClusterForbiddenError,
)
from tasks.core.identity import KUBE_SYSTEM, identity_of, require_pinned
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY
from tasks.core.rollout.leases import (
    DURATION,
    LEASE,
    NAMESPACE,
    ClusterHeldError,
    held_by,
    released,
    remembering,
    renewed,
    right_since,
    taken,
    transitions,
)

_RENEW_EVERY = DURATION / 4
_PATIENCE = DURATION * 2
"""Longer than a lock of a process that is gone is kept."""
_NAMESPACE_REF = ObjectRef("v1", "Namespace", NAMESPACE)


class HeldCluster:
    """A cluster that this run holds.

    Args:
        client: The cluster.
        lease: The lease as we wrote it.
    """

    def __init__(self, client: ClusterClient, lease: Manifest) -> None:
        self._client = client
        self._lease = lease
        self._lost = ""
        self._writing = threading.Lock()

    def require(self) -> None:
        """Make sure before a step that the cluster is still ours.

        Raises:
            ClusterHeldError: Another process took it over meanwhile.
        """
        if self._lost:
            raise ClusterHeldError(
                "go on with the cluster",
                self._client.name,
                "the lock of this run",
                self._lost,
                "Nothing more was written. The process that holds the cluster now brings it to its end.",
            )

    def right_since(self, what: str, *, changed: bool) -> datetime:
        """Note that the cluster is as `what` says, and tell since when: from now on if it was changed."""
        now = datetime.now(UTC)
        since = now if changed else right_since(self._lease, what) or now
        self._write(lambda lease: remembering(lease, what, since))
        return since

    def renew(self) -> None:
        """Give a sign of life."""
        self._write(lambda lease: renewed(lease, datetime.now(UTC)))

    def release(self) -> None:
        """Let go; a cluster that does not answer is let go of when the lock expires."""
        with suppress(ClusterError):
            self._write(released)

    def _write(self, change: Callable[[Manifest], Manifest]) -> None:
        with self._writing:
            while not self._lost:
                try:
                    self._lease = self._client.replace(change(self._lease))
                except ClusterConflictError:
                    self._look_again()
                else:
                    return

    def _look_again(self) -> None:
        """After a conflict: somebody took the lease, or touched it without taking it."""
        found = self._client.get(LEASE)
        if found is not None and transitions(found) == transitions(self._lease):
            self._lease = found
            return
        self._lost = f"taken over by {held_by(found, datetime.now(UTC)) or 'nobody'}"


def holder_name() -> str:
    """Who holds the clusters of this run: the same for every process of the run."""
    return f"{flow_run.get_name()} ({flow_run.get_id()})"


def caller_name() -> str:
    """Who holds the cluster of a run that a rollout started: the rollout, for every attempt of it.

    A new attempt takes over from one that is gone at once, and one that lives on nevertheless notices.
    """
    caller = flow_run.get_parent_flow_run_id()
    if not caller:
        return holder_name()
    with prefect_api() as client:
        return f"{client.read_flow_run(UUID(caller)).name} ({caller})"


@contextmanager
def held(
    cluster: KubernetesCluster, holder: str, reach_within: timedelta, patience: timedelta = _PATIENCE
) -> Iterator[HeldCluster]:
    """Hold a cluster for the length of a block.

    A run that starts again takes over from itself at once.

    Args:
        cluster: Its block.
        holder: Who we are, the same for every process of a run.
        reach_within: How long to try when it does not answer.
        patience: How long to wait for another holder.

    Raises:
        ClusterHeldError: Another run holds it.
        ClusterIdentityError: It is not the pinned one; nothing was written.
        ClusterForbiddenError: The account may not write leases; the message says what grants it.
        ClusterUnavailableError: It does not answer.
    """
    client = open_cluster(cluster)
    try:
        wait_for(lambda: _reach(client, cluster.expected_uid), lambda _: True, deadline_after(reach_within))
        mine = HeldCluster(client, _take(client, holder, patience))
    except ClusterForbiddenError as error:
        raise ClusterForbiddenError(
            error.attempted,
            error.subject,
            error.expected,
            error.found,
            f"A rollout or repair locks each cluster: grant the account get, create and update of leases "
            f"(coordination.k8s.io) in the namespace {NAMESPACE}, as deployments/kubernetes/rbac/fleet.yaml "
            "does.",
        ) from error
    stopped = threading.Event()
    heart = threading.Thread(target=_beat, args=(mine, stopped), name=f"lease-{client.name}", daemon=True)
    heart.start()
    try:
        yield mine
    finally:
        stopped.set()
        heart.join()
        mine.release()


def _beat(mine: HeldCluster, stopped: threading.Event) -> None:
    while not stopped.wait(_RENEW_EVERY.total_seconds()):
        # A cluster that does not answer for a while is asked again; who takes the lock meanwhile is noticed.
        with suppress(ClusterError):
            mine.renew()


def _take(client: ClusterClient, holder: str, patience: timedelta) -> Manifest:
    lease = wait_for(
        lambda: _try_to_take(client, holder), lambda seen: not isinstance(seen, str), deadline_after(patience)
    )
    if isinstance(lease, str):
        raise ClusterHeldError(
            "work on the cluster",
            client.name,
            "no other run that works on it",
            f"{lease} does",
            "Wait until that run has ended, and run again.",
        )
    return lease


def _try_to_take(client: ClusterClient, holder: str) -> Manifest | str:
    """The lease that is ours now, or who holds it."""
    now = datetime.now(UTC)
    found = client.get(LEASE)
    other = held_by(found, now)
    if other and other != holder:
        return other
    try:
        new = taken(found, holder, now)
        return client.replace(new) if found else client.create(new)
    except ClusterConflictError:
        return "another run, which was quicker,"


def _reach(client: ClusterClient, expected_uid: str) -> None:
    """Make sure that it answers, that it is the pinned one, and that the lease has a place."""
    if expected_uid:
        uid = identity_of(client.name, client.get(KUBE_SYSTEM))
        require_pinned("lock the cluster", client.name, expected_uid, uid)
    if client.get(_NAMESPACE_REF) is None:
        metadata = {"name": NAMESPACE, "labels": dict(MANAGED_BY)}
        with suppress(ClusterConflictError):
            client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
