"""The rehearsal's tenancy, asked by the real SDK: what it accepts, refuses and remembers."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import oci
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import PolicyBuilder
from cryptography.x509.verification import Store as TrustStore
from oci.certificates_management import models as certificates
from oci.identity import models as identity
from oci.key_management import models as key_management

from deployments.rehearsal.tenancy.dump import dump_text
from deployments.rehearsal.tenancy.faults import Fault, FaultKind
from deployments.rehearsal.tenancy.seeding import Seeded, client_for, seed
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.store import Store
from deployments.rehearsal.tenancy.world import Place, Signatory, add_tenancy, add_user

REGION = "eu-frankfurt-1"
Untyped = Any
"""What the SDK gives and takes: it carries no types."""


@pytest.fixture
def server() -> Iterator[TenancyServer]:
    with TenancyServer(Store(), REGION, page_size=2) as running:
        yield running


@pytest.fixture
def place(server: TenancyServer) -> Place:
    return add_tenancy(server.store, "acme", [REGION, "eu-zurich-1"])


@pytest.fixture
def seeded(server: TenancyServer, place: Place) -> Seeded:
    return seed(server, place)


def identity_client(server: TenancyServer, signatory: Signatory) -> Untyped:
    return client_for(oci.identity.IdentityClient, server, signatory)


def refusal(call: Untyped, *arguments: Untyped, **options: Untyped) -> tuple[int, str]:
    with pytest.raises(oci.exceptions.ServiceError) as caught:
        call(*arguments, **options)
    return caught.value.status, caught.value.code


def test_a_signed_request_is_answered_with_the_sdks_own_model(server: TenancyServer, place: Place) -> None:
    compartment = identity_client(server, place.signatory).get_compartment(place.compartment_id).data

    assert isinstance(compartment, identity.Compartment)
    assert (compartment.name, compartment.lifecycle_state) == ("mesh", "ACTIVE")


def test_the_tenancy_is_the_root_compartment(server: TenancyServer, place: Place) -> None:
    root = identity_client(server, place.signatory).get_compartment(place.tenancy.id).data

    assert (root.name, root.compartment_id) == ("acme", None)


def test_a_key_that_is_not_the_users_is_refused(server: TenancyServer, place: Place) -> None:
    stranger = add_user(Store(), place.tenancy, "stranger")
    place.tenancy.keys.pop(stranger.key_id)

    assert refusal(identity_client(server, stranger).get_tenancy, place.tenancy.id) == (
        401,
        "NotAuthenticated",
    )


def test_a_signature_of_another_key_is_refused(server: TenancyServer, place: Place) -> None:
    other = add_user(server.store, place.tenancy, "other")
    mine = place.signatory
    forged = Signatory(mine.tenancy_id, mine.user_id, mine.fingerprint, other.private_key_pem)

    assert refusal(identity_client(server, forged).get_tenancy, place.tenancy.id) == (401, "NotAuthenticated")


def test_a_clock_that_is_far_away_is_refused(place: Place) -> None:
    store = Store(clock=lambda: datetime.now(UTC) + timedelta(minutes=6), tenancies={"t": place.tenancy})
    store.tenancies = {place.tenancy.id: place.tenancy}
    with TenancyServer(store, REGION) as late:
        answer = refusal(identity_client(late, place.signatory).get_tenancy, place.tenancy.id)

    assert answer == (401, "NotAuthenticated")


def test_another_tenancys_objects_are_not_found(server: TenancyServer, place: Place) -> None:
    other = add_tenancy(server.store, "other", [REGION])

    client = identity_client(server, place.signatory)

    assert refusal(client.get_compartment, other.compartment_id) == (404, "NotAuthorizedOrNotFound")
    assert refusal(client.get_tenancy, other.tenancy.id) == (404, "NotAuthorizedOrNotFound")


def test_lists_come_in_pages(server: TenancyServer, place: Place) -> None:
    for number in range(3):
        add_user(server.store, place.tenancy, f"user-{number}")
    client = identity_client(server, place.signatory)

    first = client.list_compartments(place.tenancy.id, compartment_id_in_subtree=True, limit=1)
    second = client.list_compartments(
        place.tenancy.id, compartment_id_in_subtree=True, limit=1, page=first.next_page
    )

    assert [first.data[0].name, second.data[0].name] == ["platform", "mesh"]
    assert (first.has_next_page, second.has_next_page) == (True, False)


def test_regions_and_policies_are_listed(server: TenancyServer, place: Place) -> None:
    client = identity_client(server, place.signatory)

    regions = client.list_region_subscriptions(place.tenancy.id).data
    policies = client.list_policies(place.tenancy.id).data

    assert [region.region_name for region in regions] == [REGION, "eu-zurich-1"]
    assert policies[0].statements[0].startswith("Allow dynamic-group osok-nodes to manage service-mesh")


def test_a_vault_and_its_key_come_to_life(server: TenancyServer, place: Place) -> None:
    vaults = client_for(oci.key_management.KmsVaultClient, server, place.signatory)
    details = key_management.CreateVaultDetails(
        compartment_id=place.compartment_id, display_name="v", vault_type="DEFAULT"
    )

    created = vaults.create_vault(details).data
    vault = vaults.get_vault(created.id).data
    config = client_for(oci.key_management.KmsVaultClient, server, place.signatory).base_client.config
    keys = oci.key_management.KmsManagementClient(config, service_endpoint=vault.management_endpoint)
    shape = key_management.KeyShape(algorithm="RSA", length=256)
    key = keys.create_key(
        key_management.CreateKeyDetails(
            compartment_id=place.compartment_id, display_name="k", protection_mode="HSM", key_shape=shape
        )
    ).data

    assert (created.lifecycle_state, vault.lifecycle_state) == ("CREATING", "ACTIVE")
    assert (key.lifecycle_state, keys.get_key(key.id).data.lifecycle_state) == ("CREATING", "ENABLED")
    assert [item.id for item in keys.list_keys(place.compartment_id, algorithm="RSA", length=256).data] == [
        key.id
    ]


def test_a_retry_token_makes_one_object_and_takes_one_body(server: TenancyServer, place: Place) -> None:
    vaults = client_for(oci.key_management.KmsVaultClient, server, place.signatory)

    def create(name: str) -> Untyped:
        details = key_management.CreateVaultDetails(
            compartment_id=place.compartment_id, display_name=name, vault_type="DEFAULT"
        )
        return vaults.create_vault(details, opc_retry_token="once").data

    first, again = create("v"), create("v")

    assert first.id == again.id
    assert refusal(create, "w") == (409, "InvalidatedRetryToken")


def test_a_field_that_the_sdk_does_not_know_is_refused(server: TenancyServer, place: Place) -> None:
    vaults = client_for(oci.key_management.KmsVaultClient, server, place.signatory)

    answer = refusal(vaults.create_vault, {"compartmentId": place.compartment_id, "displayname": "v"})

    assert answer == (400, "InvalidParameter")


def test_identity_is_written_in_the_home_region_only(server: TenancyServer, place: Place) -> None:
    details = identity.CreatePolicyDetails(
        compartment_id=place.tenancy.id, name="p", statements=["Allow any-user to read keys in tenancy"]
    )
    with TenancyServer(server.store, "eu-zurich-1") as abroad:
        refused = refusal(identity_client(abroad, place.signatory).create_policy, details)
    created = identity_client(server, place.signatory).create_policy(details).data

    assert refused == (403, "NotAllowed")
    assert created.statements == ["Allow any-user to read keys in tenancy"]


def test_an_authority_really_issues(server: TenancyServer, place: Place, seeded: Seeded) -> None:
    client = client_for(oci.certificates.CertificatesClient, server, place.signatory)

    bundle = client.get_certificate_bundle(seeded.certificate_id).data
    authority = client.get_certificate_authority_bundle(seeded.authority_id).data

    leaf = x509.load_pem_x509_certificate(bundle.certificate_pem.encode())
    root = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    verifier = (
        PolicyBuilder().store(TrustStore([root])).build_server_verifier(x509.DNSName("v1.api.example.com"))
    )
    assert verifier.verify(leaf, [])[0] == leaf
    assert bundle.cert_chain_pem == authority.certificate_pem


def test_an_authority_signs_a_request_without_seeing_its_key(
    server: TenancyServer, place: Place, seeded: Seeded
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("svc.osok.svc")])
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(names, critical=False)
    )
    pem = csr.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
    client = client_for(oci.certificates_management.CertificatesManagementClient, server, place.signatory)

    created = client.create_certificate(
        certificates.CreateCertificateDetails(
            name="webhook",
            compartment_id=place.compartment_id,
            certificate_config=certificates.CreateCertificateManagedExternallyIssuedByInternalCaConfigDetails(
                issuer_certificate_authority_id=seeded.authority_id, csr_pem=pem
            ),
        )
    ).data
    bundle = (
        client_for(oci.certificates.CertificatesClient, server, place.signatory)
        .get_certificate_bundle(created.id)
        .data
    )

    leaf = x509.load_pem_x509_certificate(bundle.certificate_pem.encode())
    assert leaf.public_key() == key.public_key()


def test_an_authority_keeps_its_rule(server: TenancyServer, place: Place, seeded: Seeded) -> None:
    client = client_for(oci.certificates_management.CertificatesManagementClient, server, place.signatory)
    now = datetime.now(UTC)
    details = certificates.CreateCertificateDetails(
        name="too-long",
        compartment_id=place.compartment_id,
        certificate_config=certificates.CreateCertificateIssuedByInternalCaConfigDetails(
            issuer_certificate_authority_id=seeded.authority_id,
            subject=certificates.CertificateSubject(common_name="a"),
            validity=certificates.Validity(
                time_of_validity_not_before=now, time_of_validity_not_after=now + timedelta(days=91)
            ),
        ),
    )

    assert refusal(client.create_certificate, details) == (400, "InvalidParameter")


def test_the_rule_is_changed_with_the_etag_that_was_read(
    server: TenancyServer, place: Place, seeded: Seeded
) -> None:
    client = client_for(oci.certificates_management.CertificatesManagementClient, server, place.signatory)
    rule = certificates.CertificateAuthorityIssuanceExpiryRule(leaf_certificate_max_validity_duration="P60D")
    details = certificates.UpdateCertificateAuthorityDetails(certificate_authority_rules=[rule])
    read = client.get_certificate_authority(seeded.authority_id)

    stale = refusal(client.update_certificate_authority, seeded.authority_id, details, if_match="stale")
    client.update_certificate_authority(seeded.authority_id, details, if_match=read.headers["etag"])

    rules = client.get_certificate_authority(seeded.authority_id).data.certificate_authority_rules
    assert stale == (412, "NoEtagMatch")
    assert [item.leaf_certificate_max_validity_duration for item in rules] == ["P60D"]


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.THROTTLED, 429), (FaultKind.BROKEN, 500), (FaultKind.NOT_FOUND, 404)]
)
def test_faults_come_as_often_as_they_are_planned(
    server: TenancyServer, place: Place, kind: FaultKind, status: int
) -> None:
    client = identity_client(server, place.signatory)
    server.faults.add(Fault(kind, "/20160918", times=1))

    assert refusal(client.get_tenancy, place.tenancy.id)[0] == status
    assert client.get_tenancy(place.tenancy.id).data.name == "acme"


def test_a_reset_connection_has_no_answer(server: TenancyServer, place: Place) -> None:
    server.faults.add(Fault(FaultKind.RESET, times=1))

    with pytest.raises(oci.exceptions.RequestException):
        identity_client(server, place.signatory).get_tenancy(place.tenancy.id)


def test_the_registrys_namespace_and_token_are_had_with_a_signature(
    server: TenancyServer, place: Place
) -> None:
    client = client_for(oci.object_storage.ObjectStorageClient, server, place.signatory)

    assert client.get_namespace().data == "acmens"


def test_a_person_can_see_the_state(server: TenancyServer, seeded: Seeded) -> None:
    text = dump_text(server.store)

    assert "leaf certificates: P90D" in text
    assert f"gateway                      {seeded.certificate_id}" in text
