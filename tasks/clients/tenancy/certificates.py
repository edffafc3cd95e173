"""Certificates Management: authorities and certificates with their current versions."""

from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.lookup import Candidate, Lookup, find
from tasks.clients.tenancy.making import wait_for_state
from tasks.clients.tenancy.sdk import Untyped
from tasks.core.errors import TenancyError
from tasks.core.prerequisites.readings import AuthorityFacts, CertificateFacts, NotSeen, Unread

_EXPIRY_RULE = "CERTIFICATE_AUTHORITY_ISSUANCE_EXPIRY_RULE"
_RENEWAL_RULE = "CERTIFICATE_RENEWAL_RULE"
_PASSING = frozenset({"CREATING", "UPDATING", "CANCELLING_DELETION"})
"""States of an authority that become ACTIVE by themselves; PENDING_ACTIVATION waits for a person."""
_KEY_ELSEWHERE = "ROOT_CA_MANAGED_EXTERNALLY"


def find_authority(
    calls: TenancyCalls, compartment_id: str, wanted: str
) -> AuthorityFacts | NotSeen | Unread:
    """A certificate authority by OCID or by its name in a compartment."""

    def read_all() -> list[Candidate]:
        return _candidates(calls, "list_certificate_authorities", compartment_id)

    def read_one(identifier: str, _twins: int) -> AuthorityFacts:
        model = calls.get(Service.CERTIFICATES, "get_certificate_authority", identifier)
        return _authority_facts(model)

    return find(Lookup("certificate authority", wanted, compartment_id, read_all, read_one))


def find_certificate(
    calls: TenancyCalls, compartment_id: str, wanted: str
) -> CertificateFacts | NotSeen | Unread:
    """A certificate by OCID or by its name in a compartment."""

    def read_all() -> list[Candidate]:
        return _candidates(calls, "list_certificates", compartment_id)

    def read_one(identifier: str, _twins: int) -> CertificateFacts:
        return _certificate_facts(calls.get(Service.CERTIFICATES, "get_certificate", identifier))

    return find(Lookup("certificate", wanted, compartment_id, read_all, read_one))


def require_authority(calls: TenancyCalls, authority_id: str) -> AuthorityFacts:
    """An authority that can issue now; one that is being changed is waited for.

    Raises:
        TenancyNotFoundError: It is absent, or this identity may not see it.
        TenancyError: It is not ACTIVE, was revoked, or its key is outside OCI.
    """

    def read(identifier: str) -> Untyped:
        return calls.get(Service.CERTIFICATES, "get_certificate_authority", identifier)

    model = read(authority_id)
    if model.lifecycle_state in _PASSING:
        wait_for_state(calls, "certificate authority", authority_id, read, "ACTIVE")
        model = read(authority_id)
    facts = _authority_facts(model)
    if fault := _unable(facts):
        raise TenancyError(
            "use the certificate authority",
            f"{facts.name} ({authority_id})",
            "one that is ACTIVE, not revoked, and whose key is in OCI",
            fault,
            "Bring it in order in the OCI console (R26), or name another one in the authority's block.",
        )
    return facts


def _unable(facts: AuthorityFacts) -> str:
    if facts.lifecycle_state != "ACTIVE":
        details = f": {facts.lifecycle_details}" if facts.lifecycle_details else ""
        return f"the state {facts.lifecycle_state}{details}"
    if facts.revoked:
        return "one whose current version is revoked"
    return f"the kind {facts.config_type}" if facts.config_type == _KEY_ELSEWHERE else ""


def _candidates(calls: TenancyCalls, operation: str, compartment_id: str) -> list[Candidate]:
    models = calls.pages(Service.CERTIFICATES, operation, compartment_id=compartment_id)
    return [Candidate(model.id, model.name, model.lifecycle_state) for model in models]


def _authority_facts(model: Untyped) -> AuthorityFacts:
    version = model.current_version
    validity = version.validity if version else None
    rules = model.certificate_authority_rules or []
    expiry = [rule.leaf_certificate_max_validity_duration for rule in rules if rule.rule_type == _EXPIRY_RULE]
    return AuthorityFacts(
        id=model.id,
        name=model.name,
        lifecycle_state=model.lifecycle_state,
        lifecycle_details=model.lifecycle_details or "",
        config_type=model.config_type,
        key_id=model.kms_key_id or "",
        signing_algorithm=model.signing_algorithm or "",
        leaf_validity=next((value for value in expiry if value), None),
        not_before=validity.time_of_validity_not_before if validity else None,
        not_after=validity.time_of_validity_not_after if validity else None,
        revoked=bool(version and version.revocation_status),
        unknown_rules=tuple(rule.rule_type for rule in rules if rule.rule_type != _EXPIRY_RULE),
    )


def _certificate_facts(model: Untyped) -> CertificateFacts:
    version = model.current_version
    validity = version.validity if version else None
    names = (version.subject_alternative_names or []) if version else []
    renewals = [
        (rule.renewal_interval, rule.advance_renewal_period)
        for rule in model.certificate_rules or []
        if rule.rule_type == _RENEWAL_RULE
    ]
    return CertificateFacts(
        id=model.id,
        name=model.name,
        lifecycle_state=model.lifecycle_state,
        lifecycle_details=model.lifecycle_details or "",
        profile=model.certificate_profile_type or "",
        config_type=model.config_type,
        issuer_id=model.issuer_certificate_authority_id or "",
        common_name=model.subject.common_name if model.subject else "",
        host_names=tuple(name.value for name in names if name.type == "DNS"),
        stages=tuple(version.stages or []) if version else (),
        not_before=validity.time_of_validity_not_before if validity else None,
        not_after=validity.time_of_validity_not_after if validity else None,
        revoked=bool(version and version.revocation_status),
        renewal=renewals[0] if renewals else None,
    )
