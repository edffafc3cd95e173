"""Where an OKE cluster's API server is, and what to do when it does not answer."""

from datetime import timedelta

import pytest
from cryptography import x509
from oci.container_engine import models as container_engine

from deployments.rehearsal.pki import create_authority
from deployments.rehearsal.tenancy.clusters import ClusterAuthority
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Entry
from deployments.rehearsal.tenancy.world import Place, add_cluster
from tasks.clients.cluster.connection import connect
from tasks.clients.tenancy.calls import TenancyCalls
from tasks.clients.tenancy.oke import Endpoint, EndpointKind, read_access
from tasks.clients.tenancy.sdk import region_of
from tasks.core.errors import ClusterUnavailableError, PrerequisiteError
from tests.clients.tenancy.conftest import REGION

PUBLIC, PRIVATE = "127.0.0.1:1", "127.0.0.2:1"
"""Nothing listens there."""


@pytest.fixture
def cluster(server: TenancyServer, place: Place) -> Entry:
    entry = add_cluster(server.store, place, REGION, "fra-1", PUBLIC)
    entry.model.endpoints.private_endpoint = PRIVATE
    entry.private = ClusterAuthority(create_authority("fra-1", server.store.clock()).certificate_pem)
    return entry


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (EndpointKind.AUTO, f"https://{PUBLIC}"),
        (EndpointKind.PUBLIC, f"https://{PUBLIC}"),
        (EndpointKind.PRIVATE, f"https://{PRIVATE}"),
    ],
)
def test_the_endpoint_is_the_one_that_was_chosen(
    calls: TenancyCalls, cluster: Entry, kind: EndpointKind, expected: str
) -> None:
    settings = read_access(calls, cluster.model.id, Endpoint(kind))

    assert settings.server == expected
    assert x509.load_pem_x509_certificate(settings.ca_pem).subject.rfc4514_string() == "CN=fra-1"


def test_a_cluster_without_a_public_endpoint_is_reached_at_its_private_one(
    calls: TenancyCalls, cluster: Entry
) -> None:
    cluster.model.endpoint_config.is_public_ip_enabled = False

    assert read_access(calls, cluster.model.id, Endpoint(EndpointKind.AUTO)).server == f"https://{PRIVATE}"


def test_an_address_of_ones_own_still_has_to_show_the_clusters_certificate(
    calls: TenancyCalls, cluster: Entry
) -> None:
    endpoint = Endpoint(EndpointKind.ADDRESS, "bastion.example.com:6443")

    settings = read_access(calls, cluster.model.id, endpoint)

    assert (settings.server, settings.tls_server_name) == ("https://bastion.example.com:6443", "127.0.0.2")


def test_a_private_endpoint_out_of_reach_says_where_it_is_and_what_to_do(
    calls: TenancyCalls, cluster: Entry
) -> None:
    settings = read_access(calls, cluster.model.id, Endpoint(EndpointKind.PRIVATE))
    client = connect("fra-1", settings, timedelta(seconds=5), lambda: "token")

    with pytest.raises(ClusterUnavailableError) as caught:
        client.read_path("/version")

    assert caught.value.next_step == (
        "This is the private endpoint of the OKE cluster fra-1, in the subnet "
        "ocid1.subnet.oc1.eu-frankfurt-1.rehearsal of the VCN ocid1.vcn.oc1.eu-frankfurt-1.rehearsal: only "
        "hosts in that network, or in one that is connected with it, reach it. Run the worker there, or open "
        "a bastion session and set the endpoint of the cluster's block to ADDRESS, or set it to PUBLIC "
        "(127.0.0.1:1)."
    )


def test_an_endpoint_that_the_cluster_does_not_have_is_named(calls: TenancyCalls, cluster: Entry) -> None:
    cluster.model.endpoint_config.is_public_ip_enabled = False

    with pytest.raises(
        PrerequisiteError, match="expected a public endpoint; found only a private one"
    ) as caught:
        read_access(calls, cluster.model.id, Endpoint(EndpointKind.PUBLIC))

    assert (
        caught.value.next_step == "Set the endpoint of the cluster's block to PRIVATE, or enable it in OKE."
    )


def test_a_cluster_that_is_going_away_is_not_used(calls: TenancyCalls, cluster: Entry) -> None:
    cluster.model.lifecycle_state = "DELETING"

    with pytest.raises(PrerequisiteError, match="expected lifecycle state ACTIVE; found DELETING"):
        read_access(calls, cluster.model.id, Endpoint(EndpointKind.AUTO))


def test_a_cluster_has_endpoints_at_all(calls: TenancyCalls, cluster: Entry) -> None:
    cluster.model.endpoints = container_engine.ClusterEndpoints()

    with pytest.raises(PrerequisiteError, match="no endpoint at all"):
        read_access(calls, cluster.model.id, Endpoint(EndpointKind.AUTO))


@pytest.mark.parametrize(
    ("ocid", "region"),
    [
        ("ocid1.cluster.oc1.iad.aaaa", "us-ashburn-1"),
        ("ocid1.cluster.oc1.eu-frankfurt-1.aaaa", "eu-frankfurt-1"),
        ("ocid1.tenancy.oc1..aaaa", ""),
        ("nonsense", ""),
    ],
)
def test_the_region_of_an_ocid_may_be_three_letters(ocid: str, region: str) -> None:
    assert region_of(ocid) == region
