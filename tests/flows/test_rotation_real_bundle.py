"""The operator's published bundle: its certificate changes as that of the rehearsal's own does (R12-R21)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.running import follow, submit
from tests.support.bundle_files import NEEDS_REAL_BUNDLE, REAL_BUNDLE
from tests.support.certificate_crashes import CRASH_CA, crash_through
from tests.support.gates import answer, decision
from tests.support.installed import WorldReport, installed_world_in
from tests.support.rotations import LOST_SERVICE, RotatingCluster, rotating_cluster
from tests.support.worlds import OLM_VERSIONS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.real_bundle,
    NEEDS_REAL_BUNDLE,
]

DEPLOYMENT = "issue-webhook-certificate/issue-webhook-certificate"


@pytest.fixture(scope="module", params=OLM_VERSIONS)
def real(
    request: pytest.FixtureRequest,
    prefect_server: SyncPrefectClient,
    tmp_path_factory: pytest.TempPathFactory,
    report: WorldReport,
) -> Iterator[RotatingCluster]:
    """A cluster with the published bundle."""
    olm: OlmVersion = request.param
    bundle = {"bundle_source": "DIRECTORY", "bundle": str(REAL_BUNDLE)}
    folder, prefix = tmp_path_factory.mktemp("real"), f"real-{olm.value.replace('.', '-')}"
    with (
        installed_world_in(folder, olm, prefix, report, operator=bundle) as world,
        rotating_cluster(world, tmp_path_factory.mktemp("authorities")) as rotating,
    ):
        yield rotating


def assert_that_it_serves_under(authority: bytes, real: RotatingCluster) -> None:
    """Secret, every caBundle and every endpoint agree, and nothing of the change is left over."""
    served = real.served()
    assert (served.trust, served.bundles) == (authority, frozenset({authority}))
    assert served.endpoints == frozenset({served.secret})
    assert real.left_over() == []


def may_fail(real: RotatingCluster) -> set[str]:
    """How calls may fail while OLM installs anew."""
    return LOST_SERVICE if real.olm is OlmVersion.V0_20_0 else set()


def test_a_change_of_its_ca_and_a_renewal_are_proven_and_fail_no_call(real: RotatingCluster) -> None:
    authority = real.authority("real-ca")

    change = real.rotate("real-ca")
    renewal = real.rotate("real-ca")

    assert (change.rotation.unproven, renewal.rotation.unproven) == ((), ())
    assert_that_it_serves_under(authority, real)
    assert change.probed.calls > 100
    assert set(change.probed.kinds) <= may_fail(real)
    assert renewal.probed.failed == ()


def test_an_approval_at_the_gate_publishes_its_certificate(
    real: RotatingCluster, deployed: SyncPrefectClient
) -> None:
    authority = real.authority("gate-ca")
    real.delete_requests()
    certificate = {"mode": "OWN", "authority": "gate-ca"}

    run = submit(deployed, DEPLOYMENT, {"clusters": [real.cluster.name], "certificate": certificate})
    waiting = follow(deployed, run, lambda _: None)
    answer(deployed, run.id, decision("APPROVE"))
    ended = follow(deployed, run, lambda _: None)

    assert (waiting.state, ended.state) == ("Suspended", "Completed")
    assert_that_it_serves_under(authority, real)


def test_a_change_of_its_ca_that_is_killed_after_every_step_ends_like_an_undisturbed_one(
    real: RotatingCluster, prefect_services: PrefectServices, tmp_path: Path
) -> None:
    authority = real.authority(CRASH_CA)
    real.delete_requests()

    crashed = crash_through(real, prefect_services, tmp_path)

    assert set(crashed.exits.values()) == {-9}
    assert len(crashed.exits) >= 6
    assert crashed.last == 0
    assert_that_it_serves_under(authority, real)
    assert crashed.probed.calls > 100
    assert set(crashed.probed.kinds) <= may_fail(real)
