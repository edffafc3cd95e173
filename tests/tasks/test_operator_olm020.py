"""What only the documented OLM 0.20.0 does: an InstallPlan that is approved too early never moves (R7)."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.installation import Installation
from tasks.core.manifests import Manifest, ref_of
from tasks.operator.subscription import approve_install_plan, wait_for_csv_succeeded
from tests.support.small_installs import OLM, PATIENCE, InstallSite, install_site, patiently
from tests.support.small_operators import SmallOperator

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world",
        [pytest.param(OlmVersion.V0_20_0, id="olm-0.20.0", marks=pytest.mark.olm020)],
        indirect=True,
    ),
]

# OLM writes the status about 0.2 s after the plan: whoever loses that race tries again with another operator.
ATTEMPTS = [SmallOperator(f"early{number}") for number in range(8)]


@pytest.fixture(scope="module")
def site(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    with install_site(installed_world) as found:
        yield found


def plans(site: InstallSite, installation: Installation) -> list[Manifest]:
    return site.client.list_objects(OLM, "InstallPlan", installation.namespace)


def approve_on_sight(site: InstallSite, installation: Installation) -> Manifest:
    """Approve the plan as soon as it exists, as operator-sdk's users did; returns it as it was then."""
    seen: list[Manifest] = []
    while not seen:
        seen = plans(site, installation)
    return site.client.patch(ref_of(seen[0]), {"spec": {"approved": True}})


def approved_too_early(site: InstallSite) -> tuple[Installation, str]:
    """An installation with a plan that was approved before OLM wrote its status, and that plan's name."""
    address = site.offer(ATTEMPTS)
    for operator in ATTEMPTS:
        installation = site.subscribe(operator, site.namespace(), address)
        plan = approve_on_sight(site, installation)
        if not (plan.get("status") or {}).get("phase"):
            return installation, plan["metadata"]["name"]
    pytest.fail("OLM wrote the status of every plan before it could be approved")


def phases_of(site: InstallSite, installation: Installation) -> dict[str, str | None]:
    return {
        plan["metadata"]["name"]: (plan.get("status") or {}).get("phase")
        for plan in plans(site, installation)
    }


def test_a_plan_that_was_approved_too_early_is_left_behind_and_the_run_goes_on(site: InstallSite) -> None:
    """R7: nobody approves the second plan that OLM makes, so an install by hand hangs for ever here."""
    installation, orphan = approved_too_early(site)
    wait_for(lambda: plans(site, installation), lambda seen: len(seen) > 1, deadline_after(PATIENCE))

    approval = approve_install_plan(site.cluster, installation, patiently())
    outcome = wait_for_csv_succeeded(site.cluster, installation, patiently())

    # OLM completes the plan a moment after the CSV succeeded.
    phases = wait_for(
        lambda: phases_of(site, installation),
        lambda seen: "Complete" in seen.values(),
        deadline_after(PATIENCE),
    )
    assert outcome.detail.endswith("Succeeded")
    assert orphan not in str(approval.changed)
    assert phases.pop(orphan) is None
    assert list(phases.values()) == ["Complete"]
