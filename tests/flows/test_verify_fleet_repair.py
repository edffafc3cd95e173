"""verify-fleet repairs: by which steps, what is written, who decides, and when it stops (R2–R22)."""

import base64
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.deciding import resume
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import FinishedRun, follow, submit
from deployments.rehearsal.world import World
from flows.verify_fleet import verify_fleet
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.manifests import Manifest, ObjectRef
from tests.support.artifacts import document_in, newest_artifact
from tests.support.crashes import OUR_ACCOUNTS
from tests.support.drift_cases import webhook
from tests.support.drift_worlds import PATIENCE, DriftBench, drift_bench
from tests.support.events import events_of

pytestmark = [pytest.mark.cluster, pytest.mark.long]

with_the_default_olm = pytest.mark.parametrize(
    "untouched_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
)
"""Where the version of OLM makes no difference."""

RBAC = "rbac.authorization.k8s.io/v1"
ROLE = ObjectRef(RBAC, "ClusterRole", "aggregate-olm-view")
OTHER_ROLE = ObjectRef(RBAC, "ClusterRole", "aggregate-olm-edit")
POLICY = ObjectRef("networking.k8s.io/v1", "NetworkPolicy", "olm-operator", "olm")
NS = "oci-service-operator-system"
CSV = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", "oci-service-operator.v1.1.9", NS)
SECRET = ObjectRef("v1", "Secret", "oci-service-operator-controller-manager-service-cert", NS)
VALIDATING = "ValidatingWebhookConfiguration"
VERBS, SELECTED = "/rules/0/verbs", "/spec/podSelector/matchLabels/app"
FAILS_OPEN, CA = "/webhooks/0/failurePolicy", "/webhooks/0/clientConfig/caBundle"
QUICKLY = {"confirm_after": "PT0.1S", "live_checks": "NONE"}
AT_ONCE = {"missing": "REPAIR", "changed": "REPAIR", "unexpected": "REPAIR", "first_wait": "PT0S"}
ASKING = {"missing": "PROPOSE", "changed": "PROPOSE", "first_wait": "PT0S"}
BOOTSTRAP = "system:serviceaccount:osok-fleet:osok-fleet-bootstrap"


@pytest.fixture(scope="module")
def bench(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    with drift_bench(untouched_world) as found:
        assert found.settled(frozenset()) == frozenset()
        yield found


def run_here(world: World, **repair: Any) -> Any:  # noqa: ANN401 - Prefect's state
    """A run in this process, with the state that it ends in."""
    return verify_fleet(**world.parameters(), choice=QUICKLY, repair=repair, return_state=True)


def propose(client: SyncPrefectClient, world: World) -> FinishedRun:
    """A run of the worker, until it waits for a person."""
    parameters = {**world.parameters(), "choice": QUICKLY, "repair": ASKING}
    waiting = follow(client, submit(client, "verify-fleet/verify-fleet", parameters), lambda _: None)
    assert waiting.state == "Suspended", waiting.message
    return waiting


def answer(client: SyncPrefectClient, waiting: FinishedRun, decision: str) -> FinishedRun:
    """What a person says, and how the run ends."""
    run = client.read_flow_run(waiting.run_id)
    resume(client, run, {"decision": decision, "reason": "CHG-4711", "approver": "Ada Lovelace"})
    return follow(client, run, lambda _: None)


def repair_of(client: SyncPrefectClient, cluster: str) -> Manifest:
    """What the newest run did on a cluster."""
    found: Manifest = document_in(newest_artifact(client, f"drift-{cluster}-json"))["result"]["repair"]
    return found


def verdicts(repair: Mapping[str, Any]) -> dict[str, str]:
    """By object and field."""
    return {
        f"{one['item']['ref']['name']}{one['item']['field']}": one["verdict"] for one in repair["entries"]
    }


def audit_offset(world: World) -> int:
    """Where the audit log ends now."""
    return world.clusters[0].control_plane.audit_log.stat().st_size


def written(world: World, offset: int) -> list[str]:
    """What our accounts wrote since then, the Lease of every repair aside.

    Not by resourceVersion: OLM too writes the bundle's objects anew when it installs again.
    """
    asked = world.clusters[0].control_plane.audited_requests(offset)
    ours = [one for one in asked if one.user.startswith(OUR_ACCOUNTS) and one.changes_something]
    return [f"{one.resource} {one.name}" for one in ours if one.resource != "leases"]


def version_of(bench: DriftBench, ref: ObjectRef) -> str:
    live = bench.admin.get(ref)
    assert live is not None
    return str(live["metadata"]["resourceVersion"])


def may_write_roles(bench: DriftBench) -> bool:
    """What the API server says of the bootstrap account; RBAC follows within moments."""
    attributes = {"group": "rbac.authorization.k8s.io", "resource": "clusterroles", "verb": "patch"}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": BOOTSTRAP, "resourceAttributes": attributes},
    }
    return bool(bench.admin.create(review)["status"]["allowed"])


def with_windows_line_ends(bench: DriftBench) -> str:
    live = bench.admin.get(SECRET)
    assert live is not None
    pem = base64.b64decode(live["data"]["tls.crt"])
    return base64.b64encode(pem.replace(b"\n", b"\r\n")).decode()


def test_drift_is_put_back_by_the_steps_that_own_it_and_nothing_else_is_written(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    mesh = webhook(bench, VALIDATING, "mesh-validator.servicemesh.oci.oracle.cloud.com")
    gateway = webhook(bench, VALIDATING, "ig-validator.servicemesh.oci.oracle.cloud.com")
    offset = audit_offset(untouched_world)
    bench.stranger.changes(ROLE, (VERBS, ["get"]))
    bench.stranger.changes(mesh, (FAILS_OPEN, "Ignore"))
    bench.stranger.changes(gateway, (CA, None))
    bench.stranger.changes(SECRET, ("/data/tls.crt", with_windows_line_ends(bench)))

    state = run_here(untouched_world, **AT_ONCE)

    assert (state.name, state.message) == ("Completed", "1 looked at: 1 FINE. Repair: 4 REPAIRED")
    assert repair_of(prefect_server, bench.name)["changed"] == [
        f"UPDATED {ROLE}",
        f"UPDATED {SECRET}: tls.crt",
        f"UPDATED {gateway}: caBundle",
        f"UPDATED {CSV}: status.phase",
    ]
    assert written(untouched_world, offset) == [
        f"clusterroles {ROLE.name}",
        f"secrets {SECRET.name}",
        f"validatingwebhookconfigurations {gateway.name}",
        f"clusterserviceversions {CSV.name}",
    ]
    assert bench.drift() == {}
    told = wait_for(
        lambda: events_of(prefect_server, bench.name),
        lambda found: len(found) >= 12,
        deadline_after(timedelta(minutes=1)),
    )
    assert [name for name, _ in told] == [
        *["osok.drift.found"] * 4,
        *["osok.drift.repaired"] * 4,
        *["osok.drift.resolved"] * 4,
    ]
    (role,) = (payload for name, payload in told[4:8] if payload["name"] == ROLE.name)
    assert (role["owner"], role["step"], role["repairs"]) == ("mallory", "OLM_OBJECTS", 1)


@with_the_default_olm
def test_a_denied_repair_writes_nothing(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient
) -> None:
    with bench.stranger.patched(ROLE, (VERBS, ["get"])):
        offset = audit_offset(untouched_world)
        waiting = propose(deployed, untouched_world)
        ended = answer(deployed, waiting, "DENY")
        ours = written(untouched_world, offset)

    shown = (
        f"CHANGED ClusterRole {ROLE.name} | {VERBS} | \\['get', 'list', 'watch'\\] | \\['get'\\] | mallory"
    )
    assert shown in waiting.artifacts["drift-repair"]
    assert (ended.state, ended.message) == (
        "DriftFound",
        "1 looked at: 1 DRIFTED; 1 CHANGED. Repair: 1 DENIED",
    )
    assert ours == []


@with_the_default_olm
def test_drift_that_a_waiting_run_asks_about_is_not_asked_again_unless_there_is_more(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient
) -> None:
    with bench.stranger.patched(ROLE, (VERBS, ["get"])):
        waiting = propose(deployed, untouched_world)
        state = run_here(untouched_world, **ASKING)
        (entry,) = repair_of(deployed, bench.name)["entries"]
        with bench.stranger.patched(OTHER_ROLE, (VERBS, ["get"])):
            more = propose(deployed, untouched_world)
        for one in (more, waiting):
            answer(deployed, one, "DENY")

    assert (state.name, state.message) == (
        "DriftFound",
        "1 looked at: 1 DRIFTED; 1 CHANGED. Repair: 1 ASKED",
    )
    asking = deployed.read_flow_run(waiting.run_id)
    assert entry["reason"] == f"answer in flow run {asking.name} ({asking.id}), which waits"
    assert "**2 PROPOSED**" in more.artifacts["drift-repair"]


@with_the_default_olm
def test_an_approved_repair_writes_what_was_shown_and_tells_what_is_new(
    untouched_world: World, bench: DriftBench, deployed: SyncPrefectClient
) -> None:
    bench.stranger.changes(ROLE, (VERBS, ["get"]))
    waiting = propose(deployed, untouched_world)
    with bench.stranger.patched(OTHER_ROLE, (VERBS, ["get"])):
        before = version_of(bench, OTHER_ROLE)
        ended = answer(deployed, waiting, "REPAIR")
        after = version_of(bench, OTHER_ROLE)

    repair = repair_of(deployed, bench.name)
    assert ended.state == "DriftFound"
    assert repair["changed"] == [f"UPDATED {ROLE}"]
    assert verdicts(repair) == {f"{ROLE.name}{VERBS}": "REPAIRED", f"{OTHER_ROLE.name}{VERBS}": "NEW"}
    assert after == before


@with_the_default_olm
def test_what_somebody_keeps_writing_is_left_after_three_flips_and_they_are_named(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    states = []
    for _ in range(3):
        bench.stranger.changes(POLICY, (SELECTED, "other"))
        states.append(run_here(untouched_world, **AT_ONCE).name)
    with bench.stranger.patched(POLICY, (SELECTED, "other")):
        before = version_of(bench, POLICY)
        states.append(run_here(untouched_world, **AT_ONCE).name)
        after = version_of(bench, POLICY)

    assert states == ["Completed", "Completed", "Completed", "DriftFound"]
    (entry,) = repair_of(prefect_server, bench.name)["entries"]
    assert (entry["item"]["kind"], entry["verdict"]) == ("CONTESTED", "REPORTED")
    assert entry["reason"].startswith("mallory wrote it again 3 times")
    assert after == before


@with_the_default_olm
def test_an_account_that_may_not_write_is_told_before_anything_is_written(
    untouched_world: World, bench: DriftBench, prefect_server: SyncPrefectClient
) -> None:
    binding = ObjectRef(RBAC, "ClusterRoleBinding", "osok-fleet-bootstrap")
    with bench.stranger.patched(ROLE, (VERBS, ["get"])), bench.stranger.deleted(binding):
        assert not wait_for(lambda: may_write_roles(bench), lambda may: not may, deadline_after(PATIENCE))
        offset = audit_offset(untouched_world)
        state = run_here(untouched_world, **AT_ONCE)
        ours = written(untouched_world, offset)

    assert state.name == "DriftFound"
    repair = repair_of(prefect_server, bench.name)
    assert repair["changed"] == []
    assert f"permissions of {BOOTSTRAP}" in repair["error"]
    assert ours == []
