"""install-fleet on a real control plane with both OLM versions (R1–R10)."""

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.artifacts import artifacts_with, document_in
from tests.support.crashes import OUR_ACCOUNTS

pytestmark = pytest.mark.cluster

NAMESPACE = "oci-service-operator-system"


def first_report(client: SyncPrefectClient, cluster: str) -> Manifest:
    """The JSON report of the first run on a cluster."""
    return document_in(str(artifacts_with(client, f"install-{cluster}-json")[-1].data))


def test_the_operator_is_installed_and_every_check_passes(
    installed_world: World, prefect_server: SyncPrefectClient
) -> None:
    report = first_report(prefect_server, installed_world.clusters[0].name)

    assert report["state"] == "INSTALLED"
    assert {finding["state"] for finding in report["findings"]} == {"PASS"}
    assert {row["state"] for row in report["olm"]} == {"HEALTHY"}


def test_a_fleet_without_a_tenancy_is_told_that_nothing_was_checked_there(
    installed_world: World, prefect_server: SyncPrefectClient
) -> None:
    first, *_ = first_report(prefect_server, installed_world.clusters[0].name)["steps"]

    assert (first["step"], first["state"]) == ("PREREQUISITES", "SKIPPED")
    assert first["detail"].startswith("not checked: no OCI tenancy is known for this cluster.")


def test_the_csv_succeeded_in_the_operators_namespace(installed_world: World) -> None:
    client = installed_world.clusters[0].control_plane.client()
    ref = ObjectRef(
        "operators.coreos.com/v1alpha1", "ClusterServiceVersion", "oci-service-operator.v1.1.9", NAMESPACE
    )

    csv = client.get(ref)

    assert csv is not None
    assert csv["status"]["phase"] == "Succeeded"


def test_a_second_run_writes_nothing(installed_world: World) -> None:
    control_plane = installed_world.clusters[0].control_plane
    before = len(control_plane.audited_requests())

    install_fleet(**installed_world.parameters())

    ours = [
        request
        for request in control_plane.audited_requests()[before:]
        if request.user.startswith(OUR_ACCOUNTS) and request.changes_something
    ]
    assert ours == []
