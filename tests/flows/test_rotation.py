"""Changes of the certificate while the webhooks are called more than 20 times a second (R20, R21)."""

import pytest

from deployments.rehearsal.programs import OlmVersion
from tests.support.rotations import LOST_SERVICE, PROFILE, RotatingCluster, Watched

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def authority(rotating: RotatingCluster) -> bytes:
    return rotating.authority("rotation-ca")


@pytest.fixture(scope="module")
def change_of_ca(rotating: RotatingCluster, authority: bytes) -> Watched:
    return rotating.rotate("rotation-ca")


@pytest.fixture(scope="module")
def renewal(rotating: RotatingCluster, change_of_ca: Watched) -> tuple[set[str], Watched, set[str]]:
    before = rotating.operator_pods()
    return before, rotating.rotate("rotation-ca"), rotating.operator_pods()


def test_no_call_fails_while_the_ca_changes(rotating: RotatingCluster, change_of_ca: Watched) -> None:
    probed = change_of_ca.probed

    assert probed.calls > 100
    if rotating.olm is OlmVersion.V0_20_0:
        assert set(probed.kinds) <= LOST_SERVICE
    else:
        assert probed.failed == ()


def test_olm_reinstalls_the_operator_once_and_not_with_every_change_of_trust(
    rotating: RotatingCluster, change_of_ca: Watched
) -> None:
    # OLM 0.20.0 recreates its Service with every reinstall, 0.46.0 applies it.
    verb = "create" if rotating.olm is OlmVersion.V0_20_0 else "patch"

    applied = change_of_ca.wrote(verb, "services", PROFILE.olm_service if verb == "patch" else "")

    assert {one.user for one in applied} == {"system:serviceaccount:olm:olm-operator-serviceaccount"}
    # The second one is OLM's own: it looks around every five minutes, and right after an installation.
    assert len(applied) in (1, 2)


def test_the_new_ca_is_everywhere_and_nothing_is_left_over(
    rotating: RotatingCluster, authority: bytes, change_of_ca: Watched, renewal: object
) -> None:
    served = rotating.served()

    assert change_of_ca.rotation.unproven == ()
    assert served.trust == authority
    assert served.bundles == {authority}
    assert served.services == {PROFILE.olm_service}
    assert served.endpoints == {served.secret}
    assert rotating.left_over() == []


def test_a_renewal_under_the_same_ca_fails_no_call(renewal: tuple[set[str], Watched, set[str]]) -> None:
    _before, watched, _after = renewal

    assert watched.probed.calls > 100
    assert watched.probed.failed == ()
    assert watched.rotation.unproven == ()


def test_a_renewal_under_the_same_ca_writes_the_secret_and_nothing_that_olm_or_a_pod_notices(
    renewal: tuple[set[str], Watched, set[str]],
) -> None:
    before, watched, after = renewal

    assert len(watched.wrote("patch", "secrets", PROFILE.certificate_secret)) == 1
    assert watched.wrote("patch", "validatingwebhookconfigurations") == []
    assert watched.wrote("patch", "mutatingwebhookconfigurations") == []
    assert watched.wrote("patch", "clusterserviceversions") == []
    assert before == after
