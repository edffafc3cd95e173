"""verify-fleet repairs: by which steps, what is written, who decides, and when it stops (R2–R22)."""

from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from flows.verify_fleet import verify_fleet
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.artifacts import document_in, newest_artifact
from tests.support.drift_worlds import DriftBench, drift_bench

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True),
]

ROLE = ObjectRef("rbac.authorization.k8s.io/v1", "ClusterRole", "aggregate-olm-view")
RULES = "/rules/0/verbs"
QUICKLY = {"confirm_after": "PT0.1S", "live_checks": "NONE"}
AT_ONCE = {"missing": "REPAIR", "changed": "REPAIR", "unexpected": "REPAIR", "first_wait": "PT0S"}


@pytest.fixture(scope="module")
def bench(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    with drift_bench(untouched_world) as found:
        assert found.settled(frozenset()) == frozenset()
        yield found


def run_here(world: World, **repair: Any) -> Any:  # noqa: ANN401 - Prefect's state
    """A run in this process, with the state that it ends in."""
    return verify_fleet(**world.parameters(), choice=QUICKLY, repair=repair, return_state=True)


def repair_of(client: SyncPrefectClient, cluster: str) -> Manifest:
    """What the newest run did on a cluster."""
    found: Manifest = document_in(newest_artifact(client, f"drift-{cluster}-json"))["result"]["repair"]
    return found


def test_a_changed_role_is_put_back_by_one_write(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    bench.stranger.changes(ROLE, (RULES, ["get"]))

    state = run_here(untouched_world, **AT_ONCE)

    assert (state.name, state.message) == ("Completed", "1 looked at: 1 FINE. Repair: 1 REPAIRED")
    assert repair_of(prefect_server, bench.name)["changed"] == [f"UPDATED {ROLE}"]
    assert bench.drift() == {}
