"""The lock on a cluster, with the accounts and roles that are shipped, on a real API server."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.accounts import FLEET_CONTEXT, make_accounts
from deployments.rehearsal.control_plane import ControlPlane
from tasks.clients.cluster import ClusterClient
from tasks.connections import load_block
from tasks.core.errors import ClusterForbiddenError, ClusterIdentityError
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.rollout.leases import LEASE, ClusterHeldError, held_by, taken
from tasks.rollout.locking import held

pytestmark = pytest.mark.cluster

SOON, LONG_AGO = timedelta(seconds=1), timedelta(days=1)
REACH = timedelta(minutes=1)


@pytest.fixture(scope="module")
def kubeconfig(control_plane: ControlPlane, prefect_server: SyncPrefectClient) -> Path:
    return make_accounts(control_plane)


@pytest.fixture
def client(control_plane: ControlPlane) -> Iterator[ClusterClient]:
    client = control_plane.client()
    yield client
    client.delete(LEASE)


@pytest.fixture
def save(kubeconfig: Path) -> Callable[..., KubernetesCluster]:
    def make(**fields: object) -> KubernetesCluster:
        block = {"kubeconfig_file": kubeconfig, "context": FLEET_CONTEXT, **fields}
        KubernetesCluster.model_validate(block).save("locked", overwrite=True)
        return load_block(KubernetesCluster, "locked")

    return make


def lease(client: ClusterClient) -> Manifest:
    found = client.get(LEASE)
    assert found is not None
    return found


def write(client: ClusterClient, holder: str, now: datetime) -> None:
    client.create(taken(None, holder, now))


def test_a_cluster_is_held_for_the_length_of_a_block_with_the_shipped_role(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    with held(save(), "run one", REACH):
        inside = held_by(lease(client), datetime.now(UTC))

    assert inside == "run one"
    assert held_by(lease(client), datetime.now(UTC)) == ""


def test_another_run_is_refused_by_name_while_it_is_held(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    write(client, "run one", datetime.now(UTC))

    with pytest.raises(ClusterHeldError, match="run one does"), held(save(), "run two", REACH, SOON):
        pytest.fail("it was held")

    assert held_by(lease(client), datetime.now(UTC)) == "run one"


def test_the_lock_of_a_process_that_is_gone_expires(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    write(client, "run one", datetime.now(UTC) - LONG_AGO)

    with held(save(), "run two", REACH, SOON):
        assert held_by(lease(client), datetime.now(UTC)) == "run two"


def test_a_run_that_starts_again_takes_over_from_itself_and_its_older_process_notices(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    with held(save(), "run one", REACH) as older, held(save(), "run one", REACH) as newer:
        older.renew()
        newer.renew()
        newer.require()
        with pytest.raises(ClusterHeldError, match="taken over by run one"):
            older.require()


def test_a_lease_that_somebody_touched_without_taking_it_stays_ours(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    with held(save(), "run one", REACH) as mine:
        client.patch(LEASE, {"metadata": {"labels": {"seen": "yes"}}})
        mine.renew()
        mine.require()

        assert lease(client)["metadata"]["labels"]["seen"] == "yes"


def test_since_when_a_cluster_is_right_is_remembered_until_it_is_changed(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    with held(save(), "run one", REACH) as mine:
        first = mine.right_since("digest", changed=True)
    with held(save(), "run two", REACH) as mine:
        kept = mine.right_since("digest", changed=False)
        changed = mine.right_since("digest", changed=True)
        other = mine.right_since("another digest", changed=False)

    assert kept == first
    assert first < changed < other


def test_a_cluster_that_is_not_the_pinned_one_is_left_untouched(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    block = save(expected_uid="00000000-0000-0000-0000-000000000000")

    with pytest.raises(ClusterIdentityError), held(block, "run one", REACH):
        pytest.fail("it was held")

    assert client.get(LEASE) is None


def test_a_missing_permission_is_told_with_what_grants_it(
    client: ClusterClient, save: Callable[..., KubernetesCluster]
) -> None:
    role = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "osok-fleet")
    shipped = client.get(role)
    assert shipped is not None
    without = [rule for rule in shipped["rules"] if rule.get("resources") != ["leases"]]
    client.patch(role, {"rules": without})
    try:
        with pytest.raises(ClusterForbiddenError, match="get, create and update of leases"):
            _hold(save())
    finally:
        client.patch(role, {"rules": shipped["rules"]})


def _hold(block: KubernetesCluster) -> None:
    with held(block, "run one", REACH, SOON):
        pytest.fail("it was held")
