"""Certificates Management: authorities and certificates, really issued, and their public bundles."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from cryptography import x509
from oci.certificates import models as bundles
from oci.certificates_management import models as sdk

from deployments.rehearsal.tenancy.answers import Answer, Listing, RefusedError, Request, Route
from deployments.rehearsal.tenancy.issuing import (
    AuthorityWish,
    Issued,
    Issuer,
    Names,
    Period,
    issue_for_hosts,
    issue_for_request,
    make_authority,
    pem_of,
)
from deployments.rehearsal.tenancy.models import Model, decode, encode, summary
from deployments.rehearsal.tenancy.store import Entry, Store, Tenancy
from tasks.core.prerequisites.periods import shortest_length

_PACKAGE = "certificates_management"
_BASE = "/20210224"
_DEFAULT_LEAF = timedelta(days=90)
_DEFAULT_AUTHORITY = timedelta(days=3650)
_EXPIRY_RULE = "CERTIFICATE_AUTHORITY_ISSUANCE_EXPIRY_RULE"
_ISSUANCE_RULE = "CERTIFICATE_AUTHORITY_ISSUANCE_RULE"


class CertificatesService:
    """The operations of Certificates that the product uses.

    Args:
        store: The tenancies.
        region: The region that this address speaks for.
    """

    def __init__(self, store: Store, region: str) -> None:
        self._store = store
        self._region = region

    def routes(self) -> list[Route]:
        """All operations with their paths."""
        return [
            Route("GET", f"{_BASE}/certificateAuthorities", self._list_authorities),
            Route("GET", f"{_BASE}/certificateAuthorities/{{id}}", self._get_authority),
            Route("POST", f"{_BASE}/certificateAuthorities", self._create_authority),
            Route("PUT", f"{_BASE}/certificateAuthorities/{{id}}", self._update_authority),
            Route("GET", f"{_BASE}/certificates", self._list_certificates),
            Route("GET", f"{_BASE}/certificates/{{id}}", self._get_certificate),
            Route("POST", f"{_BASE}/certificates", self._create_certificate),
            Route("GET", f"{_BASE}/certificateBundles/{{id}}", self._get_bundle),
            Route("GET", f"{_BASE}/certificateAuthorityBundles/{{id}}", self._get_authority_bundle),
        ]

    def _list_authorities(self, request: Request) -> Listing:
        return self._list(request, "CertificateAuthority", "certificateAuthorityId")

    def _list_certificates(self, request: Request) -> Listing:
        return self._list(request, "Certificate", "certificateId")

    def _list(self, request: Request, kind: str, id_parameter: str) -> Listing:
        compartment, identifier = request.query.get("compartmentId"), request.query.get(id_parameter)
        name, state = request.query.get("name"), request.query.get("lifecycleState")
        entries = self._store.all(self._store.tenancy_of(request), kind, self._region)
        chosen = [
            entry.model
            for entry in entries
            if (not compartment or entry.model.compartment_id == compartment)
            and (not identifier or entry.model.id == identifier)
            and (not name or entry.model.name == name)
            and (not state or entry.model.lifecycle_state == state)
        ]
        return Listing([encode(_PACKAGE, _summary(kind, model)) for model in chosen], wrapped=True)

    def _get_authority(self, request: Request) -> Answer:
        return _full(self._store.get(self._tenancy(request), "CertificateAuthority", request.path["id"]))

    def _get_certificate(self, request: Request) -> Answer:
        return _full(self._store.get(self._tenancy(request), "Certificate", request.path["id"]))

    def _create_authority(self, request: Request) -> Answer:
        return self._store.once(request, lambda: self._new_authority(request))

    def _new_authority(self, request: Request) -> Answer:
        tenancy = self._tenancy(request)
        details = decode(_PACKAGE, "CreateCertificateAuthorityDetails", request.body)
        self._refuse_taken_name(tenancy, "CertificateAuthority", details)
        key = self._store.get(tenancy, "Key", details.kms_key_id)
        if key.model.lifecycle_state != "ENABLED":
            raise RefusedError(409, "IncorrectState", "the key is not enabled")
        config = details.certificate_authority_config
        parent = self._issuer(tenancy, getattr(config, "issuer_certificate_authority_id", None))
        authority = _authority_model(details, self._store.new_id("certificateauthority", self._region))
        authority.time_created = self._store.clock()
        wish = AuthorityWish(
            config.subject.common_name,
            self._period(config.validity, _DEFAULT_AUTHORITY),
            key.model.key_shape.length * 8,
            authority.signing_algorithm,
            parent,
            _allowed_names(authority),
        )
        issuer = make_authority(wish)
        authority.current_version = self._version(
            sdk.CertificateAuthorityVersionSummary(certificate_authority_id=authority.id), issuer.certificate
        )
        entry = self._store.put_settling(tenancy, "CertificateAuthority", authority, "ACTIVE")
        entry.private = issuer
        return _full(entry)

    def _update_authority(self, request: Request) -> Answer:
        tenancy = self._tenancy(request)
        entry = self._store.get(tenancy, "CertificateAuthority", request.path["id"])
        wanted = request.headers.get("if-match")
        if wanted and wanted != _etag(entry.model):
            raise RefusedError(412, "NoEtagMatch", "the authority was changed meanwhile")
        details = decode(_PACKAGE, "UpdateCertificateAuthorityDetails", request.body)
        if details.certificate_authority_rules is not None:
            entry.model.certificate_authority_rules = details.certificate_authority_rules
        entry.model.lifecycle_state = "UPDATING"
        self._store.change_later(entry, "ACTIVE")
        return _full(entry)

    def _create_certificate(self, request: Request) -> Answer:
        return self._store.once(request, lambda: self._new_certificate(request))

    def _new_certificate(self, request: Request) -> Answer:
        tenancy = self._tenancy(request)
        details = decode(_PACKAGE, "CreateCertificateDetails", request.body)
        self._refuse_taken_name(tenancy, "Certificate", details)
        config = details.certificate_config
        authority = self._store.get(
            tenancy, "CertificateAuthority", config.issuer_certificate_authority_id or ""
        )
        if authority.model.lifecycle_state not in ("ACTIVE", "CREATING", "UPDATING"):
            raise RefusedError(400, "InvalidParameter", "the certificate authority is not active")
        period = self._period(config.validity, _DEFAULT_LEAF)
        _refuse_too_long(authority.model, period)
        issued = self._issue(config, authority.private, period)
        certificate = _certificate_model(details, self._store.new_id("certificate", self._region))
        certificate.time_created = self._store.clock()
        certificate.current_version = self._version(
            sdk.CertificateVersionSummary(certificate_id=certificate.id), issued.certificate
        )
        certificate.current_version.subject_alternative_names = _names(issued.certificate)
        entry = self._store.put_settling(tenancy, "Certificate", certificate, "ACTIVE")
        entry.private = issued
        return _full(entry)

    def _issue(self, config: Model, issuer: Issuer, period: Period) -> Issued:
        if config.config_type == "MANAGED_EXTERNALLY_ISSUED_BY_INTERNAL_CA":
            return _issue_for_request(issuer, config.csr_pem, period)
        if config.config_type == "ISSUED_BY_INTERNAL_CA":
            hosts = [name.value for name in config.subject_alternative_names or []]
            return issue_for_hosts(issuer, config.subject.common_name, hosts, period)
        raise RefusedError(400, "InvalidParameter", f"{config.config_type} is not rehearsed")

    def _get_bundle(self, request: Request) -> Answer:
        entry = self._store.get(self._tenancy(request), "Certificate", request.path["id"])
        issued: Issued = entry.private
        version = entry.model.current_version
        bundle = bundles.CertificateBundlePublicOnly(
            certificate_bundle_type="CERTIFICATE_CONTENT_PUBLIC_ONLY",
            certificate_id=entry.model.id,
            certificate_name=entry.model.name,
            certificate_pem=pem_of(issued.certificate),
            cert_chain_pem=issued.chain_pem,
            serial_number=version.serial_number,
            version_number=version.version_number,
            stages=version.stages,
            time_created=version.time_created,
        )
        return Answer(encode("certificates", bundle))

    def _get_authority_bundle(self, request: Request) -> Answer:
        entry = self._store.get(self._tenancy(request), "CertificateAuthority", request.path["id"])
        issuer: Issuer = entry.private
        version = entry.model.current_version
        bundle = bundles.CertificateAuthorityBundle(
            certificate_authority_id=entry.model.id,
            certificate_authority_name=entry.model.name,
            certificate_pem=pem_of(issuer.certificate),
            cert_chain_pem=issuer.chain_pem,
            serial_number=version.serial_number,
            version_number=version.version_number,
            stages=version.stages,
            time_created=version.time_created,
        )
        return Answer(encode("certificates", bundle))

    def _tenancy(self, request: Request) -> Tenancy:
        return self._store.tenancy_of(request)

    def _issuer(self, tenancy: Tenancy, identifier: str | None) -> Issuer | None:
        if not identifier:
            return None
        issuer: Issuer = self._store.get(tenancy, "CertificateAuthority", identifier).private
        return issuer

    def _refuse_taken_name(self, tenancy: Tenancy, kind: str, details: Model) -> None:
        for entry in self._store.all(tenancy, kind, self._region):
            same = (entry.model.compartment_id, entry.model.name) == (details.compartment_id, details.name)
            if same and entry.model.lifecycle_state != "DELETED":
                raise RefusedError(409, "InvalidParameter", f"the name {details.name} is taken")

    def _period(self, validity: Model, default: timedelta) -> Period:
        now = self._store.clock().replace(microsecond=0)
        start = getattr(validity, "time_of_validity_not_before", None) or now
        end = getattr(validity, "time_of_validity_not_after", None) or start + default
        return Period(start, end)

    def _version(self, version: Model, certificate: x509.Certificate) -> Model:
        version.serial_number = f"{certificate.serial_number:X}"
        version.version_number = 1
        version.stages = ["CURRENT", "LATEST"]
        version.time_created = self._store.clock()
        version.validity = sdk.Validity(
            time_of_validity_not_before=certificate.not_valid_before_utc,
            time_of_validity_not_after=certificate.not_valid_after_utc,
        )
        return version


def _authority_model(details: Model, identifier: str) -> Model:
    config = details.certificate_authority_config
    return sdk.CertificateAuthority(
        id=identifier,
        name=details.name,
        compartment_id=details.compartment_id,
        kms_key_id=details.kms_key_id,
        config_type=config.config_type,
        signing_algorithm=config.signing_algorithm or "SHA256_WITH_RSA",
        subject=config.subject,
        issuer_certificate_authority_id=getattr(config, "issuer_certificate_authority_id", None),
        certificate_authority_rules=details.certificate_authority_rules or [],
        freeform_tags=details.freeform_tags,
        lifecycle_state="CREATING",
    )


def _certificate_model(details: Model, identifier: str) -> Model:
    config = details.certificate_config
    return sdk.Certificate(
        id=identifier,
        name=details.name,
        compartment_id=details.compartment_id,
        issuer_certificate_authority_id=config.issuer_certificate_authority_id,
        config_type=config.config_type,
        certificate_profile_type=getattr(config, "certificate_profile_type", None),
        subject=getattr(config, "subject", None),
        certificate_rules=details.certificate_rules or [],
        freeform_tags=details.freeform_tags,
        lifecycle_state="CREATING",
    )


def _full(entry: Entry) -> Answer:
    return Answer(encode(_PACKAGE, entry.model), headers={"etag": _etag(entry.model)})


def _etag(model: Model) -> str:
    rules: Iterable[Any] = getattr(model, "certificate_authority_rules", None) or []
    return f"{model.id}-{len(list(rules))}-{model.lifecycle_state}"


def _summary(kind: str, model: Model) -> Model:
    return summary(_PACKAGE, f"{kind}Summary", model, current_version_summary="current_version")


def _issue_for_request(issuer: Issuer, csr_pem: str, period: Period) -> Issued:
    try:
        return issue_for_request(issuer, x509.load_pem_x509_csr(csr_pem.encode()), period)
    except ValueError as error:
        raise RefusedError(400, "InvalidParameter", f"csrPem: {error}") from error


def _allowed_names(authority: Model) -> Names:
    """The DNS subtrees of the authority's issuance rule."""
    rules = [rule for rule in authority.certificate_authority_rules if rule.rule_type == _ISSUANCE_RULE]
    constraint = next((rule.name_constraint for rule in rules if rule.name_constraint), None)
    if constraint is None:
        return Names()
    permitted, excluded = constraint.permitted_subtree or [], constraint.excluded_subtree or []
    return Names(
        tuple(node.value for node in permitted if node.type == "DNS"),
        tuple(node.value for node in excluded if node.type == "DNS"),
    )


def _names(certificate: x509.Certificate) -> list[Model]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [
        sdk.CertificateSubjectAlternativeName(type="DNS", value=value)
        for value in names.get_values_for_type(x509.DNSName)
    ]


def _refuse_too_long(authority: Model, period: Period) -> None:
    longest = [
        shortest_length(rule.leaf_certificate_max_validity_duration)
        for rule in authority.certificate_authority_rules
        if rule.rule_type == _EXPIRY_RULE and rule.leaf_certificate_max_validity_duration
    ]
    end: datetime = authority.current_version.validity.time_of_validity_not_after
    if period.not_after > end or any(period.not_after - period.not_before > limit for limit in longest):
        raise RefusedError(400, "InvalidParameter", "the validity is longer than the authority allows")
