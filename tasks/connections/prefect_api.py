"""Our own calls to Prefect's API, beside those that its engine makes."""

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client

_SOON = (0.1, 0.2, 0.4)
"""Seconds until a request that a busy server refused is sent again; then Prefect's own patience."""
_TRIES = "osok_fleet_tries"


def prefect_api() -> SyncPrefectClient:
    """A client of the server of these settings, to be used in a `with` statement.

    On SQLite the server refuses at once (503) what it read before another wrote, which happens whenever a
    task run ends meanwhile. Prefect's client would wait two seconds then; this one is told to come back soon.
    """
    return get_client(httpx_settings={"event_hooks": {"response": [_come_back_soon]}}, sync_client=True)


def _come_back_soon(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or "Retry-After" in response.headers:
        return
    # Prefect's client sends the same request object again.
    extensions = response.request.extensions
    tries = int(extensions.get(_TRIES, 0))
    if tries < len(_SOON):
        response.headers["Retry-After"] = str(_SOON[tries])
        extensions[_TRIES] = tries + 1
