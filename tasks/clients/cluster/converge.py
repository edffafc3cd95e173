"""Brings objects to what their manifests say, and writes nothing where they say it already."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from typing_extensions import override

from tasks.clients.cluster.client import ApplyMode, ClusterClient, Conflicts
from tasks.core.comparison import Difference, differences
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.scopes import WriteScope


class Action(StrEnum):
    """What was done to an object, or would be done in a dry run."""

    NONE = "NONE"
    CREATED = "CREATED"
    UPDATED = "UPDATED"


@dataclass(frozen=True)
class Change:
    """What happened to one object.

    Attributes:
        differences: What was not as it should be before; empty for NONE and CREATED.
    """

    ref: ObjectRef
    action: Action
    differences: tuple[Difference, ...] = ()

    @override
    def __str__(self) -> str:
        """For reports: `CREATED Deployment olm/olm-operator`."""
        return f"{self.action.value} {self.ref}"


def converge(
    client: ClusterClient, manifests: Iterable[Manifest], mode: ApplyMode = ApplyMode.APPLY
) -> tuple[Change, ...]:
    """Create what is missing and change what differs, in the given order, by server-side apply.

    Raises:
        ClusterConflictError: A field that has to change is owned by another field manager.
        ClusterError: Anything else the API server refuses.
    """
    return tuple(_converge_one(client, manifest, mode) for manifest in manifests)


def converge_within(
    client: ClusterClient, manifests: Iterable[Manifest], scope: WriteScope
) -> tuple[Change, ...]:
    """Bring those objects to what their manifests say that a scope covers.

    A repair's scope takes fields back from whoever wrote them, and parts of a list that the manifest gives as
    a whole (a CRD's versions) that somebody added.

    Raises:
        ClusterConflictError: As `converge`, when the scope takes nothing back.
        ClusterError: Anything else the API server refuses.
    """
    chosen = scope.select(manifests)
    if not scope.takes_back:
        return converge(client, chosen)
    return tuple(_take_back(client, manifest) for manifest in chosen)


def _take_back(client: ClusterClient, manifest: Manifest) -> Change:
    ref = ref_of(manifest)
    live = client.get(ref)
    after = client.apply(manifest, conflicts=Conflicts.TAKE_OVER)
    if live is None:
        return Change(ref, Action.CREATED)
    unchanged = after["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    return Change(ref, Action.NONE) if unchanged else Change(ref, Action.UPDATED, differences(manifest, live))


def written(changes: Iterable[Change]) -> tuple[str, ...]:
    """One line for each object that was written."""
    return tuple(str(change) for change in changes if change.action is not Action.NONE)


def _converge_one(client: ClusterClient, manifest: Manifest, mode: ApplyMode) -> Change:
    ref = ref_of(manifest)
    live = client.get(ref)
    if live is None:
        client.apply(manifest, mode)
        return Change(ref, Action.CREATED)
    found = differences(manifest, live)
    if not found:
        return Change(ref, Action.NONE)
    before = live["metadata"].get("resourceVersion")
    after = client.apply(manifest, mode)
    unchanged = after["metadata"].get("resourceVersion") == before and mode is ApplyMode.APPLY
    # Two spellings of one value ("1000m" and "1") differ here and not for the API server.
    return Change(ref, Action.NONE) if unchanged else Change(ref, Action.UPDATED, found)
