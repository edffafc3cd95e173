"""How many clusters of all runs together may be at the risky step at once."""

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectNotFound

from tasks.connections.prefect_api import prefect_api

AT_RISK = "osok-fleet-at-risk"
"""The global concurrency limit of Prefect that a person makes to have one: `prefect gcl create`."""

_EXPIRES_AFTER = 60.0
"""Seconds after which the place of a process that is gone becomes free."""


@contextmanager
def at_risk() -> Iterator[None]:
    """Hold a place, if there is a limit, while a cluster's webhooks may refuse what they should not."""
    if not _is_limited():
        yield
        return
    with concurrency(
        AT_RISK, strict=True, lease_duration=_EXPIRES_AFTER, raise_on_lease_renewal_failure=False
    ):
        yield


def _is_limited() -> bool:
    # Asking for a limit that does not exist would log a warning for every cluster.
    with prefect_api() as client:
        try:
            client.read_global_concurrency_limit_by_name(AT_RISK)
        except ObjectNotFound:
            return False
    return True
