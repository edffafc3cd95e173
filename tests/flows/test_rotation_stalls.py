"""Changes of the certificate that cannot come to their end: what serves goes on serving (R20, R21)."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from kubernetes import client as sdk
from kubernetes import config
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.control_plane import CONTEXT
from deployments.rehearsal.node.settings import NodeSettings
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.rotating import mesh_prober, rotate_at_once
from tasks.core.errors import StalledError
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.installed import WorldReport, installed_world_in
from tests.support.rotations import NAMESPACE, PATIENCE, PROFILE, RotatingCluster, rotating_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]

SOON = timedelta(seconds=40)
"""Enough for every step that does not wait for what the test keeps from happening."""
EVERY = 0.1
"""Seconds between two writes of the other writer."""


class Kubelet:
    """How long the node takes until the files of a changed Secret change."""

    def __init__(self) -> None:
        self.delay = timedelta(0)

    def __call__(self) -> timedelta:
        """What the node asks."""
        return self.delay


@pytest.fixture(scope="module")
def kubelet() -> Kubelet:
    return Kubelet()


@pytest.fixture(scope="module")
def slow(
    kubelet: Kubelet,
    prefect_server: SyncPrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
    report: WorldReport,
) -> Iterator[RotatingCluster]:
    """A cluster of its own, whose node may be told to be slow."""
    folder = tmp_path_factory.mktemp("stalls")
    settings = NodeSettings(refresh_delay=kubelet)
    with (
        installed_world_in(folder, OlmVersion.V0_46_0, "stalls", report, node=settings) as world,
        rotating_cluster(world, tmp_path_factory.mktemp("authorities")) as rotating,
    ):
        yield rotating


def test_an_operator_that_never_reloads_is_named_and_no_call_fails_until_it_is_restarted(
    slow: RotatingCluster, kubelet: Kubelet
) -> None:
    authority, old = slow.authority("slow-ca"), slow.leaf()
    kubelet.delay = timedelta(hours=1)

    with mesh_prober(slow.cluster.control_plane) as prober:
        with pytest.raises(StalledError) as stalled:
            rotate_at_once(slow.cluster.name, "slow-ca", SOON)
        trusted = slow.cas_trusted()
        kubelet.delay = timedelta(0)
        restart_operator(slow)
        rotation = rotate_at_once(slow.cluster.name, "slow-ca", PATIENCE)

    assert "see every endpoint serve serial" in str(stalled.value)
    assert f"serial {old.serial}" in str(stalled.value)
    assert "run the flow again to go on" in str(stalled.value)
    assert trusted == 2
    assert rotation.unproven == ()
    assert (slow.served().trust, slow.left_over()) == (authority, [])
    assert prober.result.calls > 100
    assert prober.result.failed == ()


def test_another_writer_of_a_ca_bundle_is_named_and_what_served_before_serves_on(
    slow: RotatingCluster,
) -> None:
    authority, before = slow.authority("fought-ca"), slow.served()

    with mesh_prober(slow.cluster.control_plane) as prober:
        with another_writer(slow), pytest.raises(StalledError) as stalled:
            rotate_at_once(slow.cluster.name, "fought-ca", SOON)
        fought = slow.served()
        rotation = rotate_at_once(slow.cluster.name, "fought-ca", PATIENCE)

    assert "settle the trust" in str(stalled.value)
    assert "last by ca-injector" in str(stalled.value)
    assert (fought.secret, fought.endpoints) == (before.secret, before.endpoints)
    assert rotation.unproven == ()
    assert (slow.served().trust, slow.left_over()) == (authority, [])
    assert prober.result.calls > 100
    assert prober.result.failed == ()


def restart_operator(rotating: RotatingCluster) -> None:
    """What `kubectl rollout restart` does: new pods first, then the old ones end."""
    annotations = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat()}
    template: Manifest = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    rotating.client.patch(ObjectRef("apps/v1", "Deployment", PROFILE.deployment, NAMESPACE), template)


@contextmanager
def another_writer(rotating: RotatingCluster) -> Iterator[None]:
    """Somebody who brings the caBundle of the mesh validator back to what it is now, again and again."""
    bundle = next(one for one in rotating.bundles() if one.name.startswith("mesh-"))
    kubeconfig = str(rotating.cluster.control_plane.kubeconfig)
    api = sdk.AdmissionregistrationV1Api(config.new_client_from_config(kubeconfig, context=CONTEXT))
    place = f"/webhooks/{bundle.index}/clientConfig/caBundle"
    patch = [{"op": "replace", "path": place, "value": base64.b64encode(bundle.ca_bundle).decode()}]
    over = threading.Event()

    def write() -> None:
        while not over.wait(EVERY):
            api.patch_validating_webhook_configuration(bundle.ref.name, patch, field_manager="ca-injector")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()
