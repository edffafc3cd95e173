"""A tenancy that the real OCI SDK talks to: signed requests, the SDK's own models, real certificates.

`store` is the state, `identity`, `vaults`, `certificates` and `clusters` the services, `server` the listener.
Nothing here decides what a caller may do: a right that is missing is a fault of the kind NOT_FOUND.
"""

from deployments.rehearsal.tenancy.server import TenancyServer

__all__ = ["TenancyServer"]
