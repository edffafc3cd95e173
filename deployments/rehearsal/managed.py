"""Makes the rehearsal's control planes OKE clusters of its tenancy.

Container Engine lists them, and their API servers have it review every token that they do not know (webhook
token authentication).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from oci.container_engine import models as container_engine

from deployments.rehearsal.control_plane import ControlPlane, ControlPlaneSettings, Part
from deployments.rehearsal.tenancy.clusters import ClusterAuthority
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Entry
from deployments.rehearsal.tenancy.tokens import ClusterTokens
from deployments.rehearsal.tenancy.world import Place, add_cluster

_FLEET_ROLES = ("osok-fleet", "osok-fleet-approver")
_BOOTSTRAP_ROLES = ("osok-fleet-bootstrap",)


@dataclass(frozen=True)
class OkeUser:
    """A user of the tenancy who works in clusters, and the OciTenancy block that signs as them."""

    user_id: str
    tenancy_block: str


class ManagedClusters:
    """The clusters of one tenancy's region.

    Args:
        server: The region.
        place: The tenancy and the compartment that the clusters belong to.
        fleet: The everyday account.
        bootstrap: The account that may create OLM's own cluster roles.
    """

    def __init__(self, server: TenancyServer, place: Place, fleet: OkeUser, bootstrap: OkeUser) -> None:
        self._server = server
        self._place = place
        self._fleet = fleet
        self._bootstrap = bootstrap

    def announce(self, name: str) -> Entry:
        """A cluster that is being created."""
        region = self._server.region
        return add_cluster(self._server.store, self._place, region, name, "", lifecycle_state="CREATING")

    def settings(self, cluster: Entry, file: Path, base: ControlPlaneSettings) -> ControlPlaneSettings:
        """What the control plane of a cluster has to be started with; `file` tells it whom to ask."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(self._webhook(cluster.model.id)))
        flags = (
            f"--authentication-token-webhook-config-file={file}",
            "--authentication-token-webhook-version=v1",
            # Kubernetes keeps answers for two minutes, so that a token would outlive its end by that.
            "--authentication-token-webhook-cache-ttl=5s",
        )
        together = (*base.extra_flags.get(Part.API_SERVER, ()), *flags)
        return replace(base, extra_flags={**base.extra_flags, Part.API_SERVER: together})

    def complete(self, cluster: Entry, control_plane: ControlPlane) -> None:
        """The cluster is there: its address and authority are known."""
        address = urlsplit(control_plane.server).netloc
        cluster.model.endpoints = container_engine.ClusterEndpoints(
            public_endpoint=address, private_endpoint=address, kubernetes=address
        )
        cluster.private = ClusterAuthority(control_plane.ca_file.read_bytes())
        cluster.model.lifecycle_state = "ACTIVE"

    def grant(self, control_plane: ControlPlane) -> None:
        """Bind the shipped roles to the users by their OCIDs, as the administrator of an OKE cluster does."""
        client = control_plane.client()
        pairs = [(role, self._fleet) for role in _FLEET_ROLES]
        pairs += [(role, self._bootstrap) for role in _BOOTSTRAP_ROLES]
        for role, user in pairs:
            client.apply(_binding(role, user.user_id))

    def block_fields(self, cluster: Entry) -> Mapping[str, object]:
        """The fields of the KubernetesCluster block of a cluster."""
        return {
            "source": "OKE",
            "cluster_id": cluster.model.id,
            "tenancy": self._fleet.tenancy_block,
            "bootstrap_tenancy": self._bootstrap.tenancy_block,
        }

    def _webhook(self, cluster_id: str) -> dict[str, object]:
        """A kubeconfig, which is the form in which an API server is told about webhooks."""
        server = f"{self._server.url}{ClusterTokens.PATH}{cluster_id}"
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "container-engine", "cluster": {"server": server}}],
            "users": [{"name": "api-server", "user": {}}],
            "contexts": [
                {"name": "webhook", "context": {"cluster": "container-engine", "user": "api-server"}}
            ],
            "current-context": "webhook",
        }


def _binding(role: str, user: str) -> dict[str, object]:
    api = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{api}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{role}-oci"},
        "roleRef": {"apiGroup": api, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": api, "kind": "User", "name": user}],
    }
