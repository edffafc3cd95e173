"""Takes the picture of verify-fleet's report: real clusters, drift that somebody made, one that is dark."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.mishaps import dark_block_fields, take_verbs_away
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.prefect_ui import open_browser
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import follow, prefect_environment, save_blocks, submit
from deployments.rehearsal.world import World
from tasks.core.errors import InstallError

REPORT_PICTURES = ("fleet-report.png", "fleet-report-calendar.png")
"""The top of the page, and the calendar with drift over time below it."""

_CLUSTERS = 2
_FLEET = "example"
_WIDTH, _HEIGHT = 1180, 1000
_VERIFY = "verify-fleet/verify-fleet"


def take_report_pictures(folder: Path, say: Callable[[str], None]) -> None:
    """Install, verify, let somebody change a field, verify again, and open the report as a file.

    Args:
        folder: Where the pictures go.
        say: Tells how far it is.
    """
    with tempfile.TemporaryDirectory(prefix="osok-fleet-report-") as scratch:
        root = Path(scratch)
        world = World(root / "world", OlmVersion.V0_46_0, _CLUSTERS, say, prefix="cluster")
        with world, PrefectServices(root / "prefect") as services:
            services.start_server()
            services.deploy()
            services.start_worker()
            with prefect_environment(services) as client:
                save_blocks(world)
                page = _report(client, world, root / "reports", say)
            _open_and_take(page, folder)


def _report(client: SyncPrefectClient, world: World, folder: Path, say: Callable[[str], None]) -> Path:
    """Four verifications; returns the page of the last one."""
    _run(client, "install-fleet/install-fleet", world.parameters(), say)
    # Every cluster that has a block, as the schedule does.
    parameters = {
        **world.parameters(),
        "clusters": [],
        "choice": {"confirm_after": "PT1S"},
        "publication": {"fleet": _FLEET, "report": str(folder)},
    }
    _run(client, _VERIFY, parameters, say)
    take_verbs_away(world.clusters[1].control_plane.kubeconfig, "kubectl-edit")
    _run(client, _VERIFY, parameters, say)
    KubernetesCluster.model_validate(dark_block_fields()).save("dark", overwrite=True)
    for _ in range(2):
        _run(client, _VERIFY, parameters, say)
    return folder / f"osok-fleet-{_FLEET}.html"


def _run(
    client: SyncPrefectClient, deployment: str, parameters: dict[str, object], say: Callable[[str], None]
) -> None:
    finished = follow(client, submit(client, deployment, parameters), say)
    if finished.state not in ("Completed", "DriftFound", "NotVerified"):
        raise InstallError("take the picture of the report", deployment, "a run to its end", finished.message)


def _open_and_take(report: Path, folder: Path) -> None:
    top, calendar = (folder / name for name in REPORT_PICTURES)
    with open_browser() as page:
        page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
        page.goto(report.as_uri())
        page.screenshot(path=top)
        page.locator("#calendar").evaluate("heading => heading.scrollIntoView()")
        page.screenshot(path=calendar)
