"""install-fleet in waves on real clusters: a failing canary stops it, and the same run goes on afterwards."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import AwaitingRetry
from pydantic import SecretStr

from blocks.cluster_fleet import ClusterBlock, ClusterFleet, FleetEntry
from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from deployments.rehearsal.accounts import BOOTSTRAP_CONTEXT, FLEET_CONTEXT
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import RehearsalCluster, World
from flows.install_fleet import install_fleet
from tasks.clients.cluster import ClusterClient
from tasks.core.manifests import ObjectRef
from tasks.core.rollout.leases import LEASE
from tests.support.artifacts import newest_artifact
from tests.support.certificates import write_authority
from tests.support.crashes import OUR_ACCOUNTS
from tests.support.gates import left_over, own_run, published
from tests.support.worlds import WorldStarter

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
    ),
]

FLEET, CANARY, REST, GONE = "waves", "waves-canary", "waves-rest", "waves-gone"
CATALOG_SERVICE = ObjectRef("v1", "Service", "oci-service-operator-catalog", "oci-service-operator-system")
OTHER_UID = "00000000-0000-0000-0000-000000000000"
WAVES: Mapping[str, Any] = {
    "waves": [
        {"name": "canary", "selector": "stage=canary"},
        {"name": "rest", "max_concurrency": "100%"},
    ]
}


@dataclass(frozen=True)
class Fleet:
    """A canary on which everything is right, a cluster with nothing on it, and one that is gone."""

    world: World
    canary: RehearsalCluster
    rest: RehearsalCluster

    def parameters(self) -> dict[str, Any]:
        chosen = {"clusters": [], "fleet": {"name": FLEET, "selector": "team=mesh"}, "rollout": WAVES}
        return {**self.world.parameters(), **chosen, "deadlines": {"target": "PT20S"}}

    def untouched(self) -> bool:
        """Whether our accounts have asked the cluster with nothing on it anything."""
        asked = self.rest.control_plane.audited_requests()
        return not any(one.user.startswith(OUR_ACCOUNTS) for one in asked)


@pytest.fixture
def fleet(installed_world: World, fresh_world: WorldStarter) -> Fleet:
    fleet = Fleet(installed_world, installed_world.clusters[0], fresh_world().clusters[0])
    save(CANARY, fleet.canary, expected_uid=OTHER_UID)
    save(REST, fleet.rest)
    save_gone(fleet.rest)
    labels = {CANARY: "canary", REST: "prod", GONE: "prod"}
    entries = [
        FleetEntry(name=name, labels={"team": "mesh", "stage": stage}, connection=ClusterBlock(block=name))
        for name, stage in labels.items()
    ]
    others = FleetEntry(name="others", labels={"team": "other"}, connection=ClusterBlock(block="others"))
    ClusterFleet(clusters=[*entries, others]).save(FLEET, overwrite=True)
    return fleet


def save(name: str, cluster: RehearsalCluster, **fields: object) -> None:
    block = {
        "kubeconfig_file": cluster.kubeconfig,
        "context": FLEET_CONTEXT,
        "bootstrap_context": BOOTSTRAP_CONTEXT,
        **fields,
    }
    KubernetesCluster.model_validate(block).save(name, overwrite=True)


def save_gone(cluster: RehearsalCluster) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    # The discard port: nobody listens.
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    content = SecretStr(yaml.safe_dump(config))
    KubernetesCluster(source=KubeconfigSource.CONTENT, kubeconfig=content, context=FLEET_CONTEXT).save(
        GONE, overwrite=True
    )


def test_a_failing_canary_stops_the_rollout_and_the_same_run_goes_on_when_the_cause_is_gone(
    fleet: Fleet, prefect_server: SyncPrefectClient
) -> None:
    """Budget, untouched rest, retry of the same run, an offline cluster apart, the lock let go of."""
    run = own_run(prefect_server, install_fleet, fleet.parameters())
    stopped, untouched = run.go(), fleet.untouched()

    save(CANARY, fleet.canary)
    prefect_server.set_flow_run_state(run.run_id, AwaitingRetry(), force=True)
    ended = run.go()

    table, progress = (
        newest_artifact(prefect_server, key, run.run_id) for key in ("install-fleet", "rollout")
    )
    lease = fleet.canary.control_plane.client().get(LEASE)
    assert stopped.name == "Failed"
    assert "wave canary stops: 1 of 1 clusters failed and 0 may: waves-canary" in str(stopped.message)
    assert untouched
    assert (ended.name, ended.message) == ("Completed", "2 SUCCEEDED; 1 OFFLINE; apart: waves-gone")
    assert "| waves-rest | INSTALLED |" in table
    assert "| rest | waves-gone | OFFLINE |" in progress
    assert lease is not None
    assert lease["spec"].get("holderIdentity", "") == ""


@contextmanager
def catalog_without_our_label(client: ClusterClient) -> Iterator[None]:
    """Somebody took the label off the catalog's Service."""
    before = client.get(CATALOG_SERVICE)
    assert before is not None
    labels = before["metadata"]["labels"]
    client.patch(CATALOG_SERVICE, {"metadata": {"labels": dict.fromkeys(labels)}})
    yield
    client.patch(CATALOG_SERVICE, {"metadata": {"labels": labels}})


def test_a_plan_shows_what_every_cluster_would_get_and_writes_nothing(
    fleet: Fleet, prefect_server: SyncPrefectClient
) -> None:
    """R2, R4-R7: a cluster where one field is not right, a fresh one, and one that is gone."""
    save(CANARY, fleet.canary)
    offsets = {one: one.control_plane.audit_log.stat().st_size for one in (fleet.canary, fleet.rest)}
    parameters = fleet.parameters()
    parameters["rollout"] = {**WAVES, "mode": "PLAN"}

    run = own_run(prefect_server, install_fleet, parameters)
    with catalog_without_our_label(fleet.canary.control_plane.client()):
        ended = run.go()

    plan, preview = (
        newest_artifact(prefect_server, key, run.run_id) for key in ("rollout-plan", "rollout-preview")
    )
    requests = [one for each, start in offsets.items() for one in each.control_plane.audited_requests(start)]
    ours = [one for one in requests if one.user.startswith(OUR_ACCOUNTS)]
    changed = f"- UPDATED {CATALOG_SERVICE}<br>/metadata/labels"
    assert (ended.name, ended.message) == (
        "Planned",
        "3 clusters; nothing was written; something would be refused on waves-gone",
    )
    assert "# Rollout to 3 clusters in 2 waves" in plan
    assert "oci-service-operator.v1.1.9 in oci-service-operator-system, OLM 0.46.0" in plan
    assert "### 1 cluster: 1 step would be refused\n\nwaves-gone" in preview
    assert changed in preview
    assert "to be installed by OLM\n\nwaves-rest" in preview
    assert "CREATED 1 Subscription: oci-service-operator-system/oci-service-operator" in preview
    assert any("dryRun=All" in one.path for one in ours)
    assert [one.path for one in ours if one.changes_something] == []


def test_a_wave_with_a_certificate_of_your_own_waits_at_its_gate_and_a_denied_cluster_is_set_apart(
    installed_world: World, prefect_server: SyncPrefectClient, tmp_path: Path
) -> None:
    """R14, R15: asked for in a thread, decided in the flow, found again by the run that starts anew."""
    cluster = installed_world.clusters[0]
    client = cluster.control_plane.client()
    write_authority(tmp_path, "Waves CA").save("waves-ca", overwrite=True)
    chosen = {
        "certificate": {"mode": "OWN", "authority": "waves-ca"},
        "rollout": {"waves": [{"name": "all"}]},
    }
    run = own_run(prefect_server, install_fleet, {**installed_world.parameters(), **chosen})
    waiting = run.go()
    shown, before = run.shown(), published(client)

    ended = run.answer("DENY")

    assert waiting.name == "Suspended"
    assert f"## {cluster.name}" in shown
    assert (ended.name, ended.message) == ("Completed", f"1 SKIPPED; apart: {cluster.name}")
    assert published(client) == before
    assert left_over(client) == []
