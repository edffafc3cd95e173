"""Whole runs with a CA whose key no worker holds: OCI issues, or somebody else signs (R12–R21)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import SetStateStatus

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from deployments import evidence as command
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.tenancy.seeding import Seed, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import add_tenancy
from deployments.rehearsal.world import World
from flows.issue_webhook_certificate import issue_webhook_certificate
from tasks.certificates.authorities import open_authority
from tasks.certificates.orders import order_for
from tasks.certificates.requests import request_ref
from tasks.clients.cluster import ClusterClient
from tasks.core.certificates.cluster_requests import request_bytes
from tasks.core.certificates.issuing import sign_request
from tasks.core.certificates.keys import generate_key
from tasks.core.certificates.request_policy import RequestExpectation
from tasks.core.certificates.requests import read_request
from tasks.core.settings import CertificateChoice
from tests.support.certificates import requests_of, write_authority
from tests.support.gates import (
    NAMESPACE,
    PROFILE,
    STAGING,
    OwnRun,
    answer,
    decision,
    left_over,
    own_run,
    published,
    put_back_afterwards,
    served,
)
from tests.support.tenancies import save_tenancy_block

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]

ORDER = order_for(PROFILE, NAMESPACE, CertificateChoice())


@dataclass(frozen=True)
class Desk:
    """A cluster with a running operator, and a CA elsewhere whose key the pipeline does not have.

    Attributes:
        elsewhere: That CA, with its key, as its owner has it.
    """

    prefect: SyncPrefectClient
    client: ClusterClient
    cluster: str
    elsewhere: CertificateAuthority

    def run(self, authority: str, **certificate: object) -> OwnRun:
        """A run that has not begun."""
        choice = {"mode": "OWN", "authority": authority, **certificate}
        return own_run(
            self.prefect, issue_webhook_certificate, {"clusters": [self.cluster], "certificate": choice}
        )

    def waiting(self, authority: str = "elsewhere-ca", **certificate: object) -> OwnRun:
        """A run that is suspended at the gate."""
        run = self.run(authority, **certificate)
        assert run.go().name == "Suspended"
        return run

    def signed_elsewhere(self, *, authority: CertificateAuthority | None = None) -> str:
        """What the owner of a CA makes of the request that the artifact shows."""
        (live,) = requests_of(self.client, NAMESPACE)
        request, opened = request_bytes(live), open_authority(authority or self.elsewhere)
        expectation = RequestExpectation(ORDER.plan, read_request(request).spki_sha256)
        return sign_request(request, expectation, opened, datetime.now(UTC)).pem.decode()

    def tidy_up(self) -> None:
        """Remove what runs that nobody answered leave."""
        for manifest in requests_of(self.client, NAMESPACE):
            self.client.delete(request_ref(manifest["metadata"]["name"]))
        self.client.delete(STAGING)


@pytest.fixture
def desk(prefect_server: SyncPrefectClient, installed_world: World, tmp_path: Path) -> Iterator[Desk]:
    cluster = installed_world.clusters[0]
    elsewhere = write_authority(tmp_path, "Elsewhere CA")
    block = CertificateAuthority(
        kind=AuthorityKind.EXTERNAL, certificate=Path(str(elsewhere.certificate_file)).read_text()
    )
    block.save("elsewhere-ca", overwrite=True)
    desk = Desk(prefect_server, cluster.control_plane.client(), cluster.name, elsewhere)
    yield desk
    desk.tidy_up()


@pytest.fixture
def unchanged(desk: Desk) -> Iterator[None]:
    """The test publishes nothing."""
    before = published(desk.client)
    yield
    assert published(desk.client) == before


@pytest.fixture
def tenancy(prefect_server: SyncPrefectClient, tmp_path: Path) -> Iterator[TenancyServer]:
    """A tenancy with an authority that the block `oci-ca` names."""
    with TenancyServer(Store(settle=timedelta(milliseconds=300)), "eu-frankfurt-1") as server:
        place = add_tenancy(server.store, "authorities", [server.region])
        seeded = seed(server, place, Seed(leaf_validity="P400D"))
        name = save_tenancy_block(server, place, "authorities", tmp_path)
        CertificateAuthority(kind=AuthorityKind.OCI, tenancy=name, ocid=seeded.authority_id).save(
            "oci-ca", overwrite=True
        )
        yield server


def test_oci_issues_what_was_approved_and_the_webhooks_serve_it(
    desk: Desk, tenancy: TenancyServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """R12 to R21 with the CA's key in OCI's HSM, and the evidence of it, checked with the shipped command."""
    run = desk.waiting("oci-ca", evidence=str(tmp_path))
    assert "| CA | OCI: CN=Rehearsal Mesh Root, SHA-256 " in run.shown()
    issued_before = tenancy.traffic.operations["POST /20210224/certificates"]

    with put_back_afterwards(desk.client):
        ended = run.answer("APPROVE")

        assert (ended.name, served(desk.client)) == ("Completed", {"CN=Rehearsal Mesh Root"})
    assert left_over(desk.client) == []
    assert tenancy.traffic.operations["POST /20210224/certificates"] == issued_before + 1
    assert command.main([str(tmp_path / "evidence" / str(run.run_id) / "evidence.jsonl")]) == command.INTACT
    assert [line.split()[2] for line in capsys.readouterr().out.splitlines()[:-1]] == [
        "STARTED",
        "ASKED",
        "SHOWN",
        "DECIDED",
        "ISSUED",
        "PUBLISHED",
        "PROVEN",
        "FINISHED",
    ]


@pytest.mark.usefixtures("unchanged")
def test_an_authority_that_cannot_issue_asks_nobody(desk: Desk, tenancy: TenancyServer) -> None:
    """R26."""
    (place,) = tenancy.store.tenancies.values()
    for entry in tenancy.store.all(place, "CertificateAuthority"):
        entry.model.lifecycle_state = "PENDING_DELETION"

    ended = desk.run("oci-ca").go()

    assert (ended.name, "found the state PENDING_DELETION" in str(ended.message)) == ("Failed", True)
    assert left_over(desk.client) == []


def test_what_somebody_else_signed_is_pasted_and_served(desk: Desk, tmp_path: Path) -> None:
    """R12 to R21 with a CA that the pipeline cannot reach.

    Wrong answers lose nothing: the CA's owner need not sign another request. A one-line field drops the ends
    of lines, so the right one comes without.
    """
    run = desk.waiting()
    (live,) = requests_of(desk.client, NAMESPACE)
    assert request_bytes(live).decode() in run.shown()
    assert run.answer("APPROVE").name == "Suspended"
    assert "found none for this key" in run.shown().splitlines()[0]
    (tmp_path / "foreign").mkdir()
    foreign = desk.signed_elsewhere(authority=write_authority(tmp_path / "foreign", "Elsewhere CA"))
    assert run.answer("APPROVE", certificates=foreign).name == "Suspended"
    assert "CHAIN: " in run.shown().splitlines()[0]

    with put_back_afterwards(desk.client):
        ended = run.answer("APPROVE", certificates=desk.signed_elsewhere().replace("\n", ""))

        assert (ended.name, served(desk.client)) == ("Completed", {"CN=Elsewhere CA"})
    assert left_over(desk.client) == []


@pytest.mark.usefixtures("unchanged")
def test_after_the_last_wrong_paste_the_run_ends_and_nothing_is_left(desk: Desk) -> None:
    run = desk.waiting()
    cut_off = desk.signed_elsewhere()[:-40]

    states = [run.answer("APPROVE", certificates=cut_off) for _ in range(5)]

    assert [state.name for state in states] == ["Suspended"] * 4 + ["Failed"]
    assert "a mark without its counterpart" in str(states[-1].message)
    assert left_over(desk.client) == []


@pytest.mark.usefixtures("unchanged")
def test_a_private_key_is_not_taken_and_not_kept(desk: Desk) -> None:
    """The server checks the form before it stores the answer."""
    run = desk.waiting()
    key = generate_key().pkcs8_pem().get_secret_value().decode()

    said = answer(run.client, run.run_id, decision("APPROVE", certificates=key))

    kept = run.client.filter_flow_run_input(run.run_id, "suspended-", 10, set())
    assert (said.status, run.state().name) == (SetStateStatus.REJECT, "Suspended")
    assert key.splitlines()[1] not in "".join(one.value for one in kept)
    assert run.answer("DENY").name == "Failed"
