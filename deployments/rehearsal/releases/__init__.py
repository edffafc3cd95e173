"""The outside world of the rehearsal on one loopback port: release files, a registry, a releases listing."""

from deployments.rehearsal.releases.repositories import RepositoryName, Tag
from deployments.rehearsal.releases.server import ReleasedFile, ReleaseServer

__all__ = ["ReleaseServer", "ReleasedFile", "RepositoryName", "Tag"]
