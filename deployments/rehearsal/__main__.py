"""`make rehearsal`: the main job on a real control plane, through a real Prefect server and worker."""

import argparse
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient

from blocks.certificate_authority import AuthorityKind
from deployments.rehearsal.breaking import BREAKAGES, Breaker
from deployments.rehearsal.deciding import Gate, follow_and_decide
from deployments.rehearsal.fleet import WAVES, drift_and_repair, label_clusters
from deployments.rehearsal.prefect_database import empty_database
from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.preparing import NEEDS, OCI_AUTHORITY, RehearsalTenancy, prepare
from deployments.rehearsal.programs import OlmVersion, cache_folder, ensure_programs
from deployments.rehearsal.running import (
    AUTHORITY,
    FinishedRun,
    follow,
    prefect_environment,
    save_authority,
    save_blocks,
    submit,
)
from deployments.rehearsal.world import World
from flows.diagnose_certificate import diagnose_certificate
from tasks.core.errors import FleetError
from tasks.core.profiles import built_in_profile
from tasks.core.reports import duration_text


def main() -> int:
    """Run the rehearsal; the exit code says whether every cluster is installed and proven."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A shell has those ignore it that it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for handler in logging.getLogger("prefect").handlers:
        # The log of a flow run in this process is in the Prefect UI, as that of the worker's.
        handler.setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="osok-fleet-rehearsal-"))
    try:
        return _rehearse(arguments, folder)
    except FleetError as error:
        _say(str(error))
        _say(f"Logs are in {folder}")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not arguments.keep_files:
            shutil.rmtree(folder, ignore_errors=True)


def _rehearse(arguments: argparse.Namespace, folder: Path) -> int:
    olm = OlmVersion(arguments.olm)
    began = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as pool:
        # While Go downloads modules it leaves a processor idle.
        making = pool.submit(empty_database, cache_folder())
        ensure_programs(olm, _say)
        making.result()
    built = _since(began)
    began = time.monotonic()
    with (
        RehearsalTenancy(folder / "tenancy") as tenancy,
        PrefectServices(folder / "prefect") as services,
        ThreadPoolExecutor(max_workers=1) as pool,
    ):
        starting = pool.submit(_start_prefect, services)
        world = World(folder / "world", olm, arguments.clusters, _say)
        world.managed = tenancy.managed()
        with world:
            starting.result()
            _say(f"Prefect UI: {services.ui_url}")
            with prefect_environment(services) as client:
                save_blocks(world)
                label_clusters(world)
                tenancy.save_blocks()
                certificate = _authority(arguments, world, tenancy)
                done = prepare(client, _say) and _operate(client, world, certificate)
            _say(f"Programs ready after {built}, everything else took {_since(began)}")
            if arguments.keep:
                _wait_for_ctrl_c(services, world, tenancy)
    return 0 if done else 1


def _start_prefect(services: PrefectServices) -> None:
    services.start_server()
    services.deploy()
    services.start_worker()


def _authority(arguments: argparse.Namespace, world: World, tenancy: RehearsalTenancy) -> dict[str, object]:
    """Save the block of who signs; gives the parameter `certificate` that names it."""
    if AuthorityKind(arguments.authority) is AuthorityKind.OCI:
        tenancy.save_authority()
        # Not longer than the authority's rule allows after its repair.
        return {"mode": "OWN", "authority": OCI_AUTHORITY, "validity": "P89D"}
    save_authority(world)
    return {"mode": "OWN", "authority": AUTHORITY}


def _operate(client: SyncPrefectClient, world: World, certificate: dict[str, object]) -> bool:
    """Install, then break the first cluster's certificate; whether both ended as they should."""
    finished = _install(client, world, certificate)
    _show(finished)
    if finished.state != "Completed" or not _break_and_diagnose(client, world):
        return False
    return not _is_fleet(world) or drift_and_repair(client, world, _say)


def _is_fleet(world: World) -> bool:
    return len(world.clusters) > 1


def _install(client: SyncPrefectClient, world: World, certificate: dict[str, object]) -> FinishedRun:
    prerequisites = {"needs": NEEDS}
    parameters = {**world.parameters(), "certificate": certificate, "prerequisites": prerequisites}
    if _is_fleet(world):
        parameters["rollout"] = WAVES
    run = submit(client, "install-fleet/install-fleet", parameters)
    _say(f"\ninstall-fleet runs on {len(world.clusters)} cluster(s) of the tenancy, OLM {world.olm}")
    return follow_and_decide(client, run, _say)


def _break_and_diagnose(client: SyncPrefectClient, world: World) -> bool:
    """Break the first cluster's certificate in three ways; whether each one was named."""
    cluster = world.clusters[0]
    breaker = Breaker(cluster, built_in_profile())
    named = True
    with breaker.without_olm():
        for breakage in BREAKAGES:
            with breaker.broken(breakage):
                finished = _diagnose(client, cluster.name)
            found = any(breakage.case.value in text for text in finished.artifacts.values())
            named = named and found
            _say(f"Broken: {breakage.title}. Diagnosis: {breakage.case if found else 'NOT NAMED'}")
    return named


def _diagnose(client: SyncPrefectClient, cluster: str) -> FinishedRun:
    """A flow run in this process: a worker would start one of some seconds for each breakage."""
    state = diagnose_certificate(clusters=[cluster], return_state=True)
    run = client.read_flow_run(UUID(str(state.state_details.flow_run_id)))
    return follow(client, run, lambda _: None)


def _show(finished: FinishedRun) -> None:
    for key, text in sorted(finished.artifacts.items()):
        if not key.endswith("-json") and key != Gate.CERTIFICATES.artifact:
            _say(f"\n{text}")
    for report in _reports(finished):
        _say(_summary(report))
    _say(f"install-fleet {finished.state} after {duration_text(finished.duration)}")
    if finished.state != "Completed":
        _say(finished.message)


def _reports(finished: FinishedRun) -> list[dict[str, Any]]:
    texts = [text for key, text in sorted(finished.artifacts.items()) if key.endswith("-json")]
    return [json.loads(text.removeprefix("```json").removesuffix("```\n")) for text in texts]


def _summary(report: dict[str, Any]) -> str:
    """The lines of the runbook that people ask for first, counted from the report."""
    passed = [finding for finding in report["findings"] if finding["state"] == "PASS"]
    healthy = sum(row["state"] == "HEALTHY" for row in report["olm"])
    crds = sum(finding["check"] == "CRD" and finding["runbook"] == "R8" for finding in passed)
    validators = len({finding["subject"] for finding in passed if finding["check"] == "CALL_DENIED"})
    injectors = sum(finding["check"] == "INJECTOR_CALL" for finding in passed)
    return (
        f"{report['cluster']}: {report['state']}, OLM {healthy}/{len(report['olm'])} healthy, "
        f"{crds} CRDs of the mesh, {validators + injectors} webhooks called through the API server, "
        f"{len(passed)} of {len(report['findings'])} checks passed"
    )


def _wait_for_ctrl_c(services: PrefectServices, world: World, tenancy: RehearsalTenancy) -> None:
    _say(f"\nPrefect UI: {services.ui_url}")
    _say(f"Tenancy: python -m deployments.rehearsal.tenancy --dump {tenancy.server.url}")
    for cluster in world.clusters:
        _say(f"{cluster.name}: KUBECONFIG={cluster.control_plane.kubeconfig}")
    _say("Ctrl-C ends the rehearsal.")
    signal.pause()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.rehearsal", description=__doc__)
    parser.add_argument("--clusters", type=int, default=1, help="how many control planes (default 1)")
    parser.add_argument(
        "--olm", default=OlmVersion.V0_46_0.value, choices=[item.value for item in OlmVersion]
    )
    parser.add_argument(
        "--authority",
        default=AuthorityKind.MADE_ONCE.value,
        choices=[AuthorityKind.MADE_ONCE.value, AuthorityKind.OCI.value],
        help="who signs the webhook certificate: a CA made by the run, or the tenancy's",
    )
    parser.add_argument("--keep", action="store_true", help="stay up until Ctrl-C")
    parser.add_argument("--keep-files", action="store_true", help="leave logs and data in the folder")
    return parser.parse_args()


def _since(moment: float) -> str:
    return duration_text(timedelta(seconds=time.monotonic() - moment))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
