"""Opens a cluster from its block."""

from enum import StrEnum

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.connection import connect, connect_in_cluster
from tasks.connections.oke import oke_access
from tasks.core.errors import InputError
from tasks.core.kubeconfigs import KubeconfigPolicy, KubeconfigRisk, read_kubeconfig


class Account(StrEnum):
    """Which of the block's accounts a step acts as."""

    FLEET = "FLEET"
    """The everyday account with the ClusterRole that deployments/ ships."""
    BOOTSTRAP = "BOOTSTRAP"
    """The account that may create OLM's own cluster roles; used by the OLM step only."""


def open_cluster(block: KubernetesCluster, account: Account = Account.FLEET) -> ClusterClient:
    """Make a client for the cluster of a block.

    Raises:
        InputError: The block or its kubeconfig says something that is not allowed or cannot be read.
        PrerequisiteError: An OKE cluster is not in use, or has no endpoint of the block's kind.
        TenancyError: OCI refuses or does not answer; only for OKE.
    """
    name = cluster_name(block)
    if block.source is KubeconfigSource.OKE:
        bootstraps = account is Account.BOOTSTRAP and block.bootstrap_tenancy
        access = oke_access(block, block.bootstrap_tenancy if bootstraps else block.tenancy)
        return connect(name, access.settings, block.request_timeout, access.token.value)
    if block.source is KubeconfigSource.IN_CLUSTER:
        return connect_in_cluster(name, block.request_timeout)
    context = (
        block.bootstrap_context if account is Account.BOOTSTRAP and block.bootstrap_context else block.context
    )
    settings = read_kubeconfig(_kubeconfig_text(block), context, _policy(block))
    return connect(name, settings, block.request_timeout)


def cluster_name(block: KubernetesCluster) -> str:
    """The name a cluster has in messages, run names and reports: its block's name."""
    return block._block_document_name or "unsaved-cluster"  # noqa: SLF001 - Prefect offers no public name


def _kubeconfig_text(block: KubernetesCluster) -> str:
    if block.source is KubeconfigSource.CONTENT and block.kubeconfig is not None:
        return block.kubeconfig.get_secret_value()
    path = block.kubeconfig_file
    try:
        return path.expanduser().read_text() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "read the kubeconfig",
            cluster_name(block),
            f"a readable file {path}",
            type(error).__name__,
            "Correct kubeconfig_file in the cluster's block, or give the worker access to it.",
        ) from None


def _policy(block: KubernetesCluster) -> KubeconfigPolicy:
    unknown = [risk for risk in block.allowed_risks if risk not in KubeconfigRisk.__members__]
    if unknown:
        raise InputError(
            "use the cluster's block",
            f"{cluster_name(block)}: allowed_risks",
            " or ".join(KubeconfigRisk),
            ", ".join(unknown),
        )
    risks = frozenset(KubeconfigRisk(risk) for risk in block.allowed_risks)
    return KubeconfigPolicy(risks, frozenset(block.allowed_exec_commands))
