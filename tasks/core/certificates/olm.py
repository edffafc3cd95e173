"""Will OLM keep this Secret? Its own rule, per version, as a pure function.

Sources: operator-lifecycle-manager pkg/controller/install/certresources.go and pkg/controller/operators/olm/
operator.go, v0.20.0 and v0.46.0. What was measured on real control planes agrees:

- 0.20.0 looks at no date and no name: it keeps the Secret until csv.status.certsRotateAt, if it sees it.
- 0.29.0 and later look at the Secret at every sync: first PEM block of olmCAKey and of tls.crt, both current
  and more than 24 hours from their end, the leaf issued directly by that CA for three names, for serverAuth.
  They never look at tls.key.
- Both see only Secrets with the label `olm.managed: "true"`; one that they do not see they overwrite.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from packaging.version import InvalidVersion, Version

from tasks.core.certificates.certificate import Certificate
from tasks.core.certificates.names import WebhookTarget
from tasks.core.certificates.pem import decode_blocks
from tasks.core.certificates.reading import read_certificate
from tasks.core.certificates.verification import verify_chain
from tasks.core.errors import CertificateError
from tasks.core.manifests import Manifest

MANAGED_LABEL = "olm.managed"
CA_HASH_ANNOTATION = "olmcahash"
CA_KEY = "olmCAKey"
TLS_TYPE = "kubernetes.io/tls"
MINIMUM_FRESHNESS = timedelta(hours=24)

_SELF_SIGNED = "CN=olm-selfsigned-"
_ORGANIZATION = "O=Red Hat, Inc."
_FIRST_STUDIED = Version("0.20.0")
_FIRST_THAT_VERIFIES = Version("0.29.0")
_FIRST_THAT_KEEPS_THE_SERVICE = Version("0.28.0")
"""From there on OLM applies the Service; before, it deletes and recreates it at every reinstall."""


def is_made_by_olm(leaf: Certificate | None) -> bool:
    """Whether OLM issued a certificate, as far as its issuer's name tells.

    OLM makes a CA for each install. Its common name starts with `olm-selfsigned-`; before 0.29.0 it has the
    organization alone (certs.go).
    """
    return leaf is not None and (_SELF_SIGNED in leaf.issuer or leaf.issuer == _ORGANIZATION)


def expected_target(target: WebhookTarget, leaf: Certificate | None, issued: bytes) -> WebhookTarget:
    """The Services that a served certificate has to name: OLM's own names the one that OLM makes alone.

    Args:
        target: All Services of the operator, OLM's first.
        leaf: What is served.
        issued: The certificate that was issued to a request of ours: while there is one, it should serve.
    """
    if is_made_by_olm(leaf) and not issued:
        return WebhookTarget(target.namespace, target.services[:1])
    return target


class OlmAction(StrEnum):
    """What OLM does with the Secret."""

    KEEP = "KEEP"
    REPLACE = "REPLACE"
    """It writes its own CA and certificate over it."""


class OlmReason(StrEnum):
    """Why."""

    REUSED = "REUSED"
    SECRET_MISSING = "SECRET_MISSING"  # noqa: S105 - a reason, not a password
    LABEL_MISSING = "LABEL_MISSING"
    CA_KEY_MISSING = "CA_KEY_MISSING"
    CERTIFICATE_MISSING = "CERTIFICATE_MISSING"
    CA_MALFORMED = "CA_MALFORMED"
    CERTIFICATE_MALFORMED = "CERTIFICATE_MALFORMED"
    CA_NOT_FRESH = "CA_NOT_FRESH"
    """Not current, or within 24 hours of its end."""
    CERTIFICATE_NOT_FRESH = "CERTIFICATE_NOT_FRESH"
    NOT_VERIFIED = "NOT_VERIFIED"
    """The first CA does not vouch for the leaf under one of the three names."""
    ROTATION_DUE = "ROTATION_DUE"
    """csv.status.certsRotateAt has passed."""


class OlmMoment(StrEnum):
    """When OLM would act."""

    NEVER = "NEVER"
    NEXT_SYNC = "NEXT_SYNC"
    """Within seconds of a change, within five minutes without one."""
    NEXT_INSTALL = "NEXT_INSTALL"
    """When the CSV passes through InstallReady again: a reinstall, an upgrade, a lost pod."""


class OlmWarning(StrEnum):
    """What OLM does not see although it matters later."""

    TYPE_NOT_TLS = "TYPE_NOT_TLS"
    """The type of a Secret cannot be changed: the day OLM wants to replace it, the CSV fails for ever."""
    DATES_NOT_CHECKED = "DATES_NOT_CHECKED"
    """OLM before 0.29.0 keeps an expired certificate: the pipeline has to rotate by the dates itself."""


@dataclass(frozen=True)
class Prediction:
    """What OLM will do with a Secret.

    Attributes:
        action: Keep or replace.
        reason: Why.
        moment: When it would replace it.
        message: The reason in words, with the names and dates that decided.
        keeps_until: Until when it is kept if nothing changes; None when it is not kept or no date is known.
        warnings: What OLM does not look at.
    """

    action: OlmAction
    reason: OlmReason
    moment: OlmMoment
    message: str
    keeps_until: datetime | None = None
    warnings: tuple[OlmWarning, ...] = ()


class OlmRule(StrEnum):
    """Which of the two rules a version follows."""

    ROTATION_DATE = "ROTATION_DATE"
    """0.20.0 to 0.28: only csv.status.certsRotateAt counts."""
    VERIFICATION = "VERIFICATION"
    """0.29.0 and later: the certificates count."""


def recreates_service(version: str) -> bool:
    """Whether a version of OLM deletes the operator's Service for a moment when it installs it anew."""
    return Version(version) < _FIRST_THAT_KEEPS_THE_SERVICE


def rule_of(version: str) -> OlmRule:
    """Which rule a version of OLM follows.

    Args:
        version: With or without the `v` in front.

    Raises:
        CertificateError: It is no version, or older than 0.20.0, whose rule was not studied.
    """
    try:
        parsed = Version(version)
    except InvalidVersion as error:
        raise CertificateError("predict what OLM does", f"OLM {version}", "a version", version) from error
    if parsed < _FIRST_STUDIED:
        raise CertificateError(
            "predict what OLM does", f"OLM {version}", f"{_FIRST_STUDIED} or later", version, "Upgrade OLM."
        )
    return OlmRule.VERIFICATION if parsed >= _FIRST_THAT_VERIFIES else OlmRule.ROTATION_DATE


def predict_olm(
    secret: Manifest | None,
    csv_status: Mapping[str, Any],
    hosts: Sequence[str],
    olm_version: str,
    now: datetime,
) -> Prediction:
    """Predict whether OLM keeps a webhook's Secret as it is.

    Args:
        secret: The Secret object `<service>-cert`, or None when there is none.
        csv_status: The status of the ClusterServiceVersion, empty before there is one.
        hosts: The names that OLM looks for (`WebhookTarget.olm_hosts`).
        olm_version: The running version.
        now: The time, aware.

    Raises:
        CertificateError: The version is not one whose rule is known.
    """
    rule = rule_of(olm_version)
    watched = OlmMoment.NEXT_SYNC if rule is OlmRule.VERIFICATION else OlmMoment.NEXT_INSTALL
    if secret is None:
        return _replaced(OlmReason.SECRET_MISSING, watched, "there is no Secret: OLM makes its own")
    metadata = secret.get("metadata") or {}
    if (metadata.get("labels") or {}).get(MANAGED_LABEL) != "true":
        text = f'without the label {MANAGED_LABEL}: "true" OLM does not see the Secret and overwrites it'
        return _replaced(OlmReason.LABEL_MISSING, watched, text)
    if rule is OlmRule.ROTATION_DATE:
        prediction = _by_rotation_date(secret, csv_status, now)
    else:
        prediction = _by_verification(secret, hosts, now)
    return _with_warnings(prediction, secret, rule)


def rotation_date(csv_status: Mapping[str, Any]) -> datetime | None:
    """csv.status.certsRotateAt, None without one."""
    value = csv_status.get("certsRotateAt")
    return datetime.fromisoformat(value).astimezone(UTC) if isinstance(value, str) and value else None


def secret_entry(secret: Manifest, key: str) -> bytes | None:
    """One decoded entry of a Secret's data, None without it.

    Raises:
        CertificateError: It is not base64; the API server never returns such a thing.
    """
    value = (secret.get("data") or {}).get(key)
    if value is None:
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise CertificateError("read a Secret", key, "base64", "something else") from error


def _by_rotation_date(secret: Manifest, csv_status: Mapping[str, Any], now: datetime) -> Prediction:
    due = rotation_date(csv_status)
    if due is not None and due < now:
        text = f"csv.status.certsRotateAt {due.isoformat()} has passed"
        return _replaced(OlmReason.ROTATION_DUE, OlmMoment.NEXT_SYNC, text)
    if secret_entry(secret, CA_KEY) is None:
        text = f"the Secret has no {CA_KEY}"
        return _replaced(OlmReason.CA_KEY_MISSING, OlmMoment.NEXT_INSTALL, text)
    until = f" until {due.isoformat()}" if due else ""
    text = f"this version looks at no certificate: it keeps the Secret{until}"
    return Prediction(OlmAction.KEEP, OlmReason.REUSED, OlmMoment.NEVER, text, due)


def _by_verification(secret: Manifest, hosts: Sequence[str], now: datetime) -> Prediction:
    trust, served = secret_entry(secret, CA_KEY), secret_entry(secret, "tls.crt")
    authority, leaf = _first(trust), _first(served)
    if authority is None or leaf is None:
        reason, text = next(_entry_faults(trust, served))
        return _replaced(reason, OlmMoment.NEXT_SYNC, text)
    for reason, text in _certificate_faults(authority, leaf, hosts, now):
        return _replaced(reason, OlmMoment.NEXT_SYNC, text)
    until = min(authority.not_after, leaf.not_after) - MINIMUM_FRESHNESS
    text = f"issued for all names by the first CA of {CA_KEY}: kept until {until.isoformat()}"
    return Prediction(OlmAction.KEEP, OlmReason.REUSED, OlmMoment.NEVER, text, until)


def _entry_faults(trust: bytes | None, served: bytes | None) -> Iterator[tuple[OlmReason, str]]:
    if trust is None:
        yield OlmReason.CA_KEY_MISSING, f"the Secret has no {CA_KEY}"
    if served is None:
        yield OlmReason.CERTIFICATE_MISSING, "the Secret has no tls.crt"
    if _first(trust) is None:
        yield OlmReason.CA_MALFORMED, f"the first PEM block of {CA_KEY} is no certificate"
    else:
        yield OlmReason.CERTIFICATE_MALFORMED, "the first PEM block of tls.crt is no certificate"


def _certificate_faults(
    authority: Certificate, leaf: Certificate, hosts: Sequence[str], now: datetime
) -> Iterator[tuple[OlmReason, str]]:
    if reason := _not_fresh(authority, now):
        yield OlmReason.CA_NOT_FRESH, f"the CA `{authority.subject}` {reason}"
    if reason := _not_fresh(leaf, now):
        yield OlmReason.CERTIFICATE_NOT_FRESH, f"the certificate {reason}"
    for host in hosts:
        verdict = verify_chain([leaf], [authority], host, now)
        if not verdict.valid:
            yield OlmReason.NOT_VERIFIED, f"for {host} under `{authority.subject}`: {verdict.message}"


def _first(pem: bytes | None) -> Certificate | None:
    """What OLM's PEMToCert returns: the first block, whatever its label says."""
    blocks = decode_blocks(pem or b"")
    try:
        return read_certificate(blocks[0].content) if blocks else None
    except CertificateError:
        return None


def _not_fresh(certificate: Certificate, now: datetime) -> str:
    """OLM's Active and CalculateCertRotatesAt: strictly inside its life, not after a day before its end."""
    start, end = certificate.not_before, certificate.not_after
    if now <= start:
        return f"is not valid before {start.isoformat()}"
    if now >= end:
        return f"has expired at {end.isoformat()}"
    if now > end - MINIMUM_FRESHNESS:
        return f"ends within 24 hours, at {end.isoformat()}"
    return ""


def _with_warnings(prediction: Prediction, secret: Manifest, rule: OlmRule) -> Prediction:
    warnings = {
        OlmWarning.TYPE_NOT_TLS: secret.get("type") != TLS_TYPE,
        OlmWarning.DATES_NOT_CHECKED: rule is OlmRule.ROTATION_DATE,
    }
    shown = tuple(warning for warning, applies in warnings.items() if applies)
    return replace(prediction, warnings=shown)


def _replaced(reason: OlmReason, moment: OlmMoment, message: str) -> Prediction:
    return Prediction(OlmAction.REPLACE, reason, moment, message)
