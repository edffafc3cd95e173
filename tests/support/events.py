"""The events that flow runs emitted about clusters."""

from prefect.client.orchestration import SyncPrefectClient

from tasks.core.manifests import Manifest


def events_of(client: SyncPrefectClient, cluster: str) -> list[tuple[str, Manifest]]:
    """Name and payload of what was emitted about a cluster, the oldest first."""
    wanted = {"resource": {"id": [f"osok-fleet.cluster.{cluster}"]}, "order": "ASC"}
    answer = client._client.post("/events/filter", json={"filter": wanted, "limit": 50})  # noqa: SLF001 - Prefect offers no public call for reading events
    answer.raise_for_status()
    return [(one["event"], one["payload"]) for one in answer.json()["events"]]
