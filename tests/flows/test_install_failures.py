"""Runs of install-fleet that fail on some clusters: each is named with its cause, others go on (R1, R7)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient
from pydantic import SecretStr

from blocks.kubernetes_cluster import KubeconfigSource, KubernetesCluster
from deployments.rehearsal.accounts import BOOTSTRAP_CONTEXT, FLEET_CONTEXT
from deployments.rehearsal.control_plane import CONTEXT
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import RehearsalCluster, World
from tests.support.install_runs import run_install, small_operator_parameters
from tests.support.small_installs import InstallSite, install_site
from tests.support.small_operators import SmallOperator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
    ),
]

OTHER_UID = "00000000-0000-0000-0000-000000000000"
UNKNOWN, GONE, REPLACED = "failures-unknown", "failures-gone", "failures-replaced"
ADMINISTERED = "failures-administered"


def save_block_of_a_cluster_that_is_gone(cluster: RehearsalCluster) -> None:
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    # The discard port: nobody listens.
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    content = SecretStr(yaml.safe_dump(config))
    KubernetesCluster(source=KubeconfigSource.CONTENT, kubeconfig=content, context=FLEET_CONTEXT).save(
        GONE, overwrite=True
    )


def save_block_with_another_identity(cluster: RehearsalCluster) -> None:
    KubernetesCluster(
        kubeconfig_file=cluster.kubeconfig,
        context=FLEET_CONTEXT,
        bootstrap_context=BOOTSTRAP_CONTEXT,
        expected_uid=OTHER_UID,
    ).save(REPLACED, overwrite=True)


def test_clusters_that_cannot_be_used_are_named_with_the_cause_and_the_others_go_on(
    installed_world: World, prefect_server: SyncPrefectClient
) -> None:
    """R1: no such block, no answer, another cluster behind the address."""
    healthy = installed_world.clusters[0]
    save_block_of_a_cluster_that_is_gone(healthy)
    save_block_with_another_identity(healthy)
    parameters = {
        **installed_world.parameters(),
        "clusters": [UNKNOWN, GONE, REPLACED, healthy.name],
        "deadlines": {"target": "PT5S"},
    }

    run = run_install(prefect_server, parameters)

    assert run.state == "Failed"
    assert f"({UNKNOWN}, {GONE}, {REPLACED})" in run.message
    assert f"{UNKNOWN} FAILED: Could not load the block '{UNKNOWN}'" in run.message
    assert f"{GONE} FAILED: Could not GET /version ({GONE}): expected an answer from" in run.message
    assert f"{REPLACED} FAILED: Could not use the cluster ({REPLACED}: uid of " in run.message
    assert run.report(healthy.name)["state"] == "INSTALLED"
    assert run.report(REPLACED)["steps"][-1]["detail"].count(OTHER_UID) == 1
    assert "Connection refused" in run.artifacts[f"install-{GONE}"]


@pytest.fixture
def administered(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    """The same cluster with an account that needs no roles for other operators."""
    kubeconfig = installed_world.clusters[0].control_plane.kubeconfig
    KubernetesCluster(kubeconfig_file=kubeconfig, context=CONTEXT).save(ADMINISTERED, overwrite=True)
    with install_site(installed_world) as site:
        yield site


def test_a_refused_operator_fails_the_run_with_the_cause_in_the_error_and_in_every_report(
    installed_world: World, prefect_server: SyncPrefectClient, administered: InstallSite, tmp_path: Path
) -> None:
    """R7: the cause is in the error and on the cluster's page, and beside it stands what to do."""
    namespace = administered.namespace()
    administered.operator_group(namespace, "narrow", targetNamespaces=[namespace])
    parameters = small_operator_parameters(SmallOperator("narrowed"), tmp_path, installed_world)
    parameters["operator"]["namespace"] = namespace

    run = run_install(prefect_server, {**parameters, "clusters": [ADMINISTERED]})

    page = run.artifacts[f"install-{ADMINISTERED}"]
    assert run.state == "Failed"
    assert f"(OperatorGroup {namespace}/narrow)" in run.message
    assert "Choose another namespace for the operator." in page
    assert run.step_states(ADMINISTERED)["OPERATOR_GROUP"] == "REFUSED"
    assert "SUBSCRIPTION" not in run.step_states(ADMINISTERED)
