"""Drift from its discovery to its repair as a person lives it, in the Prefect UI in a browser (R2-R22)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.gate_pictures import Answer, answer_in_the_form
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import PrefectUi, open_browser
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.core.manifests import ObjectRef
from tests.support.artifacts import artifacts_with
from tests.support.browsers import BROWSER
from tests.support.drift_worlds import DriftBench, drift_bench

pytestmark = [
    *BROWSER,
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True),
]

ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
VERBS = "/rules/0/verbs"


@pytest.fixture
def bench(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    with drift_bench(untouched_world) as found:
        assert found.settled(frozenset()) == frozenset()
        yield found


def test_drift_is_found_proposed_approved_and_repaired_from_the_forms_and_the_report_opens_as_a_file(
    untouched_world: World,
    bench: DriftBench,
    deployed: SyncPrefectClient,
    prefect_services: PrefectServices,
    tmp_path: Path,
) -> None:
    bench.stranger.changes(ROLE, (VERBS, ["get"]))
    deployment = deployed.read_deployment_by_name("verify-fleet/verify-fleet")
    parameters = {
        **untouched_world.parameters(),
        "publication": {"fleet": "ui", "report": str(tmp_path)},
        "repair": {"changed": "PROPOSE"},
    }

    with open_browser() as page:
        ui = PrefectUi(page, prefect_services.ui_url)
        form = ui.open_run_form(deployment.id)
        form.fill(deployment.parameter_openapi_schema or {}, parameters)
        run = form.submit()
        ui.wait_for_run_state("Suspended")
        offered = answer_in_the_form(ui, run, Answer("REPAIR", "CHG-4711", "Ada Lovelace"))
        ui.wait_for_run_state("Completed")
        ui.open_artifact(artifacts_with(deployed, "fleet-status", run)[0].id)
        page.get_by_text("FINE").first.wait_for()
        page.goto((tmp_path / "osok-fleet-ui-part.html").as_uri())
        report = page.locator("body").inner_text()

    assert offered == ["REPAIR", "DENY"]
    assert bench.drift() == {}
    assert bench.name in report
