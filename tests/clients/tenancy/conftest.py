"""A tenancy server per test and clients of it whose waits take no time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.rehearsal.tenancy.seeding import Seeded, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, add_tenancy, new_api_key
from tasks.clients.tenancy.calls import Address, TenancyCalls
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.keys import ApiKey, sign_with_api_key
from tasks.clients.tenancy.traffic import TenancyTraffic, Timing
from tasks.core.deadlines import Deadline

REGION = "eu-frankfurt-1"


@dataclass
class VirtualTime:
    """A clock that only moves when somebody sleeps."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def traffic(time: VirtualTime) -> TenancyTraffic:
    return TenancyTraffic(Timing(time.clock, time.sleep))


@pytest.fixture
def server() -> Iterator[TenancyServer]:
    # Small pages, so that every list of more than two comes in several.
    with TenancyServer(Store(), REGION, page_size=2) as running:
        yield running


@pytest.fixture(scope="session")
def api_key() -> rsa.RSAPrivateKey:
    return new_api_key()


@pytest.fixture
def place(server: TenancyServer, api_key: rsa.RSAPrivateKey) -> Place:
    return add_tenancy(server.store, "acme", [REGION, "eu-zurich-1"], api_key)


@pytest.fixture
def seeded(server: TenancyServer, place: Place) -> Seeded:
    return seed(server, place)


@pytest.fixture
def identity(place: Place) -> Identity:
    signatory = place.signatory
    return sign_with_api_key(
        ApiKey(signatory.tenancy_id, signatory.user_id, signatory.fingerprint, signatory.private_key_pem)
    )


@pytest.fixture
def calls(
    server: TenancyServer, identity: Identity, traffic: TenancyTraffic, time: VirtualTime
) -> TenancyCalls:
    deadline = Deadline.after(timedelta(minutes=2), time.clock)
    return TenancyCalls("acme", identity, Address(REGION, server.url), deadline, traffic)
