"""R27: the certificate that clients of the ingress gateway see."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from tasks.core.errors import InputError
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.host_names import uncovered_hosts
from tasks.core.prerequisites.objects import UNKNOWN_VALUE, Kind, Lifecycle, check_state, not_read
from tasks.core.prerequisites.periods import shortest_length
from tasks.core.prerequisites.readings import CertificateFacts, NotSeen, Unread

CERTIFICATE = Kind(CheckGroup.CERTIFICATE, "R27", "certificate", "inspect leaf-certificates")
SOON = timedelta(days=14)
"""With this much left the certificate counts as about to expire (WARN)."""

_RENEW = "Renew the certificate."
_RECREATE = "Create another one (flow create-prerequisites)."
_STATES = Lifecycle(
    "ACTIVE",
    frozenset({"UPDATING", "CANCELLING_DELETION"}),
    {
        "CREATING": "Wait until it is ready, then check again.",
        "FAILED": "Read the reason in the OCI console, then create another one.",
        "DELETING": _RECREATE,
        "DELETED": _RECREATE,
    },
)
_SERVER_PROFILES = frozenset({"TLS_SERVER", "TLS_SERVER_OR_CLIENT"})


def check_certificate(
    reading: CertificateFacts | NotSeen | Unread, hosts: Sequence[str], now: datetime
) -> tuple[Finding, ...]:
    """R27: active, current, for servers, covering the gateway's hosts, renewed in time."""
    if not isinstance(reading, CertificateFacts):
        return (not_read(CERTIFICATE, reading),)
    evidence = f"{reading.name} ({reading.id})"
    state = reading.lifecycle_state
    return (
        check_state(CERTIFICATE, _STATES, f"{evidence}: {state}", state, reading.lifecycle_details),
        _check_version(reading, evidence),
        _check_profile(reading, evidence),
        check_hosts(evidence, _names(reading), hosts),
        check_days_left(evidence, reading.not_before, reading.not_after, now),
        _check_renewal(reading, evidence),
    )


def check_hosts(evidence: str, names: Sequence[str], hosts: Sequence[str]) -> Finding:
    """Whether the names of a certificate cover all hosts."""
    check = _check("host names", f"{evidence}: {', '.join(names) or 'no names'}")
    missing = uncovered_hosts(hosts, names)
    if missing:
        return check.failed(f"it does not cover {', '.join(missing)}", "Issue it with these names.")
    if not hosts:
        return check.unknown("no hosts were named", "Name the hosts that clients use for the gateway.")
    return check.passed()


def check_days_left(
    evidence: str, not_before: datetime | None, not_after: datetime | None, now: datetime
) -> Finding:
    """Whether a certificate is valid now and for a while."""
    if not_before is None or not_after is None:
        check = _check("days left", f"{evidence}: no validity")
        return check.unknown("its validity was not read", "Look at it in the OCI console.")
    check = _check("days left", f"{evidence}: {not_before:%Y-%m-%d} to {not_after:%Y-%m-%d}")
    if now < not_before:
        return check.failed("it is not valid yet", "Wait, or issue it again.")
    if now >= not_after:
        return check.failed("it has expired", _RENEW)
    left = not_after - now
    if left <= SOON:
        return check.warned(f"{left / timedelta(days=1):.0f} days left", _RENEW)
    return check.passed()


def _check(name: str, evidence: str) -> Check:
    return Check(CheckGroup.CERTIFICATE, "R27", f"certificate: {name}", evidence)


def _names(certificate: CertificateFacts) -> tuple[str, ...]:
    # RFC 9525 section 2: the common name is no host name where subject alternative names exist.
    return certificate.host_names or (certificate.common_name,)


def _check_version(certificate: CertificateFacts, evidence: str) -> Finding:
    check = _check("current version", f"{evidence}: {', '.join(certificate.stages) or 'no stages'}")
    if certificate.revoked:
        return check.failed("its current version is revoked", _RENEW)
    if "CURRENT" not in certificate.stages:
        return check.failed("no version is current", "Make a version of the certificate current.")
    return check.passed()


def _check_profile(certificate: CertificateFacts, evidence: str) -> Finding:
    check = _check("profile", f"{evidence}: {certificate.profile}")
    if certificate.profile in _SERVER_PROFILES:
        return check.passed()
    if certificate.profile in ("", UNKNOWN_VALUE):
        return check.unknown("its profile says nothing about servers", "Check its extended key usage.")
    return check.failed("it is not for servers", "Issue it with the profile TLS_SERVER.")


def _check_renewal(certificate: CertificateFacts, evidence: str) -> Finding:
    if certificate.renewal is None:
        check = _check("renewal", f"{evidence}: no rule")
        return check.warned("it is not renewed by itself", "Add a renewal rule, or renew it in time.")
    interval, advance = certificate.renewal
    check = _check("renewal", f"{evidence}: every {interval}, {advance} before the end")
    try:
        too_late = shortest_length(advance) >= shortest_length(interval)
    except InputError as error:
        return check.unknown(f"{error}", "Look at its rules in the OCI console.")
    if too_late:
        return check.warned("it would be renewed before it begins", "Shorten the advance renewal period.")
    return check.passed()
