"""Opens clients from blocks: the one place where connection data meets the clients."""

from tasks.connections.blocks import load_block, load_many
from tasks.connections.clusters import Account, cluster_name, open_cluster
from tasks.connections.tenancies import in_region, open_tenancy, sign_in, tenancy_name

__all__ = [
    "Account",
    "cluster_name",
    "in_region",
    "load_block",
    "load_many",
    "open_cluster",
    "open_tenancy",
    "sign_in",
    "tenancy_name",
]
