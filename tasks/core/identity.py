"""Which cluster answers: the uid of its namespace kube-system, which is its own and does not change."""

from tasks.core.errors import ClusterIdentityError
from tasks.core.manifests import Manifest, ObjectRef

KUBE_SYSTEM = ObjectRef("v1", "Namespace", "kube-system")


def identity_of(cluster: str, kube_system: Manifest | None) -> str:
    """The identity of a cluster, from its namespace kube-system as read.

    Raises:
        ClusterIdentityError: There is no such namespace.
    """
    if kube_system is None:
        raise ClusterIdentityError("identify the cluster", cluster, "namespace kube-system", "none")
    return str(kube_system["metadata"]["uid"])


def require_pinned(attempted: str, cluster: str, pinned: str, uid: str) -> None:
    """Refuse another cluster than the pinned one under the same address; without a pin any will do.

    Raises:
        ClusterIdentityError: It is another one.
    """
    if pinned and uid != pinned:
        raise ClusterIdentityError(
            attempted,
            f"{cluster}: uid of namespace kube-system",
            pinned,
            uid,
            "The address leads to another cluster, and nothing was written there. Correct the block, or its "
            "expected_uid if the cluster was rebuilt on purpose.",
        )
