"""Runs of install-fleet in the test's own process, and what a person finds in the UI afterwards."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.running import artifacts_of
from deployments.rehearsal.world import World
from flows.install_fleet import install_fleet
from tasks.core.manifests import Manifest
from tests.support.small_operators import VERSION, SmallOperator


@dataclass(frozen=True)
class InstallRun:
    """A run that has ended.

    Attributes:
        message: What its state says; names every cluster that failed.
        artifacts: Markdown by artifact key.
    """

    state: str
    message: str
    artifacts: Mapping[str, str]

    def report(self, cluster: str) -> Manifest:
        """The JSON report of a cluster."""
        text = self.artifacts[f"install-{cluster}-json"]
        report: Manifest = json.loads(text.removeprefix("```json\n").removesuffix("```\n"))
        return report

    def step_states(self, cluster: str) -> dict[str, str]:
        """How every step on a cluster ended, by the step's id."""
        return {step["step"]: step["state"] for step in self.report(cluster)["steps"]}


def run_install(client: SyncPrefectClient, parameters: Mapping[str, Any]) -> InstallRun:
    """Run the flow to its end, whatever that is."""
    state = install_fleet(**parameters, return_state=True)
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    return InstallRun(state.name or "", state.message or "", artifacts_of(client, run_id))


def small_operator_parameters(operator: SmallOperator, folder: Path, world: World) -> dict[str, Any]:
    """Parameters that install a small operator, whose profile and bundle are brought by hand in a folder."""
    profile = folder / f"{operator.package}.yaml"
    profile.write_text(operator.profile())
    parameters = world.parameters()
    parameters["operator"] |= {
        "profile": str(profile),
        "version": VERSION,
        "bundle_source": "DIRECTORY",
        "bundle": str(operator.write(folder / "bundle")),
    }
    return parameters
