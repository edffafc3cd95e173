"""Parts of tests that talk to the rehearsal's release server."""

import time
from datetime import timedelta

from deployments.rehearsal.releases import ReleaseServer
from tasks.clients.registry import Anonymous, Credentials, RegistryAccess, Scheme
from tasks.clients.web import Pacing
from tasks.core.deadlines import Deadline

NO_PAUSES = Pacing(first_pause=timedelta(0), longest_pause=timedelta(0))
"""Repetitions without waiting in between."""


def deadline(minutes: float = 2) -> Deadline:
    """A deadline that no test is meant to reach."""
    return Deadline.after(timedelta(minutes=minutes), time.monotonic)


def access(server: ReleaseServer, credentials: Credentials | None = None, *realms: str) -> RegistryAccess:
    """Access to the server's registry."""
    return RegistryAccess(server.registry, credentials or Anonymous(), frozenset(realms), scheme=Scheme.HTTP)
