"""Access to OKE clusters, kept for some minutes so that the steps of a run do not ask OCI again and again."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.kubernetes_cluster import KubernetesCluster
from blocks.oci_tenancy import OciTenancy
from tasks.clients.remembering import Memory
from tasks.clients.tenancy.oke import Endpoint, EndpointKind, OkeToken, read_access
from tasks.clients.tenancy.sdk import region_of
from tasks.connections.blocks import load_block
from tasks.connections.tenancies import in_region, open_tenancy
from tasks.core.kubeconfigs import ConnectionSettings

_READ_WITHIN = timedelta(minutes=1)
_KEPT_FOR = timedelta(minutes=10)
"""Address and authority of a cluster change by hand only; a session or a key of the tenancy may end."""


@dataclass(frozen=True)
class OkeAccess:
    """How to reach one cluster, and who makes the tokens."""

    settings: ConnectionSettings
    token: OkeToken


_known: Memory[OkeAccess] = Memory(_KEPT_FOR)


def oke_access(block: KubernetesCluster, tenancy_name: str) -> OkeAccess:
    """The access to the cluster of a block as the identity of a tenancy's block.

    Raises:
        InputError: There is no such tenancy block.
        PrerequisiteError: The cluster is not in use, or has no such endpoint.
        TenancyError: The tenancy refuses or does not answer.
    """
    tenancy = load_block(OciTenancy, tenancy_name)
    endpoint = Endpoint(EndpointKind(block.endpoint), block.endpoint_address)
    # What a person may change in the tenancy's block without changing its name.
    who = (tenancy_name, tenancy.tenancy_id, tenancy.region, tenancy.endpoint, repr(tenancy.authentication))
    return _known.recall((who, block.cluster_id, endpoint), lambda: _read(tenancy, block, endpoint))


def _read(tenancy: OciTenancy, block: KubernetesCluster, endpoint: Endpoint) -> OkeAccess:
    placed = in_region(tenancy, region_of(block.cluster_id))
    calls = open_tenancy(placed, datetime.now(UTC) + _READ_WITHIN)
    settings = read_access(calls, block.cluster_id, endpoint)
    return OkeAccess(settings, OkeToken(calls.identity, calls.address, block.cluster_id))
