"""What a stuck stage reports: the cause found in the cluster, never only "timed out" (R7)."""

from tasks.clients.cluster import ClusterClient
from tasks.core.diagnosis import StallObservation, diagnose, stalled_error
from tasks.core.errors import ClusterError, StalledError
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest

_OLM_NAMESPACE = "olm"
_OLM_V1ALPHA1 = "operators.coreos.com/v1alpha1"


def stalled(client: ClusterClient, installation: Installation, attempted: str) -> StalledError:
    """Read the cluster once and build the error that names the cause."""
    causes = diagnose(observe_stall(client, installation))
    return stalled_error(attempted, f"{client.name}: namespace {installation.namespace}", causes)


def observe_stall(client: ClusterClient, installation: Installation) -> StallObservation:
    """Read what explains a stall; what cannot be read is left out, since half an explanation beats none."""
    reader = _Reader(client, installation.namespace)
    subscriptions = reader.own(_OLM_V1ALPHA1, "Subscription")
    ours = [item for item in subscriptions if item["spec"].get("name") == installation.package]
    return StallObservation(
        installation,
        subscription=ours[0] if ours else None,
        catalogs=reader.own_and_olm(_OLM_V1ALPHA1, "CatalogSource"),
        groups=reader.groups(),
        plans=reader.own(_OLM_V1ALPHA1, "InstallPlan"),
        csvs=reader.own(_OLM_V1ALPHA1, "ClusterServiceVersion"),
        deployments=reader.own_and_olm("apps/v1", "Deployment"),
        replica_sets=reader.own_and_olm("apps/v1", "ReplicaSet"),
        pods=reader.own_and_olm("v1", "Pod"),
        events=reader.own_and_olm("v1", "Event"),
        services=reader.own("v1", "Service"),
        olm_namespace=_OLM_NAMESPACE,
    )


class _Reader:
    def __init__(self, client: ClusterClient, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    def groups(self) -> tuple[Manifest, ...] | None:
        """None when they could not be read: that is not the same as none being there."""
        try:
            return tuple(self._client.list_objects("operators.coreos.com/v1", "OperatorGroup"))
        except ClusterError:
            return None

    def read(self, api_version: str, kind: str, namespace: str) -> tuple[Manifest, ...]:
        try:
            return tuple(self._client.list_objects(api_version, kind, namespace))
        except ClusterError:
            return ()

    def own(self, api_version: str, kind: str) -> tuple[Manifest, ...]:
        return self.read(api_version, kind, self._namespace)

    def own_and_olm(self, api_version: str, kind: str) -> tuple[Manifest, ...]:
        return (*self.own(api_version, kind), *self.read(api_version, kind, _OLM_NAMESPACE))
