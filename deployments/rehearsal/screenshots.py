"""Takes the pictures in docs/images: install-fleet from its form in the Prefect UI; the gate; the report.

`python -m deployments.rehearsal.screenshots` starts a world and a Prefect server of its own.
It needs Chromium.
"""

import argparse
import sys
import tempfile
from collections.abc import Set as AbstractSet
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

from deployments.rehearsal.gate_pictures import GATE_PICTURES, deny_then_approve
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import PrefectUi, open_browser
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.report_pictures import REPORT_PICTURES, take_report_pictures
from deployments.rehearsal.rotating import make_authority
from deployments.rehearsal.running import follow, prefect_environment, save_blocks, submit
from deployments.rehearsal.world import World
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.errors import FleetError

PICTURES = tuple(f"install-fleet-{what}.png" for what in ("form", "running", "finished", "report"))
"""The files that `install_from_the_form` writes, in the order in which a person sees what is on them."""

_DEPLOYMENT = "install-fleet/install-fleet"
_IMAGES = Path(__file__).parents[2] / "docs" / "images"
_GATE, _INSTALL, _REPORT = "gate", "install", "report"
_PATIENCE = timedelta(minutes=5)
_TALL = 1400
_AUTHORITY = "example-ca"


def install_from_the_form(ui: PrefectUi, client: SyncPrefectClient, world: World, folder: Path) -> UUID:
    """Fill and submit the form of install-fleet, watch the run complete and open its report.

    Args:
        ui: The server's UI.
        client: The same server.
        world: Its first cluster is installed; the blocks are saved.
        folder: Where the pictures go.

    Returns:
        The id of the flow run.
    """
    form_picture, running_picture, finished_picture, report_picture = (folder / name for name in PICTURES)
    deployment = client.read_deployment_by_name(_DEPLOYMENT)
    form = ui.open_run_form(deployment.id)
    form.fill(deployment.parameter_openapi_schema or {}, world.parameters())
    ui.picture(form_picture, _TALL)
    run = form.submit()
    ui.wait_for_run_state("Running")
    _wait_for_task(client, run, "approve-install-plan")
    ui.open_run(run)
    ui.picture(running_picture)
    ui.wait_for_run_state("Completed")
    ui.open_run(run)
    ui.picture(finished_picture)
    ui.open_run_artifact(f"install-{world.clusters[0].name}")
    ui.page.get_by_text("INSTALLED").first.wait_for()
    ui.picture(report_picture, _TALL)
    return run


def _wait_for_task(client: SyncPrefectClient, run: UUID, task: str) -> None:
    wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run]))
    wait_for(
        lambda: [each.name for each in client.read_task_runs(flow_run_filter=wanted)],
        lambda names: any(name.startswith(task) for name in names),
        deadline_after(_PATIENCE),
    )


def main() -> int:
    """Take the pictures in a world of their own."""
    parser = argparse.ArgumentParser(prog="python -m deployments.rehearsal.screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=_IMAGES, help="where the PNG files go")
    parser.add_argument("--only", choices=(_INSTALL, _GATE, _REPORT), help="of what; default: of everything")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    wanted = {_INSTALL: PICTURES, _GATE: GATE_PICTURES, _REPORT: REPORT_PICTURES}
    if arguments.only:
        wanted = {arguments.only: wanted[arguments.only]}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if wanted.keys() - {_REPORT}:
            with tempfile.TemporaryDirectory(prefix="osok-fleet-screenshots-") as scratch:
                _take_pictures(Path(scratch), folder, frozenset(wanted))
        if _REPORT in wanted:
            take_report_pictures(folder, _say)
    except FleetError as error:
        _say(str(error))
        return 1
    for name in (name for names in wanted.values() for name in names):
        _say(f"{folder / name}: {(folder / name).stat().st_size // 1024} KiB")
    return 0


def _take_pictures(scratch: Path, folder: Path, wanted: AbstractSet[str]) -> None:
    world = World(scratch / "world", OlmVersion.V0_46_0, 1, _say, prefix="cluster")
    with world, PrefectServices(scratch / "prefect") as services:
        services.start_server()
        services.deploy()
        services.start_worker()
        with prefect_environment(services) as client:
            save_blocks(world)
            make_authority(scratch, _AUTHORITY)
            certificate = {"mode": "OWN", "authority": _AUTHORITY}
            parameters = {"clusters": [world.clusters[0].name], "certificate": certificate}
            if _INSTALL not in wanted:
                follow(client, submit(client, _DEPLOYMENT, world.parameters()), _say)
            with open_browser() as page:
                ui = PrefectUi(page, services.ui_url)
                if _INSTALL in wanted:
                    install_from_the_form(ui, client, world, folder)
                if _GATE in wanted:
                    deny_then_approve(ui, client, parameters, folder)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
