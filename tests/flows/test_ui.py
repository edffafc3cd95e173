"""install-fleet as a person starts it: from its form in the Prefect UI, in a real browser (R2 to R10)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterId,
)

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import PrefectUi, RunForm, open_browser
from deployments.rehearsal.screenshots import PICTURES, install_from_the_form
from tests.support.browsers import BROWSER
from tests.support.worlds import WorldStarter

pytestmark = [*BROWSER, pytest.mark.long]

DEPLOYMENT = "install-fleet/install-fleet"
DIAGNOSIS = "diagnose-certificate/diagnose-certificate"
OTHER_OLM = ("olm", "When another OLM version is installed")


@pytest.fixture(params=[DEPLOYMENT])
def form(
    request: pytest.FixtureRequest, deployed: SyncPrefectClient, prefect_services: PrefectServices
) -> Iterator[RunForm]:
    """The form of a deployment in a browser of its own: that of install-fleet unless a test names another."""
    deployment = deployed.read_deployment_by_name(request.param)
    with open_browser() as page:
        yield PrefectUi(page, prefect_services.ui_url).open_run_form(deployment.id)


def runs_of(name: str, client: SyncPrefectClient) -> set[object]:
    deployment = client.read_deployment_by_name(name)
    wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
    return {run.id for run in client.read_flow_runs(deployment_filter=wanted)}


@pytest.mark.cluster
def test_the_operator_is_installed_from_the_form(
    deployed: SyncPrefectClient,
    prefect_services: PrefectServices,
    fresh_world: WorldStarter,
    tmp_path: Path,
) -> None:
    world = fresh_world()
    before = runs_of(DEPLOYMENT, deployed)

    with open_browser() as page:
        run_id = install_from_the_form(PrefectUi(page, prefect_services.ui_url), deployed, world, tmp_path)

    [run] = deployed.read_flow_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
    assert run.state is not None
    assert run.state.is_completed()
    assert run.name == f"install-fleet/{world.clusters[0].name}"
    assert run.parameters["olm"] == {**world.parameters()["olm"], "other_version": "REFUSE"}
    assert runs_of(DEPLOYMENT, deployed) - before == {run_id}
    assert {path.name for path in tmp_path.iterdir()} == set(PICTURES)


def test_enums_are_lists_to_choose_from(form: RunForm) -> None:
    assert form.choices(*OTHER_OLM) == ["REFUSE", "UPGRADE"]
    assert form.choices("operator", "Bundle source") == ["REGISTRY", "DIRECTORY", "ARCHIVE"]
    assert form.choices("metrics_server", "Metrics server") == ["OFF", "ENSURE"]


def test_defaults_are_shown(form: RunForm) -> None:
    assert form.value("operator", "Operator release") == "1.1.9"
    assert form.value("olm", "OLM version") == "0.20.0"
    assert form.value("deadlines", "Operator") == "PT5M"
    assert form.value(*OTHER_OLM) == "REFUSE"


@pytest.mark.parametrize("form", [DIAGNOSIS], indirect=True)
def test_a_form_without_clusters_is_refused_beside_the_field(
    form: RunForm, deployed: SyncPrefectClient
) -> None:
    """install-fleet takes a fleet instead of clusters; a diagnosis has to be told the clusters."""
    before = runs_of(DIAGNOSIS, deployed)

    form.submit_refused("'clusters' is a required property", "clusters")

    assert runs_of(DIAGNOSIS, deployed) == before


def test_a_wrong_checksum_is_refused_with_the_name_of_its_field(
    form: RunForm, deployed: SyncPrefectClient
) -> None:
    before = runs_of(DEPLOYMENT, deployed)
    form.add_items(["any"], "clusters")
    form.write("abc", "olm", "SHA-256 of crds.yaml")

    form.submit_refused("Validation failed for field 'olm.crds_sha256'")

    assert runs_of(DEPLOYMENT, deployed) == before
