"""Operator Lifecycle Manager on a cluster: installed, completed or left alone, and its health (R2, R3)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ApplyMode, ClusterClient, PatchType
from tasks.clients.cluster.converge import Action, Change, converge, converge_within, written
from tasks.clients.cluster.gathering import read_all
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import Account, open_cluster
from tasks.core.comparison import differences
from tasks.core.errors import ClusterConflictError, PrerequisiteError, StalledError
from tasks.core.manifests import Manifest, ref_of
from tasks.core.markdown import counted
from tasks.core.olm_health import (
    OLM_MADE_OBJECTS,
    HealthState,
    ObjectHealth,
    OlmHealth,
    installed_olm_version,
    release_health,
)
from tasks.core.olm_release import OlmManifests
from tasks.core.olm_upgrade import take_over_patch
from tasks.core.outcomes import StepOutcome
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.core.settings import VersionChange
from tasks.steps import step

OLM_NAMESPACE = "olm"
_OWNED_BY_OTHERS = "Apply failed with"
"""How the API server begins a conflict of field managers (k8s.io/apimachinery pkg/api/errors)."""


@step("apply-olm-crds")
def apply_olm_crds(
    cluster: KubernetesCluster,
    release: OlmManifests,
    other_version: VersionChange,
    until: datetime,
    scope: WriteScope = EVERYTHING,
) -> StepOutcome:
    """Write the CRDs of OLM that are missing or differ, and wait until the API server has established them.

    A half-installed OLM is completed: each object is judged by itself.

    Raises:
        PrerequisiteError: Another OLM version is installed, or a CRD of another content that somebody else
            wrote, and neither may be changed.
        StalledError: A CRD was not established in time.
    """
    client = open_cluster(cluster, Account.BOOTSTRAP)
    refuse_other_olm(client, release, other_version)
    if scope.takes_back:
        changes = converge_within(client, release.crds, scope)
    else:
        changes = tuple(write_olm_object(client, release, crd, other_version) for crd in release.crds)
    refs = [ref_of(crd) for crd in release.crds]
    health = wait_for(
        lambda: release_health(release.crds, read_all(client, refs)),
        lambda seen: seen.healthy,
        deadline_at(until),
    )
    _raise_unless_healthy(health, client.name, "establish the CRDs of OLM")
    return StepOutcome(written(changes), f"{len(refs)} CRDs established")


@step("apply-olm-objects")
def apply_olm_objects(
    cluster: KubernetesCluster,
    release: OlmManifests,
    other_version: VersionChange = VersionChange.REFUSE,
    scope: WriteScope = EVERYTHING,
) -> StepOutcome:
    """Write OLM's namespaces, roles, Deployments and custom resources that are missing or differ.

    An upgrade that `apply_olm_crds` let pass goes on here, also after a run that ended in the middle.

    Raises:
        PrerequisiteError: An object of another content belongs to somebody else and may not be changed.
    """
    client = open_cluster(cluster, Account.BOOTSTRAP)
    if scope.takes_back:
        changes = converge_within(client, release.objects, scope)
        return StepOutcome(
            written(changes), f"{counted(len(changes), 'object')} of OLM {release.version} put back"
        )
    objects = list(release.objects)
    if _installed_version(client) not in ("", release.version):
        other_version = VersionChange.UPGRADE
        # The version is read off the packageserver's CSV, so it says "not upgraded yet" until the end.
        objects.sort(key=lambda manifest: manifest["kind"] == "ClusterServiceVersion")
    changes = tuple(write_olm_object(client, release, manifest, other_version) for manifest in objects)
    return StepOutcome(written(changes), f"{len(changes)} objects of OLM {release.version} are as released")


@step("wait-for-olm")
def wait_for_olm(cluster: KubernetesCluster, release: OlmManifests, until: datetime) -> OlmHealth:
    """Wait until every row of the R3 table is healthy, packageserver's CSV and APIService included.

    Raises:
        StalledError: A row was not healthy in time; the message lists those rows with their own words.
    """
    client = open_cluster(cluster)
    health = wait_for(lambda: read_olm_health(client, release), lambda seen: seen.healthy, deadline_at(until))
    _raise_unless_healthy(health, client.name, f"bring OLM {release.version} up")
    return health


def read_olm_health(client: ClusterClient, release: OlmManifests) -> OlmHealth:
    """Read and judge every object of a release and what OLM makes for its packageserver."""
    manifests = (*release.crds, *release.objects)
    refs = [*(ref_of(manifest) for manifest in manifests), *OLM_MADE_OBJECTS]
    live = read_all(client, refs)
    health = release_health(manifests, live, OLM_MADE_OBJECTS)
    return OlmHealth(tuple(_unless_outdated(row, release, live[row.ref]) for row in health.rows))


def _unless_outdated(row: ObjectHealth, release: OlmManifests, live: Manifest | None) -> ObjectHealth:
    """After an upgrade the packageserver's CSV says Succeeded of the old version until OLM looks at it."""
    if row.ref != OLM_MADE_OBJECTS[0] or row.state is not HealthState.HEALTHY or live is None:
        return row
    csvs = [manifest for manifest in release.objects if manifest["kind"] == "ClusterServiceVersion"]
    deployments = [one for csv in csvs for one in csv["spec"]["install"]["spec"]["deployments"]]
    wanted = {image for deployment in deployments for image in _images(deployment)}
    if wanted >= _images(live):
        return row
    return ObjectHealth(row.ref, HealthState.PROGRESSING, f"still runs {', '.join(sorted(_images(live)))}")


def _images(deployment: Mapping[str, Any]) -> frozenset[str]:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return frozenset(str(container["image"]) for container in containers)


def _installed_version(client: ClusterClient) -> str:
    csvs = client.list_objects("operators.coreos.com/v1alpha1", "ClusterServiceVersion", OLM_NAMESPACE)
    return installed_olm_version(csvs)


def refuse_other_olm(client: ClusterClient, release: OlmManifests, other_version: VersionChange) -> None:
    """Refuse a cluster with another OLM version, unless it may be upgraded.

    Raises:
        PrerequisiteError: Another version is installed and may not be changed.
    """
    installed = _installed_version(client)
    if installed in ("", release.version) or other_version is VersionChange.UPGRADE:
        return
    raise PrerequisiteError(
        f"install OLM {release.version}",
        f"{client.name}: ClusterServiceVersion olm/packageserver",
        f"no OLM, or version {release.version}",
        f"version {installed}",
        f"Choose olm.version {installed}, or set olm.other_version to UPGRADE.",
    )


def write_olm_object(
    client: ClusterClient,
    release: OlmManifests,
    manifest: Manifest,
    other_version: VersionChange,
    mode: ApplyMode = ApplyMode.APPLY,
) -> Change:
    """Write one object of a release where it is missing or differs, or rehearse that.

    Raises:
        PrerequisiteError: Its content belongs to somebody else and may not be changed.
    """
    if other_version is VersionChange.UPGRADE:
        return _take_over(client, manifest, mode)
    try:
        return converge(client, [manifest], mode)[0]
    except ClusterConflictError as error:
        if _OWNED_BY_OTHERS not in error.found:
            raise
        raise PrerequisiteError(
            f"install OLM {release.version}",
            f"{client.name}: {ref_of(manifest)}",
            "no such object, or one as released",
            f"other content that belongs to somebody else: {error.found}",
            "It comes from another release or another tool. Set olm.other_version to UPGRADE to replace it.",
        ) from error


def _take_over(client: ClusterClient, manifest: Manifest, mode: ApplyMode) -> Change:
    ref = ref_of(manifest)
    live = client.get(ref)
    found = differences(manifest, live) if live is not None else ()
    if live is None or not found:
        return converge(client, [manifest], mode)[0]
    after = client.patch(ref, take_over_patch(manifest, live), PatchType.JSON, mode=mode)
    unchanged = after["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]
    unchanged = unchanged and mode is ApplyMode.APPLY  # a dry run gives no new version
    return Change(ref, Action.NONE) if unchanged else Change(ref, Action.UPDATED, found)


def _raise_unless_healthy(health: OlmHealth, cluster: str, attempted: str) -> None:
    if health.healthy:
        return
    rows = "; ".join(f"{row.ref} {row.state.value} {row.detail}".rstrip() for row in health.unhealthy_rows())
    raise StalledError(
        attempted,
        cluster,
        "every object healthy before the deadline",
        f"{health.summary()}: {rows}",
        "Look at the events and pods of the namespace olm; run the flow again to go on.",
    )
