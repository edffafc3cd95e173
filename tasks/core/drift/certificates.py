"""The webhook's certificate: what is wrong with it, and what ends when (R14, R20–R22)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from tasks.core.certificates.bundles import issuer_in
from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.diagnosis import diagnose
from tasks.core.certificates.findings import CertificateCase, CertificateFinding, CertificateState, Severity
from tasks.core.certificates.olm import MINIMUM_FRESHNESS, OlmReason, OlmRule, is_made_by_olm, rule_of
from tasks.core.certificates.reading import read_certificates
from tasks.core.certificates.renewal import (
    MilestoneKind,
    RenewalPolicy,
    ServedCertificate,
    milestones,
    plan_renewal,
)
from tasks.core.comparison import pointer_segment
from tasks.core.drift.expectation import Limits
from tasks.core.drift.items import DATA, DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.owners import owner_of
from tasks.core.manifests import Manifest, ObjectRef, ref_of

CERTIFICATE_FIELD, KEY_FIELD, TRUST_FIELD = "/data/tls.crt", "/data/tls.key", "/data/olmCAKey"
_LABEL_FIELD = "/metadata/labels/olm.managed"
_ROTATION_FIELD = "/status/certsRotateAt"


class EndKind(StrEnum):
    """What happens on a date of the calendar."""

    LEAF_EXPIRES = "LEAF_EXPIRES"
    ISSUER_EXPIRES = "ISSUER_EXPIRES"
    TRUSTED_CA_EXPIRES = "TRUSTED_CA_EXPIRES"
    """Another CA of the bundle, such as the root or the one before a change."""
    OLM_REPLACES = "OLM_REPLACES"
    OLM_ROTATES = "OLM_ROTATES"
    REQUEST_COLLECTED = "REQUEST_COLLECTED"
    """The cluster collects a request that nobody decided on."""


class CalendarEntry(BaseModel):
    """One date at which something stops working if nobody acts."""

    model_config = DATA

    at: datetime = Field(description="When")
    kind: EndKind = Field(description="What happens")
    subject: str = Field(description="To which certificate or object")


@dataclass(frozen=True)
class CertificateView:
    """The certificate of a cluster and what belongs to it.

    Attributes:
        secret: The Secret as the API server returned it, its key left out.
        csv: The operator's ClusterServiceVersion, None without one.
        state: What the diagnosis looks at.
        olm_version: The running OLM.
        rotates_at: csv.status.certsRotateAt.
        authorities: The CA that should have issued it; empty: any.
        webhooks: Webhook configurations by their description in findings.
    """

    secret: Manifest | None = field(repr=False)
    csv: Manifest | None = field(repr=False)
    secret_ref: ObjectRef
    state: CertificateState
    olm_version: str
    rotates_at: datetime | None = None
    authorities: tuple[Certificate, ...] = ()
    webhooks: Mapping[str, Manifest] = field(default_factory=dict)

    @property
    def leaf(self) -> Certificate | None:
        """The certificate that is served."""
        return self.state.secret.leaf if self.state.secret else None

    @property
    def trust(self) -> tuple[Certificate, ...]:
        """The certificates of olmCAKey."""
        return read_certificates(self.state.secret.trust) if self.state.secret else ()

    @property
    def made_by_olm(self) -> bool:
        """Whether it is OLM's own certificate, which OLM looks after."""
        return is_made_by_olm(self.leaf)

    @property
    def kept_by_olm(self) -> bool:
        """Whether OLM makes a new one in time by itself."""
        return self.made_by_olm and rule_of(self.olm_version) is OlmRule.VERIFICATION


def check_certificate(view: CertificateView) -> Iterator[DriftItem]:
    """What the diagnosis finds in Secret, chain and endpoints; caBundles are compared as fields elsewhere."""
    for finding in diagnose(view.state):
        if finding.case is not CertificateCase.CA_BUNDLE_STALE:
            yield _item(view, finding)
    leaf = view.leaf
    if leaf and view.authorities and issuer_in(view.authorities, leaf) is None:
        names = ", ".join(f"`{one.subject}`" for one in view.authorities)
        yield _secret_item(
            view,
            DriftKind.CHANGED,
            CERTIFICATE_FIELD,
            (f"a certificate by {names}", f"certificate {leaf.serial} by `{leaf.issuer}`"),
            DriftSeverity.CRITICAL,
        )


def calendar_of(view: CertificateView) -> tuple[CalendarEntry, ...]:
    """Every date of the certificate, the first one first."""
    leaf, trust = view.leaf, view.trust
    if leaf is None:
        return ()
    served = ServedCertificate(leaf, trust, view.olm_version, view.rotates_at)
    entries = [
        CalendarEntry(at=one.at, kind=EndKind(one.kind.value), subject=one.subject)
        for one in milestones(served)
        if not (view.made_by_olm and one.kind in (MilestoneKind.OLM_REPLACES, MilestoneKind.OLM_ROTATES))
    ]
    issuer = issuer_in(trust, leaf)
    entries += [
        CalendarEntry(at=one.not_after, kind=EndKind.TRUSTED_CA_EXPIRES, subject=f"CA {one.subject}")
        for one in trust
        if issuer is None or one.der != issuer.der
    ]
    return tuple(sorted(entries, key=lambda entry: entry.at))


def check_dates(view: CertificateView, limits: Limits) -> Iterator[DriftItem]:
    """What ends within the limits, and a renewal that is due."""
    leaf, now = view.leaf, view.state.now
    if leaf is None:
        return
    if view.kept_by_olm:
        # It is OLM's to renew; a day before the end it has not.
        limits = Limits(MINIMUM_FRESHNESS, MINIMUM_FRESHNESS)
    fields = {
        EndKind.LEAF_EXPIRES: CERTIFICATE_FIELD,
        EndKind.ISSUER_EXPIRES: TRUST_FIELD,
        EndKind.TRUSTED_CA_EXPIRES: TRUST_FIELD,
    }
    for entry in calendar_of(view):
        left = entry.at - now
        if entry.kind in fields and left <= limits.warn:
            severity = DriftSeverity.CRITICAL if left <= limits.critical else DriftSeverity.WARNING
            if entry.kind is EndKind.TRUSTED_CA_EXPIRES:
                severity = DriftSeverity.NOTE
            texts = (f"more than {limits.warn.days} days left", f"{entry.subject} {_ends(entry.at, now)}")
            yield _secret_item(view, DriftKind.EXPIRING, fields[entry.kind], texts, severity)
    yield from _rotation(view, limits)
    if not view.made_by_olm:
        yield from _renewal(view, leaf, limits)


def _rotation(view: CertificateView, limits: Limits) -> Iterator[DriftItem]:
    """On OLM before 0.29.0 the day on which it throws somebody's own certificate away."""
    due, now = view.rotates_at, view.state.now
    by_date = rule_of(view.olm_version) is OlmRule.ROTATION_DATE
    if due is None or view.csv is None or view.made_by_olm or not by_date or due - now > limits.warn:
        return
    metadata = view.csv["metadata"]
    yield DriftItem(
        kind=DriftKind.EXPIRING,
        ref=ObjectRef(view.csv["apiVersion"], view.csv["kind"], metadata["name"], metadata["namespace"]),
        field=_ROTATION_FIELD,
        expected=f"more than {limits.warn.days} days until OLM rotates",
        found=f"OLM replaces the certificate: {_ends(due, now)}",
        owner=owner_of(view.csv, _ROTATION_FIELD),
        severity=DriftSeverity.CRITICAL if due - now <= limits.critical else DriftSeverity.WARNING,
    )


def _renewal(view: CertificateView, leaf: Certificate, limits: Limits) -> Iterator[DriftItem]:
    now = view.state.now
    served = ServedCertificate(leaf, view.trust, view.olm_version, view.rotates_at)
    renewal = plan_renewal(served, RenewalPolicy())
    if renewal.due <= now < leaf.not_after - limits.warn:
        found = f"renewal is due since {renewal.due:%Y-%m-%d}; certificate {_ends(leaf.not_after, now)}"
        texts = ("renewed after two thirds of its life", found)
        yield _secret_item(view, DriftKind.EXPIRING, CERTIFICATE_FIELD, texts, DriftSeverity.NOTE)


def _ends(at: datetime, now: datetime) -> str:
    left = at - now
    when = f"in {left.days} days" if left > timedelta(0) else f"{-left.days} days ago"
    return f"ends {at:%Y-%m-%d}, {when}" if left > timedelta(0) else f"ended {at:%Y-%m-%d}, {when}"


_KINDS: Mapping[CertificateCase, DriftKind] = {
    CertificateCase.SECRET_MISSING: DriftKind.MISSING,
    CertificateCase.LEAF_NOT_CURRENT: DriftKind.EXPIRING,
    CertificateCase.CHAIN_NOT_CURRENT: DriftKind.EXPIRING,
    CertificateCase.ENDPOINT_SILENT: DriftKind.UNREACHABLE,
    CertificateCase.API_SERVER_REFUSES: DriftKind.UNREACHABLE,
}
_SEVERITIES = {
    Severity.BROKEN: DriftSeverity.CRITICAL,
    Severity.WILL_BREAK: DriftSeverity.WARNING,
    Severity.NOTE: DriftSeverity.NOTE,
}


def _item(view: CertificateView, finding: CertificateFinding) -> DriftItem:
    kind = _KINDS.get(finding.case, DriftKind.CHANGED)
    severity, texts = _SEVERITIES[finding.severity], (finding.expected, finding.found)
    if finding.case is CertificateCase.OLM_WILL_REPLACE:
        reason = view.state.prediction.reason
        if reason is OlmReason.LABEL_MISSING:
            return _secret_item(view, DriftKind.MISSING, _LABEL_FIELD, texts, severity)
        return _secret_item(view, kind, TRUST_FIELD, texts, severity)
    if finding.case is CertificateCase.CERT_MANAGER_CLAIM:
        return _claim(view.webhooks[finding.subject], finding, severity)
    if finding.case is CertificateCase.SECRET_MISSING:
        return _secret_item(view, kind, "", texts, severity)
    for entry, pointer in (("tls.crt", CERTIFICATE_FIELD), ("tls.key", KEY_FIELD), ("olmCAKey", TRUST_FIELD)):
        if finding.subject.endswith(f", {entry}"):
            return _secret_item(view, kind, pointer, texts, severity)
    return DriftItem(
        kind=kind,
        ref=_subject(view, finding),
        expected=finding.expected,
        found=f"{finding.case}: {finding.found}",
        severity=severity,
    )


def _claim(live: Manifest, finding: CertificateFinding, severity: DriftSeverity) -> DriftItem:
    """An annotation by which cert-manager writes a caBundle that OLM writes too."""
    name = finding.found.partition(":")[0]
    pointer = f"/metadata/annotations/{pointer_segment(name)}"
    return DriftItem(
        kind=DriftKind.CONTESTED,
        ref=ref_of(live),
        field=pointer,
        expected=finding.expected,
        found=finding.found,
        owner=owner_of(live, pointer),
        severity=severity,
    )


def _subject(view: CertificateView, finding: CertificateFinding) -> ObjectRef:
    """The object that a finding beyond the Secret is about."""
    configuration = view.webhooks.get(finding.subject.partition(",")[0])
    if configuration is not None:
        return ref_of(configuration)
    service = finding.subject.removeprefix("Service ").partition(",")[0]
    known = view.state.target.services
    return ObjectRef("v1", "Service", service if service in known else known[0], view.state.target.namespace)


def _secret_item(
    view: CertificateView, kind: DriftKind, pointer: str, texts: tuple[str, str], severity: DriftSeverity
) -> DriftItem:
    known = view.secret is not None and pointer and kind is not DriftKind.MISSING
    expected, found = texts
    return DriftItem(
        kind=kind,
        ref=view.secret_ref,
        field=pointer,
        expected=expected,
        found=found,
        owner=owner_of(view.secret, pointer) if view.secret is not None and known else None,
        severity=severity,
    )
