"""Makes the authority and the gateway's certificate through the SDK, as an administrator would."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import oci
from oci.certificates_management import models as sdk

from deployments.rehearsal.tenancy.models import Model
from deployments.rehearsal.tenancy.server import TenancyServer
from deployments.rehearsal.tenancy.world import Place, Signatory, add_key, add_vault

Untyped = Any
"""A client class of the SDK, or one of its methods."""

HOSTS = ("shop.example.com", "*.api.example.com")


@dataclass(frozen=True)
class Seed:
    """What the authority is made with.

    Attributes:
        leaf_validity: The rule's longest validity of leaf certificates, ISO 8601; empty for no rule.
        authority_days: How long the authority lives.
        certificate_days: How long the gateway's certificate lives.
    """

    leaf_validity: str = "P90D"
    authority_days: int = 3650
    certificate_days: int = 30


@dataclass(frozen=True)
class Seeded:
    """The OCIDs of what was made."""

    vault_id: str
    key_id: str
    authority_id: str
    certificate_id: str


def seed(server: TenancyServer, place: Place, wanted: Seed | None = None) -> Seeded:
    """A vault and a key as the store's own objects, the authority and the certificate through the SDK."""
    wanted = wanted or Seed()
    vault = add_vault(server.store, place, server.region, server.url)
    key = add_key(server.store, place, vault)
    client = client_for(oci.certificates_management.CertificatesManagementClient, server, place.signatory)
    authority = client.create_certificate_authority(_authority(server, place, key.model.id, wanted)).data
    certificate = client.create_certificate(_certificate(server, place, authority.id, wanted)).data
    _wait(client.get_certificate, certificate.id)
    return Seeded(vault.model.id, key.model.id, authority.id, certificate.id)


def client_for(kind: Untyped, server: TenancyServer, signatory: Signatory) -> Untyped:
    """One of the SDK's clients for a server, signing as a user of it."""
    config = {
        "tenancy": signatory.tenancy_id,
        "user": signatory.user_id,
        "fingerprint": signatory.fingerprint,
        "region": server.region,
        "key_content": signatory.private_key_pem,
    }
    return kind(config, service_endpoint=server.url, retry_strategy=oci.retry.NoneRetryStrategy())


def _authority(server: TenancyServer, place: Place, key_id: str, wanted: Seed) -> Model:
    now = server.store.clock()
    rule = sdk.CertificateAuthorityIssuanceExpiryRule(
        leaf_certificate_max_validity_duration=wanted.leaf_validity,
        certificate_authority_max_validity_duration="P3650D",
    )
    return sdk.CreateCertificateAuthorityDetails(
        name="mesh",
        compartment_id=place.compartment_id,
        kms_key_id=key_id,
        certificate_authority_config=sdk.CreateRootCaByGeneratingInternallyConfigDetails(
            subject=sdk.CertificateSubject(common_name="Rehearsal Mesh Root"),
            signing_algorithm="SHA256_WITH_RSA",
            validity=sdk.Validity(
                time_of_validity_not_before=now - timedelta(hours=1),
                time_of_validity_not_after=now + timedelta(days=wanted.authority_days),
            ),
        ),
        certificate_authority_rules=[rule] if wanted.leaf_validity else [],
    )


def _certificate(server: TenancyServer, place: Place, authority_id: str, wanted: Seed) -> Model:
    now = server.store.clock()
    return sdk.CreateCertificateDetails(
        name="gateway",
        compartment_id=place.compartment_id,
        certificate_config=sdk.CreateCertificateIssuedByInternalCaConfigDetails(
            issuer_certificate_authority_id=authority_id,
            certificate_profile_type="TLS_SERVER",
            key_algorithm="ECDSA_P256",
            signature_algorithm="SHA256_WITH_RSA",
            subject=sdk.CertificateSubject(common_name=HOSTS[0]),
            subject_alternative_names=[
                sdk.CertificateSubjectAlternativeName(type="DNS", value=host) for host in HOSTS
            ],
            validity=sdk.Validity(
                time_of_validity_not_before=now,
                time_of_validity_not_after=now + timedelta(days=wanted.certificate_days),
            ),
        ),
        certificate_rules=[
            sdk.CertificateRenewalRule(renewal_interval="P20D", advance_renewal_period="P10D")
        ],
    )


def _wait(read: Untyped, identifier: str) -> None:
    while read(identifier).data.lifecycle_state == "CREATING":
        time.sleep(0.05)
