"""The Kubernetes API of one cluster, spoken through the official client's transport."""

from tasks.clients.cluster.client import ApplyMode, ClusterClient, PatchType

__all__ = ["ApplyMode", "ClusterClient", "PatchType"]
