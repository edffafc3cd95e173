"""What a certificate is to contain: the recommended profile, and the documented one to compare with.

Runbook R12, R13, R17. The page's own values are kept so that tests and documentation can show what they do;
they are refused for publishing with the measured reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tasks.core.certificates.keys import KeySpec
from tasks.core.certificates.names import WebhookTarget, check_common_name
from tasks.core.errors import CertificateError

DOCUMENTED_COMMON_NAME = "kube.operator.cert"
DOCUMENTED_VALIDITY = timedelta(hours=876_000)
DEFAULT_VALIDITY = timedelta(days=397)


class CertificateProfile(StrEnum):
    """Whose values a certificate follows."""

    RECOMMENDED = "RECOMMENDED"
    """Six names, 397 days, key usage by key type: the API server and every OLM accept it."""
    DOCUMENTED = "DOCUMENTED"
    """The page literally: two names, 876000 hours, key encipherment with an ECDSA key."""


class Usage(StrEnum):
    """The usages of a Kubernetes CSR that this product asks for, in the API's spelling."""

    DIGITAL_SIGNATURE = "digital signature"
    KEY_ENCIPHERMENT = "key encipherment"
    SERVER_AUTH = "server auth"


@dataclass(frozen=True)
class CertificatePlan:
    """What one certificate is to contain.

    Attributes:
        profile: Where the values come from.
        target: The Services that it is for.
        key_spec: The key's type and strength.
        dns_names: Its subject alternative names.
        usages: What the key may be used for.
        validity: The wished lifetime; the issuer's end shortens it.
        common_name: The subject's common name, for people only.
    """

    profile: CertificateProfile
    target: WebhookTarget
    key_spec: KeySpec
    dns_names: tuple[str, ...]
    usages: tuple[Usage, ...]
    validity: timedelta
    common_name: str = DOCUMENTED_COMMON_NAME

    def __post_init__(self) -> None:
        """Refuse values that no certificate can have."""
        check_common_name(self.common_name)
        if self.validity <= timedelta(0):
            raise CertificateError("plan a certificate", "", "a positive lifetime", str(self.validity))


def recommended_plan(
    target: WebhookTarget,
    key_spec: KeySpec = KeySpec.ECDSA_P256,
    validity: timedelta = DEFAULT_VALIDITY,
    common_name: str = DOCUMENTED_COMMON_NAME,
) -> CertificatePlan:
    """The certificate that works: every name of every Service, and only the usages that the key can have."""
    return CertificatePlan(
        profile=CertificateProfile.RECOMMENDED,
        target=target,
        key_spec=key_spec,
        dns_names=target.dns_names,
        usages=usages_for(key_spec),
        validity=validity,
        common_name=common_name,
    )


def documented_plan(target: WebhookTarget) -> CertificatePlan:
    """The certificate of the page: only the `…svc.cluster.local` name of each Service, for 100 years."""
    return CertificatePlan(
        profile=CertificateProfile.DOCUMENTED,
        target=target,
        key_spec=KeySpec.ECDSA_P256,
        dns_names=tuple(
            f"{service}.{target.namespace}.svc.{target.cluster_domain}" for service in target.services
        ),
        usages=(Usage.DIGITAL_SIGNATURE, Usage.KEY_ENCIPHERMENT, Usage.SERVER_AUTH),
        validity=DOCUMENTED_VALIDITY,
    )


def usages_for(key_spec: KeySpec) -> tuple[Usage, ...]:
    """The usages of a server certificate: an ECDSA key enciphers nothing (RFC 8813 section 3)."""
    if key_spec.is_ecdsa:
        return (Usage.DIGITAL_SIGNATURE, Usage.SERVER_AUTH)
    return (Usage.DIGITAL_SIGNATURE, Usage.KEY_ENCIPHERMENT, Usage.SERVER_AUTH)


def check_publishable(plan: CertificatePlan) -> None:
    """Refuse a plan whose certificate the API server or OLM would not accept.

    Raises:
        CertificateError: A name is missing; the message quotes what the API server was measured to answer.
    """
    missing = missing_names(plan.target, plan.dns_names)
    if plan.profile is CertificateProfile.DOCUMENTED or missing:
        has = ", ".join(plan.dns_names)
        raise CertificateError(
            "publish this certificate",
            f"profile {plan.profile}",
            f"the DNS names {', '.join(plan.target.dns_names)}",
            f"only {has}, to which the API server answers `x509: certificate is valid for {has}, "
            f"not {plan.target.server_names[0]}`, and which OLM 0.29.0 and later replaces within seconds",
            f"Use the profile {CertificateProfile.RECOMMENDED}.",
        )


def missing_names(target: WebhookTarget, dns_names: Sequence[str]) -> tuple[str, ...]:
    """The names of a target that a certificate lacks."""
    return tuple(name for name in target.dns_names if name not in dns_names)
