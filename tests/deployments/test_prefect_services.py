"""The rehearsal's Prefect server and workers keep to themselves."""

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.prefect_services import PrefectServices
from tests.support.listening import listening_addresses


def test_server_and_worker_listen_on_loopback_only(
    deployed: SyncPrefectClient, prefect_services: PrefectServices
) -> None:
    addresses = listening_addresses(prefect_services.server.pid)
    addresses += listening_addresses(prefect_services.worker.pid)

    assert addresses
    assert [address for address in addresses if not address.is_loopback] == []
