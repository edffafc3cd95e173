"""The gate as a person answers it: the form in the Prefect UI, in a real browser (R14, R15)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.gate_pictures import Answer, answer_in_the_form, show_end, start_and_wait
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import PrefectUi, open_browser
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.clients.cluster import ClusterClient
from tests.support.browsers import BROWSER
from tests.support.certificates import requests_of, write_authority
from tests.support.gates import NAMESPACE, left_over, published, put_back_afterwards, served

pytestmark = [
    *BROWSER,
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]


@dataclass(frozen=True)
class Gate:
    """A cluster whose certificate is asked for in deployed runs."""

    prefect: SyncPrefectClient
    url: str
    client: ClusterClient
    parameters: dict[str, object]


@pytest.fixture
def gate(
    deployed: SyncPrefectClient, prefect_services: PrefectServices, installed_world: World, tmp_path: Path
) -> Iterator[Gate]:
    cluster = installed_world.clusters[0]
    client = cluster.control_plane.client()
    write_authority(tmp_path, "Form CA").save("form-ca", overwrite=True)
    certificate = {"mode": "OWN", "authority": "form-ca"}
    parameters: dict[str, object] = {"clusters": [cluster.name], "certificate": certificate}
    with put_back_afterwards(client):
        yield Gate(deployed, prefect_services.ui_url, client, parameters)


def test_a_denial_in_the_form_changes_nothing_and_an_approval_publishes(gate: Gate, tmp_path: Path) -> None:
    before = published(gate.client)
    denied = start_and_wait(gate.prefect, gate.parameters)
    with open_browser() as page:
        ui = PrefectUi(page, gate.url)
        answer = Answer("DENY", "not before the freeze ends", "Ada Lovelace")
        offered = answer_in_the_form(ui, denied.run_id, answer, tmp_path / "form.png")
        show_end(ui, denied.run_id, "Failed", tmp_path / "denied.png")

        ended = gate.prefect.read_flow_run(denied.run_id).state
        assert offered == ["APPROVE", "DENY", "CLUSTER"]
        assert ended is not None
        assert "a denial by Ada Lovelace (claimed): not before the freeze ends" in str(ended.message)
        assert published(gate.client) == before
        assert (left_over(gate.client), requests_of(gate.client, NAMESPACE)) == ([], [])

        approved = start_and_wait(gate.prefect, gate.parameters)
        answer_in_the_form(ui, approved.run_id, Answer("APPROVE", "planned change", "Ada Lovelace"))
        show_end(ui, approved.run_id, "Completed", tmp_path / "approved.png")

    assert served(gate.client) == {"CN=Form CA"}
    assert left_over(gate.client) == []
    assert {path.name for path in tmp_path.glob("*.png")} == {"form.png", "denied.png", "approved.png"}
