"""A change of CA is killed (SIGKILL) after every one of its steps and started again (R12–R21).

Each start goes on from what the killed one left. The webhooks are called more than 20 times a second all the
time, and afterwards the keys are looked for in everything that the killed processes could have written.
"""

import pytest

from deployments.rehearsal.prefect_services import PrefectServices
from deployments.rehearsal.programs import OlmVersion
from tasks.core.certificates.reading import read_certificates
from tests.support.canaries import files_under, find_in, forms_of
from tests.support.certificate_crashes import CRASH_CA, Crashed, crash_through
from tests.support.certificates import certificate_in, requests_of
from tests.support.rotations import LOST_SERVICE, NAMESPACE, RotatingCluster

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.fixture(scope="module")
def authority(rotating: RotatingCluster) -> bytes:
    return rotating.authority(CRASH_CA)


@pytest.fixture(scope="module")
def crashed(
    rotating: RotatingCluster,
    authority: bytes,
    prefect_services: PrefectServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Crashed:
    return crash_through(rotating, prefect_services, tmp_path_factory.mktemp("crashing"))


def test_every_process_was_killed_before_it_could_say_that_it_is_done(crashed: Crashed) -> None:
    assert set(crashed.exits.values()) == {-9}
    assert len(crashed.exits) >= 6


def test_the_last_process_ends_where_an_undisturbed_one_does(
    rotating: RotatingCluster, authority: bytes, crashed: Crashed
) -> None:
    served = rotating.served()

    assert crashed.last == 0
    assert served.trust == authority
    assert served.bundles == {authority}
    assert served.endpoints == {served.secret}
    assert rotating.left_over() == []


def test_the_person_was_asked_about_one_request_and_that_one_is_served(
    rotating: RotatingCluster, crashed: Crashed
) -> None:
    created = [
        one
        for one in crashed.requests
        if (one.verb, one.resource) == ("create", "certificatesigningrequests") and one.status == 201
    ]
    (request,) = requests_of(rotating.client, NAMESPACE)

    assert len(created) == 1
    assert read_certificates(certificate_in(request))[0].sha256 == rotating.served().secret


def test_no_call_failed_while_processes_died(rotating: RotatingCluster, crashed: Crashed) -> None:
    assert crashed.probed.calls > 100
    if rotating.olm is OlmVersion.V0_20_0:
        assert set(crashed.probed.kinds) <= LOST_SERVICE
    else:
        assert crashed.probed.failed == ()


def test_no_private_key_is_anywhere_outside_the_cluster(
    rotating: RotatingCluster, crashed: Crashed, prefect_services: PrefectServices
) -> None:
    keys = {"the webhook's key": rotating.key(), "the CA's key": rotating.authority_key(CRASH_CA)}
    written = [*files_under(prefect_services.folder, crashed.folder), *rotating.texts()]

    found = {name: find_in(written, forms_of(key)) for name, key in keys.items()}

    assert found == {"the webhook's key": [], "the CA's key": []}
