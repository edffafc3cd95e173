"""Signing as an instance, a resource or a pod: what works, and what each common mistake is called."""

import gc
import itertools
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deployments.rehearsal.pki import Leaf, create_authority, issue
from deployments.rehearsal.tenancy.answers import Caller
from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.platform import FEDERATION_PATH, InstanceMetadata, Pod, WorkloadProxy
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place
from tasks.clients.tenancy.calls import Address, Service, TenancyCalls
from tasks.clients.tenancy.identity import Identity
from tasks.clients.tenancy.principals import sign_as_instance, sign_as_resource, sign_as_workload
from tasks.clients.tenancy.traffic import TenancyTraffic
from tasks.core.deadlines import Deadline
from tasks.core.errors import TenancyError
from tests.clients.tenancy.conftest import REGION, VirtualTime

TENANCY = "ocid1.tenancy.oc1..acme"
# A JSON Web Token that says only when it ends: {"exp": 4102444800}, in the year 2100.
SERVICE_ACCOUNT_TOKEN = "e30.eyJleHAiOiA0MTAyNDQ0ODAwfQ.c2ln"
POD = Pod(SERVICE_ACCOUNT_TOKEN, Caller(TENANCY, "ocid1.workload.oc1..pod"))
WAIT = timedelta(seconds=30)
_hosts = itertools.count(os.getpid() % 200)


@pytest.fixture
def tenancy_name(server: TenancyServer, time: VirtualTime) -> Callable[[Identity], str]:
    def read(identity: Identity) -> str:
        deadline = Deadline.after(timedelta(minutes=1), time.clock)
        calls = TenancyCalls("acme", identity, Address(REGION, server.url), deadline, TenancyTraffic())
        name: str = calls.get(Service.IDENTITY, "get_tenancy", identity.tenancy_id).name
        return name

    return read


def problem(call: Callable[[], Identity]) -> str:
    with pytest.raises(TenancyError) as caught:
        call()
    return caught.value.found


@pytest.fixture
def metadata(
    server: TenancyServer, place: Place, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InstanceMetadata]:
    caller = Caller(place.tenancy.id, "ocid1.instance.oc1..node")
    with InstanceMetadata(server.instances, caller, REGION) as running:
        monkeypatch.setenv("OCI_METADATA_BASE_URL", running.url)
        yield running


def federation(server: TenancyServer) -> str:
    return server.url + FEDERATION_PATH


@pytest.mark.usefixtures("metadata")
def test_an_instance_signs(server: TenancyServer, tenancy_name: Callable[[Identity], str]) -> None:
    assert tenancy_name(sign_as_instance(TENANCY, federation(server), WAIT)) == "acme"


@pytest.mark.usefixtures("metadata")
def test_an_instance_of_another_tenancy_is_named(server: TenancyServer) -> None:
    found = problem(lambda: sign_as_instance("ocid1.tenancy.oc1..other", federation(server), WAIT))

    assert found == f"it belongs to {TENANCY} and not to the block's tenancy ocid1.tenancy.oc1..other"


@pytest.mark.usefixtures("metadata")
def test_a_federation_service_that_refuses_is_named(server: TenancyServer) -> None:
    server.faults.add(Fault(FaultKind.NOT_FOUND, FEDERATION_PATH))

    found = problem(lambda: sign_as_instance(TENANCY, federation(server), WAIT))

    assert found.endswith("may it reach 169.254.169.254?")


def test_a_metadata_service_that_swallows_packets_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("OCI_METADATA_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/opc/v2")

        found = problem(lambda: sign_as_instance(TENANCY, "", timedelta(seconds=0.5)))

    assert found.startswith("no answer within 0.5 s; Does the worker run on an OCI instance")


def test_a_metadata_service_without_an_identity_is_named(
    server: TenancyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", server.url)

    found = problem(lambda: sign_as_instance(TENANCY, federation(server), WAIT))

    assert "Does the worker run on an OCI instance" in found


def test_an_answer_that_the_metadata_service_refuses_is_closed(
    server: TenancyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", server.url)

    problem(lambda: sign_as_instance(TENANCY, federation(server), WAIT))

    # A socket that is still open is a ResourceWarning now, which fails this test.
    gc.collect()


@pytest.fixture
def resource(
    server: TenancyServer, api_key: rsa.RSAPrivateKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(TENANCY, "ocid1.computecontainerinstance.oc1..c")
    now = datetime.now(UTC)
    token = server.store.sessions.issue(caller, api_key.public_key(), now, timedelta(hours=1))
    pem = api_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    (tmp_path / "rpst").write_text(token)
    (tmp_path / "key.pem").write_bytes(pem)
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", str(tmp_path / "rpst"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", str(tmp_path / "key.pem"))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_REGION", REGION)


@pytest.mark.usefixtures("resource", "place")
def test_a_resource_signs(tenancy_name: Callable[[Identity], str]) -> None:
    assert tenancy_name(sign_as_resource(TENANCY, WAIT)) == "acme"


def test_a_worker_that_is_no_resource_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCI_RESOURCE_PRINCIPAL_VERSION", raising=False)

    found = problem(lambda: sign_as_resource(TENANCY, WAIT))

    assert found.startswith("the variable OCI_RESOURCE_PRINCIPAL_VERSION is not set")


@pytest.mark.usefixtures("resource")
@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("OCI_RESOURCE_PRINCIPAL_VERSION", "9.9", "Unsupported"),
        ("OCI_RESOURCE_PRINCIPAL_RPST", "", "OCI_RESOURCE_PRINCIPAL"),
        ("OCI_RESOURCE_PRINCIPAL_RPST", "/absent/rpst", "OCI_RESOURCE_PRINCIPAL"),
        ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", "/absent/key", "OCI_RESOURCE_PRINCIPAL"),
    ],
)
def test_a_resources_variables_that_do_not_fit_are_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, word: str
) -> None:
    monkeypatch.setenv(variable, value)

    assert word in problem(lambda: sign_as_resource(TENANCY, WAIT))


def start_proxy(
    server: TenancyServer, folder: Path, pod: Pod, environment: pytest.MonkeyPatch
) -> WorkloadProxy:
    """The proxy's port is fixed, so every test takes an address of its own."""
    host = f"127.93.{next(_hosts) % 250}.{next(_hosts) % 250 + 1}"
    now = datetime.now(UTC)
    authority = create_authority("rehearsal", now)
    leaf = issue(authority, Leaf("kube-apiserver", addresses=(host,)), now)
    (folder / "ca.crt").write_bytes(authority.certificate_pem)
    (folder / "tls.crt").write_bytes(leaf.certificate_pem)
    (folder / "tls.key").write_bytes(leaf.key_pem)
    (folder / "token").write_text(POD.token)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    environment.setenv("KUBERNETES_SERVICE_HOST", host)
    environment.setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", str(folder / "ca.crt"))
    environment.setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", str(folder / "token"))
    environment.setenv("OCI_RESOURCE_PRINCIPAL_REGION", REGION)
    return WorkloadProxy(server.store, host, pod, tls)


def sign_in() -> Identity:
    return sign_as_workload(TENANCY, REGION, WAIT)


@pytest.mark.usefixtures("place")
def test_a_pod_signs(
    server: TenancyServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tenancy_name: Callable[[Identity], str],
) -> None:
    with start_proxy(server, tmp_path, POD, monkeypatch):
        assert tenancy_name(sign_in()) == "acme"


def test_a_basic_cluster_is_named(
    server: TenancyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_proxy(server, tmp_path, Pod(POD.token, POD.caller, enhanced=False), monkeypatch):
        found = problem(sign_in)

    assert "ensure the cluster type is enhanced" in found


def test_a_service_account_that_is_refused_is_named(
    server: TenancyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_proxy(server, tmp_path, Pod("another-token", POD.caller), monkeypatch):
        found = problem(sign_in)

    assert "Failed to get RPST token" in found
    assert POD.token not in found


def test_a_proxy_that_does_not_answer_is_named(
    server: TenancyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_proxy(server, tmp_path, POD, monkeypatch):
        pass

    assert "may the pod reach port 12250" in problem(sign_in)


def test_a_certificate_of_somebody_else_is_named(
    server: TenancyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start_proxy(server, tmp_path, POD, monkeypatch):
        stranger = create_authority("stranger", datetime.now(UTC))
        (tmp_path / "ca.crt").write_bytes(stranger.certificate_pem)

        assert "SSLError" in problem(sign_in)


def test_a_worker_outside_of_a_cluster_is_told_everything_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("OCI_KUBERNETES_SERVICE_ACCOUNT_TOKEN_PATH", str(tmp_path / "token"))

    found = problem(sign_in)

    assert found == (
        "the variable KUBERNETES_SERVICE_HOST is not set; "
        f"{tmp_path}/ca.crt is not readable; {tmp_path}/token is not readable; "
        "the worker does not run in a pod of OKE"
    )
