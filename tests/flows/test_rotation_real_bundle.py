"""The operator's published bundle: its certificate changes as that of the rehearsal's own does (R12-R21)."""

from collections.abc import Iterator

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from tests.support.bundle_files import NEEDS_REAL_BUNDLE, REAL_BUNDLE
from tests.support.installed import WorldReport, installed_world_in
from tests.support.rotations import LOST_SERVICE, RotatingCluster, rotating_cluster
from tests.support.worlds import OLM_VERSIONS

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.real_bundle,
    NEEDS_REAL_BUNDLE,
]


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


def test_a_change_of_its_ca_and_a_renewal_are_proven_and_fail_no_call(real: RotatingCluster) -> None:
    authority = real.authority("real-ca")

    change = real.rotate("real-ca")
    renewal = real.rotate("real-ca")

    served = real.served()
    assert (change.rotation.unproven, renewal.rotation.unproven) == ((), ())
    assert (served.trust, served.bundles) == (authority, frozenset({authority}))
    assert served.endpoints == frozenset({served.secret})
    assert real.left_over() == []
    assert change.probed.calls > 100
    allowed = LOST_SERVICE if real.olm is OlmVersion.V0_20_0 else set()
    assert set(change.probed.kinds) <= allowed
    assert renewal.probed.failed == ()
