"""Creates prerequisites so that doing it again makes no twins.

Bodies hold no time of their own making: the service would refuse a retry token with another body.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.making import TAGS, Recipe, make_once, wait_for_state
from tasks.clients.tenancy.sdk import Untyped, oci
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
)


@dataclass(frozen=True)
class Site:
    """Where things are made.

    Attributes:
        calls: The region of vault, key, authority and certificate.
        home: The home region, which takes changes of IAM.
        compartment_id: The compartment for everything but IAM.
        begun: When the run began: certificates are valid from then on, in every repetition of the run.
    """

    calls: TenancyCalls
    home: TenancyCalls
    compartment_id: str
    begun: datetime


def create_dynamic_group(site: Site, step: CreateDynamicGroup) -> str:
    """Make a dynamic group; gives its OCID."""
    root = site.home.identity.tenancy_id
    details = oci().identity.models.CreateDynamicGroupDetails(
        compartment_id=root,
        name=step.name,
        matching_rule=step.matching_rule,
        description="The nodes that run the OCI Service Operator",
        freeform_tags=TAGS,
    )
    return _identity(site.home, step.name, "dynamic_group", details)


def create_policy(site: Site, step: CreatePolicy) -> str:
    """Make a policy in the root compartment; gives its OCID."""
    details = oci().identity.models.CreatePolicyDetails(
        compartment_id=site.home.identity.tenancy_id,
        name=step.name,
        statements=list(step.statements),
        description="What Service Mesh, Certificates and Vault need",
        freeform_tags=TAGS,
    )
    return _identity(site.home, step.name, "policy", details)


def create_vault(site: Site, step: CreateVault) -> str:
    """Make a vault and wait until it is active; gives its OCID."""
    calls = site.calls
    details = oci().key_management.models.CreateVaultDetails(
        compartment_id=site.compartment_id,
        display_name=step.name,
        vault_type=step.kind.value,
        freeform_tags=TAGS,
    )
    recipe = Recipe(
        kind="vault",
        name=step.name,
        details=details,
        listed=lambda: calls.pages(Service.VAULTS, "list_vaults", site.compartment_id),
        create=lambda token: calls.get(Service.VAULTS, "create_vault", details, opc_retry_token=token),
        read=lambda identifier: calls.get(Service.VAULTS, "get_vault", identifier),
        good="ACTIVE",
    )
    return make_once(calls, recipe)


def create_key(site: Site, step: CreateKey, vault_id: str) -> str:
    """Make a key in a vault and wait until it is enabled; gives its OCID."""
    calls = site.calls
    endpoint = calls.get(Service.VAULTS, "get_vault", vault_id).management_endpoint
    models = oci().key_management.models
    details = models.CreateKeyDetails(
        compartment_id=site.compartment_id,
        display_name=step.name,
        protection_mode="HSM",
        key_shape=models.KeyShape(algorithm="RSA", length=step.bits // 8),
        freeform_tags=TAGS,
    )

    def listed() -> list[Untyped]:
        found = calls.pages(Service.KEYS, "list_keys", site.compartment_id, endpoint=endpoint)
        return [model for model in found if model.vault_id == vault_id]

    recipe = Recipe(
        kind="key",
        name=step.name,
        details=details,
        listed=listed,
        create=lambda token: calls.get(
            Service.KEYS, "create_key", details, opc_retry_token=token, endpoint=endpoint
        ),
        read=lambda identifier: calls.get(Service.KEYS, "get_key", identifier, endpoint=endpoint),
        good="ENABLED",
    )
    return make_once(calls, recipe)


def create_authority(site: Site, step: CreateAuthority, key_id: str) -> str:
    """Make a root authority on a key and wait until it is active; gives its OCID."""
    models = oci().certificates_management.models
    details = models.CreateCertificateAuthorityDetails(
        name=step.name,
        compartment_id=site.compartment_id,
        kms_key_id=key_id,
        freeform_tags=TAGS,
        certificate_authority_config=models.CreateRootCaByGeneratingInternallyConfigDetails(
            subject=models.CertificateSubject(common_name=step.common_name),
            signing_algorithm="SHA256_WITH_RSA",
            validity=_validity(site, step.days),
        ),
        certificate_authority_rules=[_leaf_rule(step.leaf_days, step.days)],
    )
    return _certificates(site, step.name, "certificate_authority", details)


def create_certificate(site: Site, step: CreateCertificate, authority_id: str) -> str:
    """Have a server certificate issued and renewed; gives its OCID."""
    models = oci().certificates_management.models
    names = [models.CertificateSubjectAlternativeName(type="DNS", value=host) for host in step.hosts]
    details = models.CreateCertificateDetails(
        name=step.name,
        compartment_id=site.compartment_id,
        freeform_tags=TAGS,
        certificate_config=models.CreateCertificateIssuedByInternalCaConfigDetails(
            issuer_certificate_authority_id=authority_id,
            certificate_profile_type="TLS_SERVER",
            key_algorithm="ECDSA_P256",
            signature_algorithm="SHA256_WITH_RSA",
            subject=models.CertificateSubject(common_name=step.hosts[0].removeprefix("*.")),
            subject_alternative_names=names,
            validity=_validity(site, step.days),
        ),
        certificate_rules=[
            models.CertificateRenewalRule(
                renewal_interval=f"P{max(1, step.days * 2 // 3)}D",
                advance_renewal_period=f"P{max(1, step.days // 3)}D",
            )
        ],
    )
    return _certificates(site, step.name, "certificate", details)


def raise_leaf_rule(site: Site, step: RaiseLeafRule) -> str:
    """Let an authority issue longer certificates; its other rules stay. Gives its OCID."""
    calls = site.calls
    read = calls.respond(Service.CERTIFICATES, "get_certificate_authority", step.authority_id)
    models = oci().certificates_management.models
    rules = list(read.data.certificate_authority_rules or [])
    expiry = [rule for rule in rules if hasattr(rule, "leaf_certificate_max_validity_duration")]
    for rule in expiry:
        rule.leaf_certificate_max_validity_duration = f"P{step.leaf_days}D"
    details = models.UpdateCertificateAuthorityDetails(
        certificate_authority_rules=rules if expiry else [*rules, _leaf_rule(step.leaf_days)]
    )
    calls.get(
        Service.CERTIFICATES,
        "update_certificate_authority",
        step.authority_id,
        details,
        # The update replaces the whole list of rules, so it has to be the list that was read.
        if_match=read.headers.get("etag"),
    )

    def read_again(identifier: str) -> Untyped:
        return calls.get(Service.CERTIFICATES, "get_certificate_authority", identifier)

    return wait_for_state(calls, "certificate authority", step.authority_id, read_again, "ACTIVE")


def _identity(home: TenancyCalls, name: str, kind: str, details: Untyped) -> str:
    root = home.identity.tenancy_id
    plural = {"policy": "list_policies", "dynamic_group": "list_dynamic_groups"}[kind]
    recipe = Recipe(
        kind=kind.replace("_", " "),
        name=name,
        details=details,
        listed=lambda: home.pages(Service.IDENTITY, plural, root),
        create=lambda token: home.get(Service.IDENTITY, f"create_{kind}", details, opc_retry_token=token),
        read=lambda identifier: home.get(Service.IDENTITY, f"get_{kind}", identifier),
        good="ACTIVE",
    )
    return make_once(home, recipe)


def _certificates(site: Site, name: str, kind: str, details: Untyped) -> str:
    calls = site.calls
    plural = {"certificate": "certificates", "certificate_authority": "certificate_authorities"}[kind]
    recipe = Recipe(
        kind=kind.replace("_", " "),
        name=name,
        details=details,
        listed=lambda: calls.pages(
            Service.CERTIFICATES, f"list_{plural}", compartment_id=site.compartment_id
        ),
        create=lambda token: calls.get(
            Service.CERTIFICATES, f"create_{kind}", details, opc_retry_token=token
        ),
        read=lambda identifier: calls.get(Service.CERTIFICATES, f"get_{kind}", identifier),
        good="ACTIVE",
    )
    return make_once(calls, recipe)


def _validity(site: Site, days: int) -> Untyped:
    start = site.begun.replace(microsecond=0)
    return oci().certificates_management.models.Validity(
        time_of_validity_not_before=start, time_of_validity_not_after=start + timedelta(days=days)
    )


def _leaf_rule(leaf_days: int, authority_days: int | None = None) -> Untyped:
    rule = oci().certificates_management.models.CertificateAuthorityIssuanceExpiryRule(
        leaf_certificate_max_validity_duration=f"P{leaf_days}D"
    )
    if authority_days:
        rule.certificate_authority_max_validity_duration = f"P{authority_days}D"
    return rule
