"""Creates prerequisites so that doing it again makes no twins: look, create with a retry token, wait.

The retry token is made of what is created, so that a request whose answer was lost is answered with the same
object. Bodies hold no time of their own making: the service would refuse the token with another body.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.errors import TenancyConflictError
from tasks.clients.tenancy.sdk import Untyped, oci
from tasks.core.errors import TenancyError
from tasks.core.prerequisites.objects import LEAVING
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
)

_TAGS = {"managed-by": "osok-fleet"}
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_ENDED_BADLY = frozenset({"FAILED", "DELETED", "DELETING"}) | LEAVING


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


@dataclass(frozen=True)
class _Recipe:
    """How one kind of object is made once.

    Attributes:
        kind: Its name in messages.
        name: The wanted name.
        details: The request's body.
        listed: Lists what is there: models with a name, a state and an id.
        create: Sends the request with a retry token and gives the model.
        read: Reads the object by OCID.
        good: The state to wait for.
    """

    kind: str
    name: str
    details: Untyped
    listed: Callable[[], Iterable[Untyped]]
    create: Callable[[str], Untyped]
    read: Callable[[str], Untyped]
    good: str


def create_dynamic_group(site: Site, step: CreateDynamicGroup) -> str:
    """Make a dynamic group; gives its OCID."""
    root = site.home.identity.tenancy_id
    details = oci().identity.models.CreateDynamicGroupDetails(
        compartment_id=root,
        name=step.name,
        matching_rule=step.matching_rule,
        description="The nodes that run the OCI Service Operator",
        freeform_tags=_TAGS,
    )
    return _identity(site.home, step.name, "dynamic_group", details)


def create_policy(site: Site, step: CreatePolicy) -> str:
    """Make a policy in the root compartment; gives its OCID."""
    details = oci().identity.models.CreatePolicyDetails(
        compartment_id=site.home.identity.tenancy_id,
        name=step.name,
        statements=list(step.statements),
        description="What Service Mesh, Certificates and Vault need",
        freeform_tags=_TAGS,
    )
    return _identity(site.home, step.name, "policy", details)


def create_vault(site: Site, step: CreateVault) -> str:
    """Make a vault and wait until it is active; gives its OCID."""
    calls = site.calls
    details = oci().key_management.models.CreateVaultDetails(
        compartment_id=site.compartment_id,
        display_name=step.name,
        vault_type=step.kind.value,
        freeform_tags=_TAGS,
    )
    recipe = _Recipe(
        kind="vault",
        name=step.name,
        details=details,
        listed=lambda: calls.pages(Service.VAULTS, "list_vaults", site.compartment_id),
        create=lambda token: calls.get(Service.VAULTS, "create_vault", details, opc_retry_token=token),
        read=lambda identifier: calls.get(Service.VAULTS, "get_vault", identifier),
        good="ACTIVE",
    )
    return _made(calls, recipe)


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
        freeform_tags=_TAGS,
    )

    def listed() -> list[Untyped]:
        found = calls.pages(Service.KEYS, "list_keys", site.compartment_id, endpoint=endpoint)
        return [model for model in found if model.vault_id == vault_id]

    recipe = _Recipe(
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
    return _made(calls, recipe)


def create_authority(site: Site, step: CreateAuthority, key_id: str) -> str:
    """Make a root authority on a key and wait until it is active; gives its OCID."""
    models = oci().certificates_management.models
    details = models.CreateCertificateAuthorityDetails(
        name=step.name,
        compartment_id=site.compartment_id,
        kms_key_id=key_id,
        freeform_tags=_TAGS,
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
        freeform_tags=_TAGS,
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

    return _wait(calls, "certificate authority", step.authority_id, read_again, "ACTIVE")


def _identity(home: TenancyCalls, name: str, kind: str, details: Untyped) -> str:
    root = home.identity.tenancy_id
    plural = {"policy": "list_policies", "dynamic_group": "list_dynamic_groups"}[kind]
    recipe = _Recipe(
        kind=kind.replace("_", " "),
        name=name,
        details=details,
        listed=lambda: home.pages(Service.IDENTITY, plural, root),
        create=lambda token: home.get(Service.IDENTITY, f"create_{kind}", details, opc_retry_token=token),
        read=lambda identifier: home.get(Service.IDENTITY, f"get_{kind}", identifier),
        good="ACTIVE",
    )
    return _made(home, recipe)


def _certificates(site: Site, name: str, kind: str, details: Untyped) -> str:
    calls = site.calls
    plural = {"certificate": "certificates", "certificate_authority": "certificate_authorities"}[kind]
    recipe = _Recipe(
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
    return _made(calls, recipe)


def _made(calls: TenancyCalls, recipe: _Recipe) -> str:
    identifier = _present(recipe)
    if identifier is None:
        # The SDK shows a model as JSON with sorted keys, so the same body gives the same token.
        token = hashlib.sha256(f"{recipe.kind}/{recipe.details}".encode()).hexdigest()
        try:
            identifier = recipe.create(token).id
        except TenancyConflictError:
            # The name is taken: somebody, or this run's lost request, was faster.
            identifier = _present(recipe)
            if identifier is None:
                raise
    return _wait(calls, recipe.kind, identifier, recipe.read, recipe.good)


def _present(recipe: _Recipe) -> str | None:
    """The OCID of the object that bears the name already.

    Raises:
        TenancyError: It is on its way out; another one of the same name would be its twin.
    """
    named = [model for model in recipe.listed() if _name(model) == recipe.name]
    alive = [model for model in named if model.lifecycle_state not in _ENDED_BADLY]
    if alive:
        return str(alive[0].id)
    leaving = [model for model in named if model.lifecycle_state in LEAVING]
    if leaving:
        raise TenancyError(
            f"create a {recipe.kind}",
            recipe.name,
            "no other of that name",
            f"{leaving[0].id} in {leaving[0].lifecycle_state}",
            "Cancel its deletion, or choose another name.",
        )
    return None


def _name(model: Untyped) -> str:
    return str(getattr(model, "display_name", None) or getattr(model, "name", ""))


def _wait(calls: TenancyCalls, kind: str, identifier: str, read: Callable[[str], Untyped], good: str) -> str:
    pause = _FIRST_PAUSE
    while True:
        model = read(identifier)
        if model.lifecycle_state == good:
            return identifier
        if model.lifecycle_state in _ENDED_BADLY:
            details = getattr(model, "lifecycle_details", None) or ""
            raise TenancyError(
                f"wait for the {kind}",
                identifier,
                good,
                f"{model.lifecycle_state} {details}".strip(),
                "Read the reason in the OCI console; a missing right to use the key is the usual one.",
            )
        calls.pause(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


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
