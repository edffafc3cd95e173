"""How requests are sent: retries that listen to Retry-After, pages, limits, breakers, deadlines."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic

import pytest

from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place, add_compartment
from tasks.clients.tenancy.calls import Address, Service, TenancyCalls
from tasks.clients.tenancy.errors import TenancyAccessError, TenancyNotFoundError
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.keys import ApiKey, sign_with_api_key
from tasks.clients.tenancy.traffic import TenancyTraffic
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyUnavailableError
from tests.clients.tenancy.conftest import VirtualTime

TENANCY_PATH = "/20160918/tenancies"


def tenancy_name(calls: TenancyCalls) -> str:
    name: str = calls.get(Service.IDENTITY, "get_tenancy", calls.identity.tenancy_id).name
    return name


def test_a_throttled_request_waits_as_long_as_the_service_says(
    server: TenancyServer, calls: TenancyCalls, time: VirtualTime
) -> None:
    server.faults.add(Fault(FaultKind.THROTTLED, TENANCY_PATH, times=2, seconds=7))

    assert tenancy_name(calls) == "acme"
    assert time.slept == [7.0, 7.0]


@pytest.mark.parametrize("kind", [FaultKind.BROKEN, FaultKind.RESET, FaultKind.THROTTLED])
def test_a_fault_that_passes_is_outlived(server: TenancyServer, calls: TenancyCalls, kind: FaultKind) -> None:
    server.faults.add(Fault(kind, TENANCY_PATH, times=4))

    assert tenancy_name(calls) == "acme"


@pytest.mark.parametrize("kind", [FaultKind.BROKEN, FaultKind.RESET])
def test_a_fault_that_stays_is_reported_after_five_requests(
    server: TenancyServer, calls: TenancyCalls, kind: FaultKind
) -> None:
    server.faults.add(Fault(kind, TENANCY_PATH))

    with pytest.raises(TenancyUnavailableError, match="Could not get tenancy"):
        tenancy_name(calls)

    assert sum(server.traffic.operations.values()) == 5


def test_a_service_that_is_down_is_not_asked_again_for_a_while(
    server: TenancyServer, calls: TenancyCalls, time: VirtualTime
) -> None:
    server.faults.add(Fault(FaultKind.BROKEN, TENANCY_PATH))
    with pytest.raises(TenancyUnavailableError):
        tenancy_name(calls)
    asked = sum(server.traffic.operations.values())

    with pytest.raises(TenancyUnavailableError, match="failed five times in a row"):
        tenancy_name(calls)
    assert sum(server.traffic.operations.values()) == asked

    server.faults.clear()
    time.now += 31
    assert tenancy_name(calls) == "acme"


def test_a_service_that_is_down_does_not_stop_another_one(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    server.faults.add(Fault(FaultKind.BROKEN, TENANCY_PATH))
    with pytest.raises(TenancyUnavailableError):
        tenancy_name(calls)

    assert list(calls.pages(Service.VAULTS, "list_vaults", place.compartment_id)) == []


def test_what_the_service_refuses_is_not_asked_again(server: TenancyServer, calls: TenancyCalls) -> None:
    with pytest.raises(TenancyNotFoundError, match="NotAuthorizedOrNotFound"):
        calls.get(Service.IDENTITY, "get_compartment", "ocid1.compartment.oc1..nobody")

    assert sum(server.traffic.operations.values()) == 1


def test_a_wait_beyond_the_deadline_is_not_begun(
    server: TenancyServer, calls: TenancyCalls, time: VirtualTime
) -> None:
    server.faults.add(Fault(FaultKind.THROTTLED, TENANCY_PATH, seconds=121))

    with pytest.raises(TenancyUnavailableError, match="429"):
        tenancy_name(calls)

    assert time.slept == []


def test_after_the_deadline_nothing_is_sent(
    server: TenancyServer, calls: TenancyCalls, time: VirtualTime
) -> None:
    time.now += 120

    with pytest.raises(TenancyUnavailableError, match=r"deadline"):
        tenancy_name(calls)

    assert sum(server.traffic.operations.values()) == 0


def test_a_slow_answer_ends_with_the_deadline(server: TenancyServer, identity: Identity) -> None:
    server.faults.add(Fault(FaultKind.SLOW, TENANCY_PATH, seconds=60))
    deadline = Deadline.after(timedelta(seconds=1), monotonic)
    address = Address("eu-frankfurt-1", server.url)
    hurried = TenancyCalls("acme", identity, address, deadline, TenancyTraffic())

    with pytest.raises(TenancyUnavailableError):
        tenancy_name(hurried)

    assert sum(server.traffic.operations.values()) == 1


def test_all_pages_are_read_and_a_failing_page_is_asked_again(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    for number in range(5):
        add_compartment(server.store, place.tenancy, place.compartment_id, f"c{number}")
    server.faults.add(Fault(FaultKind.BROKEN, "/20160918/compartments", times=1))

    models = calls.pages(Service.IDENTITY, "list_compartments", place.compartment_id, limit=2)

    assert [model.name for model in models] == ["c0", "c1", "c2", "c3", "c4"]
    assert server.traffic.operations["GET /20160918/compartments"] == 4


def test_at_most_four_requests_are_under_way(
    server: TenancyServer, calls: TenancyCalls, place: Place
) -> None:
    server.faults.add(Fault(FaultKind.SLOW, TENANCY_PATH, seconds=0.05))

    with ThreadPoolExecutor(12) as pool:
        names = list(pool.map(lambda _: tenancy_name(calls), range(24)))

    assert set(names) == {place.tenancy.name}
    assert server.traffic.most_at_once <= 4


def test_key_management_gets_ten_requests_a_second(
    server: TenancyServer, calls: TenancyCalls, place: Place, time: VirtualTime
) -> None:
    for _ in range(21):
        list(calls.pages(Service.VAULTS, "list_vaults", place.compartment_id))

    assert time.now == pytest.approx(2.0)
    assert server.traffic.operations["GET /20180608/vaults"] == 21


def test_a_key_that_is_not_known_is_a_matter_of_access(place: Place, calls: TenancyCalls) -> None:
    place.tenancy.keys.clear()

    with pytest.raises(TenancyAccessError, match="Check key, fingerprint") as caught:
        tenancy_name(calls)

    assert "Signature" not in str(caught.value)
    assert place.signatory.fingerprint not in str(caught.value)


def test_an_address_where_nobody_listens_is_unavailable(server: TenancyServer, calls: TenancyCalls) -> None:
    server.stop()

    with pytest.raises(TenancyUnavailableError, match="Check the network"):
        tenancy_name(calls)


def test_another_regions_breaker_is_not_ours(
    server: TenancyServer, calls: TenancyCalls, traffic: TenancyTraffic, place: Place
) -> None:
    for _ in range(5):
        traffic.breaker("eu-zurich-1", "IdentityClient").failed()

    assert tenancy_name(calls) == place.tenancy.name
    assert server.region == "eu-frankfurt-1"


def test_an_identity_shows_nothing_of_its_key(place: Place) -> None:
    signatory = place.signatory
    key = ApiKey(signatory.tenancy_id, signatory.user_id, signatory.fingerprint, signatory.private_key_pem)

    assert "PRIVATE KEY" not in repr(key) + repr(sign_with_api_key(key))
