"""The automations: installed once, updated when a file changes, and seen firing on a real server."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import yaml
from prefect import flow, tags
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import Pause
from prefect.runtime import flow_run
from prefect.states import Running, Suspended
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from deployments.automations.__main__ import main
from deployments.automations.files import SHIPPED, AutomationFile, read_files
from flows.verify_fleet import verify_fleet
from tasks.core.errors import InputError
from tasks.core.events import REPAIR_LABEL, DriftFoundPayload, EventName, RepairOutlook
from tasks.core.manifests import sha256_hex
from tasks.gates import Waiting, announced

BLOCK = "custom-webhook/osok-fleet-test"
ZOMBIES = "osok-fleet: a run lost its process"
GATE = "osok-fleet: a gate waits"
EXPIRING = "osok-fleet: a certificate expires"
DRIFT = "osok-fleet: drift found, propose the repair"
PROPOSE = {"missing": "PROPOSE", "changed": "PROPOSE", "unexpected": "PROPOSE"}


@flow
def probe() -> None:
    """Stands for a flow of ours; the tests only need its runs on the server."""


class Received:
    """The notifications that arrived."""

    def __init__(self) -> None:
        self.messages: list[Mapping[str, str]] = []

    def take(self, request: Request) -> Response:
        self.messages.append(json.loads(request.data))
        return Response(status=204)

    def subjects(self) -> list[str]:
        return [message["subject"] for message in self.messages]


@pytest.fixture
def server(prefect_server: SyncPrefectClient) -> Iterator[SyncPrefectClient]:
    """The server of the test run, without automations of ours before and after the test."""
    _remove_ours(prefect_server)
    yield prefect_server
    _remove_ours(prefect_server)


@pytest.fixture
def received(server: SyncPrefectClient, httpserver: HTTPServer) -> Received:
    """A notification block, and what it was told to send."""
    inbox = Received()
    httpserver.expect_request("/notify", method="POST").respond_with_handler(inbox.take)
    block = CustomWebhookNotificationBlock(
        name="osok-fleet-test",
        url=httpserver.url_for("/notify"),
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
    )
    block.save("osok-fleet-test", overwrite=True)
    return inbox


def _remove_ours(client: SyncPrefectClient) -> None:
    for automation in ours(client):
        client.delete_automation(automation.id)


def ours(client: SyncPrefectClient) -> list[Automation]:
    return [each for each in client.read_automations() if each.name.startswith("osok-fleet: ")]


def named(client: SyncPrefectClient, name: str) -> Automation:
    (found,) = client.read_automations_by_name(name)
    return found


def folder_with(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    """A folder that holds one of the shipped files, changed in one place."""
    (shipped,) = (path for path in SHIPPED.glob("*.yaml") if f'"{name}"' in path.read_text())
    text = shipped.read_text()
    assert old in text
    (folder / "one.yaml").write_text(text.replace(old, new))
    return folder


def payload(cluster: str, name: str) -> DriftFoundPayload:
    return DriftFoundPayload(
        key=f"{cluster}/{name}",
        cluster=cluster,
        api_version="v1",
        kind="Secret",
        namespace="osok",
        name=name,
        field="",
        drift="EXPIRING",
        severity="WARNING",
        expected="30 days or more",
        found="ends in 9 days",
        owner="",
        since=datetime(2026, 11, 20, tzinfo=UTC),
    )


def emit(
    client: SyncPrefectClient,
    event: EventName,
    cluster: str,
    found: DriftFoundPayload,
    repair: RepairOutlook = RepairOutlook.POSSIBLE,
) -> None:
    """What verify-fleet says of an item."""
    resource = {
        "prefect.resource.id": f"osok-fleet.cluster.{cluster}",
        "osok.drift.item": sha256_hex(found.key.encode())[:16],
        REPAIR_LABEL: repair.value,
    }
    _send(client, event.value, resource, found.model_dump(mode="json"))


def heartbeat(client: SyncPrefectClient, run: FlowRun) -> None:
    _send(client, "prefect.flow-run.heartbeat", {"prefect.resource.id": f"prefect.flow-run.{run.id}"}, {})


def _send(
    client: SyncPrefectClient, event: str, resource: Mapping[str, str], payload: Mapping[str, object]
) -> None:
    tag = {"prefect.resource.id": "prefect.tag.osok-fleet", "prefect.resource.role": "tag"}
    body = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event,
        "resource": resource,
        "related": [tag],
        "payload": payload,
    }
    client.request("POST", "/events", json=[body])


def gate_events(client: SyncPrefectClient, run_id: str) -> list[dict[str, Any]]:
    wanted = {"event": {"name": ["osok.gate.waiting"]}, "resource": {"id": [f"prefect.flow-run.{run_id}"]}}
    answer = client.request("POST", "/events/filter", json={"filter": wanted}).json()
    found: list[dict[str, Any]] = answer["events"]
    return found


def eventually(happened: Callable[[], bool]) -> None:
    """Returns when it has happened; a run that hangs is for the person who watches it."""
    while not happened():
        time.sleep(0.2)


def run_of_ours(client: SyncPrefectClient, deployment: UUID) -> FlowRun:
    """A run that the server believes to be running; only a deployment's run can be suspended."""
    return client.create_flow_run_from_deployment(deployment, tags=["osok-fleet"], state=Running())


def state_of(client: SyncPrefectClient, run_id: UUID) -> str:
    state = client.read_flow_run(run_id).state
    return state.name or "" if state else ""


@pytest.fixture
def deployment(server: SyncPrefectClient) -> Iterator[UUID]:
    """A deployment `probe/drift-probe` that takes clusters, as verify-fleet does."""
    names = {"type": "array", "items": {"type": "string"}}
    groups = {"fleet": {"type": "object"}, "repair": {"type": "object"}}
    schema = {"type": "object", "properties": {"clusters": names, **groups}}
    made = server.create_deployment(server.create_flow(probe), "drift-probe", parameter_openapi_schema=schema)
    yield made
    server.delete_deployment(made)


def test_every_shipped_automation_says_what_it_does() -> None:
    assert [
        file.name for file in read_files(SHIPPED) if not file.description or file.tags != ["osok-fleet"]
    ] == []
    assert {file.name for file in read_files(SHIPPED)} == {EXPIRING, DRIFT, GATE, ZOMBIES}


def test_the_silence_of_a_suspended_run_means_nothing() -> None:
    (zombies,) = (file for file in read_files(SHIPPED) if file.name == ZOMBIES)

    assert {"prefect.flow-run.Suspended", "prefect.flow-run.heartbeat"} <= set(zombies.trigger["expect"])


def test_a_word_that_is_not_of_an_automation_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(yaml.safe_dump({"name": "a", "descripton": "b"}))

    with pytest.raises(InputError, match="descripton"):
        read_files(tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    file = AutomationFile(name="twin", description="d", trigger={}, actions=[{"type": "do-nothing"}])
    for path in (tmp_path / "one.yaml", tmp_path / "two.yaml"):
        path.write_text(yaml.safe_dump(file.model_dump()))

    with pytest.raises(InputError, match="twin"):
        read_files(tmp_path)


@pytest.mark.parametrize("duration", ["4h", "PT1S", "P1M"])
def test_a_duration_that_a_server_cannot_wait_is_refused(
    duration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--gate-waits", duration])

    assert "--gate-waits" in capsys.readouterr().err


def test_installed_twice_there_are_no_twins(
    server: SyncPrefectClient, received: Received, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--notify", BLOCK]) == 0
    first = {each.name: each.id for each in ours(server)}
    capsys.readouterr()

    assert main(["--notify", BLOCK]) == 0

    assert {each.name: each.id for each in ours(server)} == first
    assert {EXPIRING, GATE, ZOMBIES} <= first.keys()
    said = capsys.readouterr().out.splitlines()
    assert [line for line in said if not line.startswith(("unchanged", "left out"))] == []


def test_a_dry_run_changes_nothing(
    server: SyncPrefectClient, received: Received, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--notify", BLOCK, "--dry-run"]) == 0

    assert ours(server) == []
    assert f"would be created  {GATE}" in capsys.readouterr().out


def test_a_changed_file_is_an_update_of_the_same_automation(
    server: SyncPrefectClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    before = named(server, ZOMBIES)

    main(["--folder", str(folder_with(tmp_path, ZOMBIES, "its process and its worker are gone", "gone"))])

    after = named(server, ZOMBIES)
    assert after.id == before.id
    assert after.actions[0].model_dump()["message"].endswith("gone.")
    assert f"updated  {ZOMBIES}" in capsys.readouterr().out


def test_another_duration_is_an_update(server: SyncPrefectClient, capsys: pytest.CaptureFixture[str]) -> None:
    main([])

    main(["--silent-for", "PT20M"])

    assert f"updated  {ZOMBIES}" in capsys.readouterr().out
    assert named(server, ZOMBIES).trigger.model_dump(mode="json")["within"] == 1200.0


def test_what_people_switched_off_stays_off(server: SyncPrefectClient) -> None:
    main([])
    server.pause_automation(named(server, ZOMBIES).id)

    main(["--silent-for", "PT20M"])

    assert named(server, ZOMBIES).enabled is False


def test_without_a_notification_block_the_others_are_installed(
    server: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--notify", ""]) == 0

    assert {GATE, EXPIRING}.isdisjoint(each.name for each in ours(server))
    said = capsys.readouterr().out
    assert f"created  {ZOMBIES}" in said
    assert f"left out  {GATE}: " in said
    assert "--notify" in said


def test_without_its_deployment_an_automation_is_left_out(
    server: SyncPrefectClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with(tmp_path, DRIFT, "verify-fleet/verify-fleet", "absent/absent")

    assert main(["--folder", str(folder)]) == 0

    assert ours(server) == []
    assert (
        "expected the deployment absent/absent with clusters, fleet, repair; found none."
        in capsys.readouterr().out
    )


def test_without_its_parameter_an_automation_is_left_out(
    server: SyncPrefectClient, deployment: UUID, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_with(tmp_path, DRIFT, "verify-fleet/verify-fleet", "probe/drift-probe")
    file = folder / "one.yaml"
    file.write_text(file.read_text().replace("repair: {", "mend: {"))

    assert main(["--folder", str(folder)]) == 0

    assert ours(server) == []
    assert "found one without mend" in capsys.readouterr().out


def test_a_block_that_does_not_exist_is_refused(
    server: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--notify", "slack-webhook/absent"]) == 2

    assert "slack-webhook/absent" in capsys.readouterr().out


def test_twins_that_somebody_else_made_are_told(
    server: SyncPrefectClient, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    twin = named(server, ZOMBIES).model_dump(exclude={"id"})
    server.create_automation(AutomationCore.model_validate(twin))

    assert main([]) == 2

    assert "Delete all but one." in capsys.readouterr().out


def test_every_expiring_certificate_is_told_once(server: SyncPrefectClient, received: Received) -> None:
    main(["--notify", BLOCK])

    for cluster, item in (("fra-1", "leaf"), ("fra-1", "leaf"), ("fra-1", "ca"), ("zrh-1", "leaf")):
        emit(server, EventName.CERTIFICATE_EXPIRING, cluster, payload(cluster, item))
    eventually(lambda: len(received.messages) >= 3)

    subjects = [f"osok-fleet: a certificate of {cluster} expires" for cluster in ("fra-1", "fra-1", "zrh-1")]
    assert sorted(received.subjects()) == subjects
    assert "fra-1: Secret osok/leaf\nends in 9 days (WARNING)" in received.messages[0]["body"]


def test_drift_starts_one_proposal_for_its_cluster(
    server: SyncPrefectClient, deployment: UUID, tmp_path: Path
) -> None:
    main(["--folder", str(folder_with(tmp_path, DRIFT, "verify-fleet/verify-fleet", "probe/drift-probe"))])
    of_probe = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))

    for item in ("leaf", "ca"):
        emit(server, EventName.DRIFT_FOUND, "fra-1", payload("fra-1", item))
    emit(server, EventName.DRIFT_FOUND, "zrh-1", payload("zrh-1", "leaf"))
    eventually(lambda: len(server.read_flow_runs(flow_run_filter=of_probe)) >= 2)

    started = server.read_flow_runs(flow_run_filter=of_probe)
    assert sorted((run.parameters["clusters"], run.parameters["repair"]) for run in started) == [
        (["fra-1"], PROPOSE),
        (["zrh-1"], PROPOSE),
    ]


def test_what_a_run_repairs_itself_or_nobody_can_starts_no_other_run(
    server: SyncPrefectClient, deployment: UUID, tmp_path: Path
) -> None:
    main(["--folder", str(folder_with(tmp_path, DRIFT, "verify-fleet/verify-fleet", "probe/drift-probe"))])
    of_probe = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))

    emit(server, EventName.DRIFT_FOUND, "fra-1", payload("fra-1", "leaf"), RepairOutlook.UNDER_WAY)
    emit(server, EventName.DRIFT_FOUND, "fra-2", payload("fra-2", "leaf"), RepairOutlook.NONE)
    emit(server, EventName.DRIFT_FOUND, "fra-3", payload("fra-3", "leaf"))
    eventually(lambda: bool(server.read_flow_runs(flow_run_filter=of_probe)))

    # Events are looked at in their order.
    (started,) = server.read_flow_runs(flow_run_filter=of_probe)
    assert started.parameters["clusters"] == ["fra-3"]


def test_verify_fleet_takes_the_parameters_of_the_shipped_automation() -> None:
    (drift,) = (file for file in read_files(SHIPPED) if file.name == DRIFT)

    given = drift.actions[0]["parameters"]
    verify_fleet.validate_parameters({**given, "clusters": ["fra-1"]})

    assert (given["repair"], given["fleet"]) == (PROPOSE, {})


def test_silence_is_a_crash_for_a_running_run_and_a_waiting_gate_for_a_suspended_one(
    server: SyncPrefectClient, received: Received, deployment: UUID
) -> None:
    main(["--notify", BLOCK, "--silent-for", "PT10S", "--gate-waits", "PT10S"])
    waiting, lost = run_of_ours(server, deployment), run_of_ours(server, deployment)
    for run in (waiting, lost):
        heartbeat(server, run)
    server.set_flow_run_state(waiting.id, Suspended())
    heartbeat(server, waiting)  # from a process that has not ended yet
    _send(server, "osok.gate.waiting", {"prefect.resource.id": f"prefect.flow-run.{waiting.id}"}, {})

    eventually(lambda: state_of(server, lost.id) == "Crashed" and bool(received.messages))

    assert state_of(server, waiting.id) == "Suspended"
    assert received.subjects() == ["osok-fleet: probe waits for a decision"]
    assert f"/runs/flow-run/{waiting.id}" in received.messages[0]["body"]


def test_a_gate_says_what_it_waits_for_once_it_is_suspended(server: SyncPrefectClient) -> None:
    @flow(name="gate-probe")
    def at_the_gate() -> str:
        with announced(Waiting("decide", "a probe", "ef56", timedelta(hours=23), ("fra-1",))):
            """A gate whose answer is there: nobody waits."""
        asked = Waiting("decide", "a probe", "ab12", timedelta(hours=23), ("fra-1", "zrh-1"))
        with suppress(Pause), announced(asked):
            raise Pause
        return str(flow_run.id)

    with tags("osok-fleet"):
        run_id = at_the_gate()
    eventually(lambda: bool(gate_events(server, run_id)))

    (event,) = gate_events(server, run_id)
    assert "prefect.tag.osok-fleet" in [each["prefect.resource.id"] for each in event["related"]]
    assert event["payload"] == {
        "schema_version": 1,
        "flow": "gate-probe",
        "digest": "ab12",
        "clusters": ["fra-1", "zrh-1"],
        "patience_seconds": 82800,
    }
