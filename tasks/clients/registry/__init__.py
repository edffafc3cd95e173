"""OCI registries, as far as pulling an operator's bundle needs them."""

from tasks.clients.registry.access import (
    Anonymous,
    BasicCredentials,
    Credentials,
    RegistryAccess,
    Scheme,
    TokenCredentials,
)
from tasks.clients.registry.client import PulledBundle, RegistryClient
from tasks.clients.registry.manifests import Platform

__all__ = [
    "Anonymous",
    "BasicCredentials",
    "Credentials",
    "Platform",
    "PulledBundle",
    "RegistryAccess",
    "RegistryClient",
    "Scheme",
    "TokenCredentials",
]
