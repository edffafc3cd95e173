"""The lock on a cluster: one Lease (coordination.k8s.io/v1) in it, which expires when its holder is gone.

It lies in the cluster, so that it holds between runs of any Prefect server, and it remembers since when the
cluster has been right, so that a run that starts again does not count from the beginning.
"""

import copy
from datetime import UTC, datetime, timedelta

from tasks.core.errors import FleetError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.ownership import MANAGED_BY

NAMESPACE = "osok-fleet"
"""The namespace of the product's own accounts, which the shipped role file makes."""
LEASE = ObjectRef("coordination.k8s.io/v1", "Lease", "osok-fleet", NAMESPACE)
DURATION = timedelta(seconds=60)
"""How long a lock is held without a sign of life."""
CLOCK_TOLERANCE = timedelta(seconds=30)
"""How far the clocks of two workers may be apart."""

_WHAT = "osok-fleet.io/rolled-out"
_SINCE = "osok-fleet.io/rolled-out-since"
_MICRO_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ClusterHeldError(FleetError):
    """Another run works on the cluster."""


def held_by(lease: Manifest | None, now: datetime) -> str:
    """Who holds the lock; empty when nobody does, or when its holder has not been heard of for too long."""
    spec = _spec(lease)
    holder = str(spec.get("holderIdentity") or "")
    renewed = spec.get("renewTime") or spec.get("acquireTime")
    if not holder or not renewed:
        return ""
    duration = timedelta(seconds=int(spec.get("leaseDurationSeconds") or 0))
    return "" if now >= _moment(renewed) + duration + CLOCK_TOLERANCE else holder


def taken(lease: Manifest | None, holder: str, now: datetime) -> Manifest:
    """The lease as its new holder writes it.

    Every taking is counted, also that of a run which takes over from a process of its own that is gone: a
    process that lives on nevertheless finds another count and knows that the lock is not its own any more.
    """
    new = copy.deepcopy(lease) if lease else _new_lease()
    moment = now.astimezone(UTC).strftime(_MICRO_TIME)
    new["spec"] = {
        "holderIdentity": holder,
        "leaseDurationSeconds": int(DURATION.total_seconds()),
        "acquireTime": moment,
        "renewTime": moment,
        "leaseTransitions": transitions(lease) + 1,
    }
    return new


def renewed(lease: Manifest, now: datetime) -> Manifest:
    """The lease with a new sign of life."""
    return _with_spec(lease, renewTime=now.astimezone(UTC).strftime(_MICRO_TIME))


def released(lease: Manifest) -> Manifest:
    """The lease without a holder."""
    return _with_spec(lease, holderIdentity="")


def transitions(lease: Manifest | None) -> int:
    """How often the lock was taken."""
    return int(_spec(lease).get("leaseTransitions") or 0)


def right_since(lease: Manifest | None, what: str) -> datetime | None:
    """Since when the cluster has been as `what` (a digest) says; None when it is not known to be."""
    annotations = (lease or {}).get("metadata", {}).get("annotations") or {}
    if annotations.get(_WHAT) != what:
        return None
    return _moment(annotations[_SINCE]) if annotations.get(_SINCE) else None


def remembering(lease: Manifest, what: str, since: datetime) -> Manifest:
    """The lease with the note that the cluster has been as `what` says since a moment."""
    new = copy.deepcopy(lease)
    annotations = new["metadata"].setdefault("annotations", {})
    annotations[_WHAT] = what
    annotations[_SINCE] = since.astimezone(UTC).strftime(_MICRO_TIME)
    return new


def _new_lease() -> Manifest:
    metadata = {"name": LEASE.name, "namespace": LEASE.namespace, "labels": dict(MANAGED_BY)}
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata}


def _spec(lease: Manifest | None) -> Manifest:
    spec: Manifest = (lease or {}).get("spec") or {}
    return spec


def _with_spec(lease: Manifest, **changes: str) -> Manifest:
    new = copy.deepcopy(lease)
    new["spec"] = {**_spec(lease), **changes}
    return new


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
