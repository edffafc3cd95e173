"""Results handed on by a flow run: to a Pushgateway, a text file, a storage; failures are told."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.filesystems import LocalFileSystem
from prefect.runtime import flow_run
from prometheus_client.parser import text_string_to_metric_families

from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.memory import ClusterMemory
from tasks.core.drift.publication import PublicationChoice
from tasks.core.drift.results import ClusterVerification, FleetVerification
from tasks.drift.publication import hand_on
from tasks.drift.publishing import publish
from tasks.drift.verifying import Verified
from tests.support.artifacts import newest_artifact
from tests.support.fleet_results import fleet, item, verified
from tests.support.pushgateways import PASSWORD, USER, RunningPushgateway

pytestmark = pytest.mark.usefixtures("prefect_server")

NOWHERE = "http://127.0.0.1:1"


def handed_on(of: FleetVerification, choice: PublicationChoice, name: str = "hands-on") -> tuple[str, ...]:
    """What a flow run says of it that hands on and publishes as verify-fleet does."""

    @flow(name=name)
    def hand_on_and_publish() -> tuple[str, ...]:
        lines = hand_on(of, choice)
        publish(of, [Verified(one, ClusterMemory()) for one in of.clusters], {}, lines)
        return lines

    return hand_on_and_publish()


def recent(*clusters: ClusterVerification) -> FleetVerification:
    """A verification that ends now: the window ends with the newest."""
    return fleet(*clusters, at=datetime.now(UTC))


def clusters_in(text: Path) -> set[str]:
    """The clusters that a file of metrics tells of."""
    families = text_string_to_metric_families(text.read_text())
    return {sample.labels.get("cluster", "") for family in families for sample in family.samples} - {""}


def test_without_a_choice_nothing_goes_anywhere() -> None:
    assert handed_on(fleet(verified("a")), PublicationChoice()) == ()


def test_metrics_are_pushed_with_the_login_of_a_secret_block(
    guarded_pushgateway: RunningPushgateway,
) -> None:
    Secret(value=f"{USER}:{PASSWORD}").save("pushgateway", overwrite=True)
    url = guarded_pushgateway.url
    choice = PublicationChoice(fleet="prod", pushgateway=url, pushgateway_login="pushgateway")

    lines = handed_on(fleet(verified("a")), choice)

    assert lines == (f"Metrics of 1 cluster: pushed to {url}",)
    assert guarded_pushgateway.series("osok_verification_reads") == {("a", "prod"): 18.0}


def test_a_text_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    choice = PublicationChoice(fleet="prod", textfile=str(tmp_path))

    handed_on(fleet(verified("gone"), verified("stays")), choice)
    lines = handed_on(fleet(verified("stays")), choice)

    assert lines == (f"Metrics of 1 cluster: written to {tmp_path}/osok-fleet-prod.prom on the worker",)
    assert clusters_in(tmp_path / "osok-fleet-prod.prom") == {"stays"}
    assert [path.name for path in tmp_path.iterdir()] == ["osok-fleet-prod.prom"]


def test_what_cannot_be_handed_on_is_told_in_artifact_and_log_and_the_rest_goes_on(
    tmp_path: Path, prefect_server: SyncPrefectClient
) -> None:
    choice = PublicationChoice(
        fleet="prod", pushgateway=NOWHERE, textfile=str(tmp_path / "missing"), report=str(tmp_path)
    )

    pushed, written, report = handed_on(fleet(verified("a")), choice)

    assert pushed.startswith(
        "NOT DONE: push-metrics: Could not push the metrics (http://127.0.0.1:1/metrics/"
    )
    assert written == (
        f"NOT DONE: write-metrics: Could not write the metrics ({tmp_path}/missing/osok-fleet-prod.prom): "
        "expected a folder that the worker may write to; found No such file or directory. "
        "Create the folder on the worker, or name another one."
    )
    assert report.startswith(f"Report: {tmp_path}/osok-fleet-prod.html on the worker, ")
    page = newest_artifact(prefect_server, "fleet-status")
    assert "- NOT DONE: push-metrics: Could not push the metrics" in page
    assert f"- Report: {tmp_path}/osok-fleet-prod.html on the worker" in page.replace("\\", "")


def test_the_log_warns_of_what_was_not_done(prefect_server: SyncPrefectClient) -> None:
    runs: list[str] = []

    @flow
    def hands_on() -> None:
        runs.append(str(flow_run.id))
        hand_on(fleet(verified("a")), PublicationChoice(report="local-file-system/nobody-made-it"))

    hands_on()

    wanted = LogFilter(flow_run_id=LogFilterFlowRunId.model_validate({"any_": runs}))
    warnings = wait_for(
        lambda: [one.message for one in prefect_server.read_logs(wanted) if one.level == 30],
        bool,
        deadline_after(timedelta(minutes=1)),
    )
    (warning,) = warnings
    assert warning == (
        "NOT DONE: write-report: Could not write the report (local-file-system/nobody-made-it): "
        "expected block-type/name of a saved storage block, an absolute folder, or nothing; "
        "found no such block. Create it in the Prefect UI under Blocks, or correct the name."
    )


def test_the_report_goes_to_a_storage_block_and_is_whole(tmp_path: Path) -> None:
    LocalFileSystem(basepath=str(tmp_path)).save("reports", overwrite=True)
    choice = PublicationChoice(fleet="prod", report="local-file-system/reports")

    handed_on(fleet(verified("gone")), choice)
    handed_on(fleet(verified("a")), choice)

    (page,) = tmp_path.iterdir()
    assert page.name == "osok-fleet-prod.html"
    text = page.read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert text.endswith("</html>")
    assert '<th scope="row">gone</th>' not in text


def test_drift_over_time_comes_from_what_earlier_runs_left(tmp_path: Path) -> None:
    """Runs of another flow, and of another deployment, are not among them."""
    choice = PublicationChoice(fleet="prod", report=str(tmp_path))
    handed_on(recent(verified("a", item(), item(field="/x"))), PublicationChoice(), "another-flow")
    handed_on(recent(verified("a", item())), PublicationChoice(), "drifts")

    handed_on(recent(verified("a")), choice, "drifts")

    text = (tmp_path / "osok-fleet-prod.html").read_text()
    assert "Items by severity in 2 verifications of the last 30 days" in text
    assert "Area chart of drift in 2 verifications: 1 item on " in text


def test_a_verification_without_a_report_does_not_load_the_plots() -> None:
    """Matplotlib takes a second and 40 MB."""
    program = "import sys, flows.verify_fleet, flows.install_fleet; print('matplotlib' in sys.modules)"

    finished = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert finished.stdout == "False\n"
