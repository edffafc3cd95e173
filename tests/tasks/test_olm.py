"""OLM on a cluster that has half of it, one of somebody else, or another version (R2, R3).

Only the API server takes part here: what OLM's programs make of it is told in tests/flows.
"""

import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import CONTEXT, ControlPlane
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.releases import ReleaseServer
from tasks.core.comparison import differences
from tasks.core.errors import PrerequisiteError, StalledError
from tasks.core.manifests import Manifest, ref_of
from tasks.core.olm_release import OlmManifests
from tasks.core.settings import OlmRelease, VersionChange
from tasks.olm import apply_olm_crds, apply_olm_objects, wait_for_olm
from tasks.sources import fetch_olm_release
from tests.support.control_planes import FreshControlPlane
from tests.support.small_installs import patiently, shortly, tasks_outside_flows

pytestmark = pytest.mark.cluster

REFUSE, UPGRADE = VersionChange.REFUSE, VersionChange.UPGRADE
Create = Callable[[Iterable[Manifest]], None]


@pytest.fixture(scope="module")
def releases(prefect_server: SyncPrefectClient) -> Iterator[dict[OlmVersion, OlmManifests]]:
    with tasks_outside_flows(), ReleaseServer() as server:
        yield {version: _fetched(server, version) for version in OlmVersion}


def _fetched(server: ReleaseServer, version: OlmVersion) -> OlmManifests:
    crds, olm = (server.olm_file(version, name).sha256 for name in ("crds.yaml", "olm.yaml"))
    release = OlmRelease(version=version, location=server.olm_location, crds_sha256=crds, olm_sha256=olm)
    return fetch_olm_release(release, patiently())


@pytest.fixture
def new(releases: dict[OlmVersion, OlmManifests]) -> OlmManifests:
    return releases[OlmVersion.V0_46_0]


@pytest.fixture
def old(releases: dict[OlmVersion, OlmManifests]) -> OlmManifests:
    return releases[OlmVersion.V0_20_0]


@pytest.fixture
def plane(fresh_control_plane: FreshControlPlane) -> ControlPlane:
    return fresh_control_plane()


@pytest.fixture
def cluster(plane: ControlPlane) -> KubernetesCluster:
    return KubernetesCluster(kubeconfig_file=plane.kubeconfig, context=CONTEXT)


@pytest.fixture
def kubectl_create(plane: ControlPlane, kubectl: Path) -> Create:
    """Creates objects as somebody else does: with kubectl, under kubectl's field manager."""
    base = [str(kubectl), "--kubeconfig", str(plane.kubeconfig)]

    def create(manifests: Iterable[Manifest]) -> None:
        content = yaml.safe_dump_all(manifests).encode()
        subprocess.run([*base, "create", "-f", "-"], input=content, check=True, capture_output=True)  # noqa: S603 - our own program
        established = [*base, "wait", "--for=condition=Established", "crd", "--all", "--timeout=180s"]
        subprocess.run(established, check=True, capture_output=True)  # noqa: S603 - our own program

    return create


def unlike(plane: ControlPlane, release: OlmManifests) -> list[str]:
    """The objects that are not as the release says."""
    client = plane.client()
    return [
        str(ref_of(manifest))
        for manifest in (*release.crds, *release.objects)
        if (live := client.get(ref_of(manifest))) is None or differences(manifest, live)
    ]


def test_what_another_tool_left_half_done_is_completed_and_not_touched(
    plane: ControlPlane, cluster: KubernetesCluster, kubectl_create: Create, new: OlmManifests
) -> None:
    """R2: all CRDs and the first half of the objects are there, without any managedFields of ours."""
    half = len(new.objects) // 2
    kubectl_create(new.crds)
    kubectl_create(new.objects[:half])

    crds = apply_olm_crds(cluster, new, REFUSE, patiently())
    objects = apply_olm_objects(cluster, new)
    again = (apply_olm_crds(cluster, new, REFUSE, patiently()), apply_olm_objects(cluster, new))
    with pytest.raises(StalledError) as caught:
        wait_for_olm(cluster, new, shortly())

    assert crds.changed == ()
    assert objects.changed == tuple(f"CREATED {ref_of(manifest)}" for manifest in new.objects[half:])
    assert unlike(plane, new) == []
    assert [outcome.changed for outcome in again] == [(), ()]
    # No program runs here, and the error says which rows of the table miss it (R3).
    assert "ClusterServiceVersion olm/packageserver PROGRESSING no phase yet" in caught.value.found
    assert "APIService v1.packages.operators.coreos.com MISSING" in caught.value.found


def test_another_version_is_refused_by_name_and_taken_over_when_asked_for(
    plane: ControlPlane,
    cluster: KubernetesCluster,
    kubectl_create: Create,
    old: OlmManifests,
    new: OlmManifests,
) -> None:
    """R2: first only the other release's CRDs are there, which tell no version, then all of it."""
    kubectl_create(old.crds)
    with pytest.raises(PrerequisiteError) as half:
        apply_olm_crds(cluster, new, REFUSE, patiently())
    kubectl_create(old.objects)
    with pytest.raises(PrerequisiteError) as whole:
        apply_olm_crds(cluster, new, REFUSE, patiently())
    untouched = unlike(plane, old)

    apply_olm_crds(cluster, new, UPGRADE, patiently())
    upgraded = apply_olm_objects(cluster, new).changed
    again = (apply_olm_crds(cluster, new, REFUSE, patiently()), apply_olm_objects(cluster, new))

    assert 'conflicts with "kubectl-create"' in half.value.found
    assert "Set olm.other_version to UPGRADE" in half.value.next_step
    assert (whole.value.expected, whole.value.found) == ("no OLM, or version 0.46.0", "version 0.20.0")
    assert untouched == []
    # It tells the version, so it comes last: an upgrade that ends before it is one that goes on.
    assert upgraded[-1] == "UPDATED ClusterServiceVersion olm/packageserver"
    assert unlike(plane, new) == []
    assert [outcome.changed for outcome in again] == [(), ()]
