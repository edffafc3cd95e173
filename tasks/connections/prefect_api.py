"""Our own calls to Prefect's API, beside those that its engine makes."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

from tasks.clients.polling import deadline_after, wait_for
from tasks.core.errors import PrefectUnavailableError
from tasks.core.reports import duration_text

PATIENCE = timedelta(minutes=1)
"""For so long a server that accepts no connections is waited for: as long as Prefect's engine waits."""

_SOON = (0.1, 0.2, 0.4)
"""Seconds until a request that a busy server refused is sent again; then Prefect's own patience."""
_TRIES = "osok_fleet_tries"


@contextmanager
def prefect_api(patience: timedelta = PATIENCE) -> Iterator[SyncPrefectClient]:
    """A client of the server of these settings.

    On SQLite the server refuses at once (503) what it read before another wrote, which happens whenever a
    task run ends meanwhile. Prefect's client would wait two seconds then; this one is told to come back soon.

    Prefect's client waits for a server that is gone only when it has talked to it before (`_has_connected` in
    prefect/client/base.py), which a new one never has: without a first word a restart of the server would
    fail the run.

    Args:
        patience: For so long a server that refuses connections is waited for.

    Raises:
        PrefectUnavailableError: It accepted none in that time.
    """
    with get_client(
        httpx_settings={"event_hooks": {"response": [_come_back_soon]}}, sync_client=True
    ) as client:
        _greet(client, patience)
        yield client


def _greet(client: SyncPrefectClient, patience: timedelta) -> None:
    refusal = wait_for(partial(_refusal, client), lambda found: found is None, deadline_after(patience))
    if refusal is not None:
        raise PrefectUnavailableError(
            "call Prefect's API",
            # Without a user and a password that an address may hold.
            f"{client.api_url.scheme}://{client.api_url.netloc.decode()}",
            f"a connection within {duration_text(patience)}",
            str(refusal),
            "Start the Prefect server, or correct the setting PREFECT_API_URL.",
        ) from refusal


def _refusal(client: SyncPrefectClient) -> httpx.ConnectError | None:
    try:
        client.hello()
    except httpx.ConnectError as error:
        return error
    return None


def _come_back_soon(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or "Retry-After" in response.headers:
        return
    # Prefect's client sends the same request object again.
    extensions = response.request.extensions
    tries = int(extensions.get(_TRIES, 0))
    if tries < len(_SOON):
        response.headers["Retry-After"] = str(_SOON[tries])
        extensions[_TRIES] = tries + 1
