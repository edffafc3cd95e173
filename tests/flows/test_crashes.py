"""The worker and its flow run are killed at ten points of an installation; afterwards nothing is different.

Each test kills at five points of one installation, one after the other: every run goes on from what the
killed one left, gets further and is killed again, and the last one completes. The points alternate between
the tests, so that each is reached by a run that did the step before itself, without a restart in between.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.states import AwaitingRetry, Crashed

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import follow, submit
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.clients.polling import deadline_after, wait_for
from tests.support.cluster_states import differences_between, state_of
from tests.support.crashes import AuditWatch, KillPoint, kill_worker_and_flow_runs
from tests.support.worlds import WorldStarter

pytestmark = [pytest.mark.cluster, pytest.mark.long]

OPERATOR = "oci-service-operator"
NAMESPACE = "oci-service-operator-system"

HALF_OF_THE_CRDS = KillPoint("four of OLM's CRDs written", "patch", "customresourcedefinitions", count=4)
HALF_OF_OLM = KillPoint("one of OLM's Deployments written", "patch", "deployments", "olm-operator")
OLM_AWAITED = KillPoint(
    "OLM written and waited for", "get", "apiservices", "v1.packages.operators.coreos.com"
)
NAMESPACE_WRITTEN = KillPoint("namespace written", "patch", "namespaces", NAMESPACE)
HALF_OF_THE_CATALOG = KillPoint("catalog without its server", "patch", "configmaps", f"{OPERATOR}-catalog")
GROUP_WRITTEN = KillPoint("OperatorGroup written", "patch", "operatorgroups", "osok-fleet")
SUBSCRIBED = KillPoint("Subscription written", "patch", "subscriptions", OPERATOR)
PLAN_APPROVED = KillPoint("InstallPlan approved", "patch", "installplans")
CSV_AWAITED = KillPoint("CSV waited for", "get", "clusterserviceversions", f"{OPERATOR}.v1.1.9")
VERIFYING = KillPoint("first webhook called", "create", "accesspolicies")

ODD_POINTS = (HALF_OF_THE_CRDS, OLM_AWAITED, HALF_OF_THE_CATALOG, SUBSCRIBED, CSV_AWAITED)
EVEN_POINTS = (HALF_OF_OLM, NAMESPACE_WRITTEN, GROUP_WRITTEN, PLAN_APPROVED, VERIFYING)


@dataclass(frozen=True)
class Interrupted:
    """Runs of install-fleet on the first cluster that are killed; the second one is left alone."""

    client: SyncPrefectClient
    services: PrefectServices
    world: World

    def start(self, killed: UUID | None) -> FlowRun:
        """A new run with the same parameters, or the killed one again as Retry in the UI does it."""
        if killed is None:
            return submit(self.client, "install-fleet/install-fleet", self.parameters(0))
        # With the worker nobody is left to notice the crash; a person, or the automation, says so.
        self.client.set_flow_run_state(killed, Crashed(), force=True)
        self.client.set_flow_run_state(killed, AwaitingRetry(), force=True)
        return self.client.read_flow_run(killed)

    def parameters(self, cluster: int) -> dict[str, Any]:
        """Parameters of install-fleet for one of the two clusters."""
        return {**self.world.parameters(), "clusters": [self.world.clusters[cluster].name]}

    def kill_at(self, point: KillPoint, killed: UUID | None = None) -> UUID:
        """Run until the point, kill, and put a new worker in the killed one's place."""
        with AuditWatch(self.world.clusters[0].control_plane.audit_log) as watch:
            run = self.start(killed)
            watch.wait_for(point, lambda: self._unfinished(run.id))
        killed_now = kill_worker_and_flow_runs(self.services)
        assert len(killed_now) > 1, "the flow run had ended before the worker was killed"
        self.services.start_worker()
        return run.id

    def complete(self, killed: UUID | None = None) -> str:
        """Run to the end; returns the state's name."""
        return follow(self.client, self.start(killed), lambda _: None).state

    def _unfinished(self, run: UUID) -> bool:
        state = self.client.read_flow_run(run).state
        return state is None or not state.is_final()


@pytest.fixture
def interrupted(
    deployed: SyncPrefectClient,
    prefect_services: PrefectServices,
    fresh_world: WorldStarter,
    olm: OlmVersion,
) -> Interrupted:
    """A cluster where nothing is installed, and one that went through one run; no other test knows them."""
    made = Interrupted(deployed, prefect_services, fresh_world(olm, clusters=2))
    install_fleet(**made.parameters(1))
    return made


def assert_same_as_undisturbed(world: World) -> None:
    """OLM 0.20 goes on writing roles after everything is ready, so this looks until it is done."""
    one, other = (cluster.control_plane.client() for cluster in world.clusters)
    differences = wait_for(
        lambda: differences_between(state_of(one), state_of(other)),
        lambda found: not found,
        deadline_after(timedelta(minutes=2)),
    )
    assert differences == []


@pytest.mark.parametrize("olm", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")])
def test_killed_at_odd_points_and_retried_the_cluster_is_as_if_undisturbed(
    interrupted: Interrupted,
) -> None:
    """R2 to R10; the last killed run itself is retried and completes."""
    last = [interrupted.kill_at(point) for point in ODD_POINTS][-1]

    assert interrupted.complete(killed=last) == "Completed"
    assert_same_as_undisturbed(interrupted.world)


@pytest.mark.olm020
@pytest.mark.parametrize("olm", [pytest.param(OlmVersion.V0_20_0, id="olm-0.20.0")])
def test_killed_at_even_points_and_run_again_the_cluster_is_as_if_undisturbed(
    interrupted: Interrupted,
) -> None:
    """R2 to R10; the first killed run is retried, killed again, and new runs do the rest."""
    first = interrupted.kill_at(EVEN_POINTS[0])
    interrupted.kill_at(EVEN_POINTS[1], killed=first)
    for point in EVEN_POINTS[2:]:
        interrupted.kill_at(point)

    assert interrupted.complete() == "Completed"
    assert_same_as_undisturbed(interrupted.world)
