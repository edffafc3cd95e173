"""install-fleet off the beaten track: another operator, a bundle by hand, another OLM (R2-R10)."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import CONTEXT
from deployments.rehearsal.images import Image
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import save_blocks
from deployments.rehearsal.world import World
from tasks.core.manifests import ObjectRef
from tasks.core.olm_release import OlmManifests
from tasks.core.settings import OlmRelease
from tasks.sources import fetch_olm_release
from tests.support.bundle_files import NEEDS_REAL_BUNDLE, REAL_BUNDLE
from tests.support.install_runs import InstallRun, run_install, small_operator_parameters
from tests.support.small_installs import InstallSite, install_site, patiently, tasks_outside_flows
from tests.support.small_operators import SmallOperator
from tests.support.worlds import OLM_VERSIONS

pytestmark = [pytest.mark.cluster, pytest.mark.long]

ADMINISTERED = "variants-administered"


@pytest.fixture
def administered(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    """The same cluster with an account that needs no roles for other operators."""
    kubeconfig = installed_world.clusters[0].control_plane.kubeconfig
    KubernetesCluster(kubeconfig_file=kubeconfig, context=CONTEXT).save(ADMINISTERED, overwrite=True)
    with install_site(installed_world) as site:
        yield site


@pytest.mark.parametrize(
    "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
)
def test_another_operator_is_a_profile_file_and_a_bundle_brought_by_hand(
    installed_world: World, prefect_server: SyncPrefectClient, administered: InstallSite, tmp_path: Path
) -> None:
    """R4-R8 for an operator without webhooks; R5: the bundle is a directory."""
    parameters = small_operator_parameters(SmallOperator("infuser"), tmp_path, installed_world)
    parameters["clusters"] = [ADMINISTERED]
    administered.namespaces.append("infuser-system")

    first = run_install(prefect_server, parameters)
    second = run_install(prefect_server, parameters)

    findings = {(one["check"], one["state"]) for one in first.report(ADMINISTERED)["findings"]}
    assert (first.state, second.state) == ("Completed", "Completed")
    assert findings == {("CRD", "PASS"), ("DEPLOYMENT", "PASS")}
    assert "CREATED Namespace infuser-system" in first.report(ADMINISTERED)["changed"]
    assert second.report(ADMINISTERED)["changed"] == []


@dataclass(frozen=True)
class CompletedWorld:
    """A world whose cluster had half of OLM, made by kubectl, before install-fleet ran.

    Attributes:
        parameters: Of that run; its bundle is the real one where it is there.
        run: That run.
        found: How many of OLM's objects were there before it.
    """

    world: World
    parameters: dict[str, Any]
    run: InstallRun
    found: int

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.world.clusters[0].name


@pytest.fixture(scope="module", params=OLM_VERSIONS)
def completed(
    request: pytest.FixtureRequest,
    prefect_server: SyncPrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
    report: Callable[[str], None],
    kubectl: Path,
) -> Iterator[CompletedWorld]:
    prefix = f"variants-{request.param.value.replace('.', '-')}"
    with World(tmp_path_factory.mktemp("variants"), request.param, 1, report, prefix) as world:
        save_blocks(world)
        parameters = world.parameters()
        if REAL_BUNDLE.is_dir():
            parameters["operator"] |= {"bundle_source": "DIRECTORY", "bundle": str(REAL_BUNDLE)}
        with tasks_outside_flows():
            release = fetch_olm_release(OlmRelease(**parameters["olm"]), patiently())
        # Of the newer release its CRDs only, of the older one half of the objects, too.
        objects = len(release.objects) // 2 if request.param is OlmVersion.V0_20_0 else 0
        create_with_kubectl([str(kubectl), "--kubeconfig"], world, release, objects)
        run = run_install(prefect_server, parameters)
        yield CompletedWorld(world, parameters, run, len(release.crds) + objects)


def create_with_kubectl(kubectl: list[str], world: World, release: OlmManifests, objects: int) -> None:
    """Create all CRDs and some objects, and stop there as if the terminal had been closed."""
    command = [*kubectl, str(world.clusters[0].control_plane.kubeconfig)]
    steps: list[tuple[list[str], bytes]] = [
        (["create", "-f", "-"], yaml.safe_dump_all(release.crds).encode()),
        (["wait", "--for=condition=Established", "crd", "--all", "--timeout=180s"], b""),
    ]
    if objects:
        steps.append((["create", "-f", "-"], yaml.safe_dump_all(release.objects[:objects]).encode()))
    for arguments, content in steps:
        subprocess.run([*command, *arguments], input=content, check=True, capture_output=True)  # noqa: S603 - our own program


def test_an_olm_that_another_tool_left_half_done_is_completed(completed: CompletedWorld) -> None:
    """R2, R3."""
    report = completed.run.report(completed.name)
    created = [step for step in report["steps"] if step["step"].startswith("OLM")]

    assert completed.run.state == "Completed"
    assert completed.run.step_states(completed.name)["OLM_CRDS"] == "UNCHANGED"
    assert {row["state"] for row in report["olm"]} == {"HEALTHY"}
    # Two of the table's rows are made by OLM itself.
    assert sum(len(step["changed"]) for step in created) == len(report["olm"]) - 2 - completed.found


@pytest.mark.real_bundle
@NEEDS_REAL_BUNDLE
def test_the_real_bundle_installs_and_every_check_passes(completed: CompletedWorld) -> None:
    """R5-R10 with the bundle that is built from the public sources of OSOK 1.1.9."""
    report = completed.run.report(completed.name)
    checks = {finding["check"] for finding in report["findings"]}

    assert report["state"] == "INSTALLED"
    assert str(REAL_BUNDLE) in report["versions"]["Operator"]
    assert [finding for finding in report["findings"] if finding["state"] != "PASS"] == []
    assert checks >= {"CRD", "WEBHOOK_RULES", "CALL_ALLOWED", "CALL_DENIED", "INJECTOR_CALL"}


@pytest.mark.parametrize(
    "completed", [pytest.param(OlmVersion.V0_20_0, id="olm-0.20.0", marks=pytest.mark.olm020)], indirect=True
)
def test_an_upgrade_of_olm_that_was_asked_for_keeps_the_operator(
    completed: CompletedWorld, prefect_server: SyncPrefectClient
) -> None:
    """R2, R3: from the documented release to the newest; half of the old one belongs to kubectl."""
    releases = completed.world.releases
    crds, olm = (releases.olm_file(OlmVersion.V0_46_0, name) for name in ("crds.yaml", "olm.yaml"))
    newer = {"version": "0.46.0", "crds_sha256": crds.sha256, "olm_sha256": olm.sha256}
    chosen = {**completed.parameters["olm"], **newer, "other_version": "UPGRADE"}

    run = run_install(prefect_server, {**completed.parameters, "olm": chosen})

    report = run.report(completed.name)
    client = completed.world.clusters[0].control_plane.client()
    packageserver = client.get(ObjectRef("apps/v1", "Deployment", "packageserver", "olm"))
    assert packageserver is not None
    assert run.state == "Completed"
    assert report["versions"]["OLM"] == "0.46.0"
    assert {row["state"] for row in report["olm"]} == {"HEALTHY"}
    assert packageserver["spec"]["template"]["spec"]["containers"][0]["image"] == Image.OLM_0_46_0
    assert {finding["state"] for finding in report["findings"]} == {"PASS"}
