"""The form at the gate: what the server takes as an answer, and how long it may be waited for (R15)."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus

from tasks.certificates.gate import LONGEST_WAIT, ask_for_decision
from tasks.core.certificate_orders import PendingRequest, wave_digest
from tasks.core.certificates.cluster_requests import ShownRequest
from tasks.core.errors import InputError
from tests.support.gates import OwnRun, answer, decision, own_run

REQUEST = PendingRequest(
    cluster="fra-1",
    cluster_uid="c-1",
    shown=ShownRequest(
        "osok.mesh.1", "o-1", "d" * 64, "oci.com/osok", ("server auth",), "osok-fleet", "", 600
    ),
    subject="CN=kube.operator.cert",
    dns_names=("manager.mesh.svc",),
    key="ECDSA secp256r1",
    spki_sha256="e" * 64,
    validity=timedelta(days=397),
)


@flow(name="gate-alone", persist_result=True)
def gate_alone() -> str:
    """Ask, and tell what was decided."""
    decided = ask_for_decision([REQUEST], timedelta(hours=1))
    return f"{decided.decision} by {decided.approver}: {decided.reason}"


@pytest.fixture(scope="module")
def waiting(prefect_server: SyncPrefectClient) -> Iterator[OwnRun]:
    """A run that stays suspended while wrong answers are given, and takes the right one at the end."""
    run = own_run(prefect_server, gate_alone, {})
    assert run.go().name == "Suspended"
    yield run
    assert run.answer("APPROVE").name == "Completed"


BAD_ANSWERS: dict[str, tuple[dict[str, object] | None, str]] = {
    "no answer": (None, "'decision' is a required property"),
    "no decision": ({"reason": "planned", "approver": "Ada"}, "'decision' is a required property"),
    "an unknown decision": (decision("YES"), "'YES' is not one of ['APPROVE', 'DENY', 'CLUSTER']"),
    "no reason": ({"decision": "APPROVE", "approver": "Ada"}, "'reason' is a required property"),
    "an empty reason": (decision("APPROVE", ""), "'' is too short"),
    "a reason of spaces": (decision("APPROVE", "    "), "does not match"),
    "no approver": ({"decision": "APPROVE", "reason": "planned"}, "'approver' is a required property"),
    "an approver of spaces": (decision("APPROVE", approver="  "), "does not match"),
    "more than was asked": (decision("APPROVE", force=True), "Additional properties are not allowed"),
}


@pytest.mark.parametrize(("given", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
def test_a_wrong_answer_is_rejected_and_the_run_stays_suspended(
    waiting: OwnRun, given: dict[str, Any] | None, reason: str
) -> None:
    """The server says so in the status of its answer; HTTP says 200."""
    said = answer(waiting.client, waiting.run_id, given)

    assert said.status is SetStateStatus.REJECT
    assert reason in said.reason
    assert waiting.state().name == "Suspended"


def test_the_form_says_what_the_decision_is_about_and_the_artifact_has_the_rest(waiting: OwnRun) -> None:
    """R14."""
    forms = waiting.client.filter_flow_run_input(waiting.run_id, "suspended-sign-1-", 10, set())

    (described,) = [str(one.decoded_value) for one in forms if one.key.endswith("-description")]
    digest = wave_digest([REQUEST])

    assert described == (
        "Everything that will be signed is in this run's artifact **certificate-requests**. The decision is "
        f"bound to `{digest[:16]}…`\n\n"
        "- **fra-1**: CN=kube.operator.cert, manager.mesh.svc, key `eeeeeeeeeeeeeeee…`, 397 days\n"
    )
    assert f"Decision is bound to `{digest}`." in waiting.shown()
    assert "| request | osok.mesh.1 (uid o-1) |" in waiting.shown()


def test_a_second_answer_is_not_taken(prefect_server: SyncPrefectClient) -> None:
    """Two people answer at the same time: the first answer counts, whatever the other one says."""
    run = own_run(prefect_server, gate_alone, {})
    run.go()

    first = answer(run.client, run.run_id, decision("DENY", "not now"))
    second = answer(run.client, run.run_id, decision("APPROVE"))

    assert (first.status, second.status) == (SetStateStatus.ACCEPT, SetStateStatus.ABORT)
    ended = run.go()
    assert (ended.name, ended.result()) == ("Completed", "DENY by Ada Lovelace: not now")


@pytest.mark.parametrize("patience", [timedelta(0), LONGEST_WAIT + timedelta(seconds=1)])
def test_nobody_is_asked_for_longer_than_the_cluster_keeps_a_request(patience: timedelta) -> None:
    with pytest.raises(InputError, match="at most 23:00:00"):
        ask_for_decision([REQUEST], patience)
