"""A fleet's life in the Prefect UI, as a person sees it in a browser: waves, drift and repair (R2-R10)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import Artifact

from deployments.rehearsal.fleet import label_clusters
from deployments.rehearsal.gate_pictures import Answer, answer_in_the_form
from deployments.rehearsal.mishaps import ROLE, take_verbs_away
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import PrefectUi, open_browser
from deployments.rehearsal.world import RehearsalCluster
from tests.support.artifacts import artifacts_with
from tests.support.browsers import BROWSER
from tests.support.worlds import WorldStarter

pytestmark = [*BROWSER, pytest.mark.cluster, pytest.mark.long]

RIGHT = ["get", "list", "watch"]
WAVES: Mapping[str, Any] = {
    "waves": [{"name": "canary", "selector": "wave=canary"}, {"name": "rest", "approval": "MANUAL"}]
}


def submit(ui: PrefectUi, client: SyncPrefectClient, flow: str, parameters: Mapping[str, Any]) -> UUID:
    """Fill and submit the form of a deployment."""
    deployment = client.read_deployment_by_name(f"{flow}/{flow}")
    form = ui.open_run_form(deployment.id)
    form.fill(deployment.parameter_openapi_schema or {}, parameters)
    return form.submit()


def decide(ui: PrefectUi, run: UUID, decision: str) -> list[str]:
    """Answer in the form of a suspended run and wait for its end; what the form offers."""
    offered = answer_in_the_form(ui, run, Answer(decision, "CHG-4711", "Ada Lovelace"))
    ui.wait_for_run_state("Completed")
    return offered


def show(ui: PrefectUi, artifact: Artifact, text: str) -> None:
    """Open the page of an artifact and see that a text is on it."""
    ui.open_artifact(artifact.id)
    ui.page.get_by_text(text).first.wait_for()


def verbs(cluster: RehearsalCluster) -> list[str]:
    """What the role of OLM allows; nothing where OLM is not installed."""
    role = cluster.control_plane.client().get(ROLE)
    return list(role["rules"][0]["verbs"]) if role else []


def test_a_fleet_is_installed_in_waves_and_drift_is_found_proposed_and_repaired_from_the_forms(
    fresh_world: WorldStarter,
    deployed: SyncPrefectClient,
    prefect_services: PrefectServices,
    tmp_path: Path,
) -> None:
    """The report opens as a file, without a server."""
    world = fresh_world(clusters=2)
    label_clusters(world)
    canary, rest = world.clusters
    looks = {"publication": {"fleet": "ui", "report": str(tmp_path)}, "repair": {"changed": "PROPOSE"}}

    with open_browser() as page:
        ui = PrefectUi(page, prefect_services.ui_url)
        rollout = submit(ui, deployed, "install-fleet", {**world.parameters(), "rollout": WAVES})
        ui.wait_for_run_state("Suspended")
        at_the_gate = [verbs(canary), verbs(rest)]
        begin = decide(ui, rollout, "BEGIN")
        show(ui, artifacts_with(deployed, "rollout", rollout)[0], "SUCCEEDED")
        installed = verbs(rest)

        take_verbs_away(rest.control_plane.kubeconfig, "kubectl-patch")
        drifted = verbs(rest)
        look = submit(ui, deployed, "verify-fleet", {**world.parameters(), **looks})
        ui.wait_for_run_state("Suspended")
        repair = decide(ui, look, "REPAIR")
        show(ui, artifacts_with(deployed, "fleet-status", look)[0], "FINE")
        page.goto((tmp_path / "osok-fleet-ui-part.html").as_uri())
        report = page.locator("body").inner_text()

    assert at_the_gate == [RIGHT, []]
    assert (begin, installed) == (["BEGIN", "STOP"], RIGHT)
    assert drifted == ["get"]
    assert (repair, verbs(rest)) == (["REPAIR", "DENY"], RIGHT)
    assert {name for name in (canary.name, rest.name) if name in report} == {canary.name, rest.name}
