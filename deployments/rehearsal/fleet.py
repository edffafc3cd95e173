"""What `make rehearsal` adds with several clusters: two waves with a gate, and drift that is put back."""

from collections.abc import Callable
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.deciding import follow_and_decide
from deployments.rehearsal.mishaps import ROLE, VERBS, take_verbs_away
from deployments.rehearsal.running import submit
from deployments.rehearsal.world import RehearsalCluster, World
from tasks.core.reports import duration_text

WAVES: dict[str, Any] = {
    "waves": [
        {"name": "canary", "selector": "wave=canary"},
        {"name": "rest", "approval": "MANUAL", "max_concurrency": "100%"},
    ]
}
"""The parameter `rollout` of install-fleet: the first cluster vouches for the others."""
_COMMAND = (
    'kubectl --kubeconfig {kubeconfig} patch clusterrole {name} --type json --patch \'[{{"op": "replace", '
    '"path": "{field}", "value": ["get"]}}]\''
)


def label_clusters(world: World) -> None:
    """Give the blocks the labels that the waves select by; inside `prefect_environment`."""
    for position, cluster in enumerate(world.clusters):
        labels = {"wave": "rest" if position else "canary"}
        fields = {**cluster.block_fields(), "labels": labels}
        KubernetesCluster.model_validate(fields).save(cluster.name, overwrite=True)


def drift_and_repair(client: SyncPrefectClient, world: World, report: Callable[[str], None]) -> bool:
    """Change an object of the last cluster by hand; verify-fleet finds it, proposes, and puts it back.

    Returns:
        Whether the object is as it was, and was changed before.
    """
    cluster = world.clusters[-1]
    before = _verbs(cluster)
    kubeconfig = cluster.control_plane.kubeconfig
    report("\nSomebody takes verbs from a ClusterRole of OLM by hand:")
    report(_COMMAND.format(kubeconfig=kubeconfig, name=ROLE.name, field=VERBS))
    take_verbs_away(kubeconfig, "kubectl-patch")
    changed = _verbs(cluster) != before
    parameters = {**world.parameters(), "repair": {"changed": "PROPOSE"}}
    run = submit(client, "verify-fleet/verify-fleet", parameters)
    report(f"verify-fleet looks at {len(world.clusters)} clusters, and proposes repairs of what was changed")
    finished = follow_and_decide(client, run, report)
    report(finished.artifacts.get("fleet-status", ""))
    report(f"verify-fleet {finished.state} after {duration_text(finished.duration)}: {finished.message}")
    return changed and _verbs(cluster) == before


def _verbs(cluster: RehearsalCluster) -> list[str]:
    role = cluster.control_plane.client().get(ROLE) or {}
    return list(role["rules"][0]["verbs"])
