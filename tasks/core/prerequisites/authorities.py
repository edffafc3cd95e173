"""R26: the certificate authority that signs the mesh's certificates."""

from datetime import datetime, timedelta

from tasks.core.errors import InputError
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.objects import UNKNOWN_VALUE, Kind, Lifecycle, check_state, not_read
from tasks.core.prerequisites.periods import shortest_length
from tasks.core.prerequisites.readings import AuthorityFacts, NotSeen, Unread

AUTHORITY = Kind(CheckGroup.AUTHORITY, "R26", "certificate authority", "inspect certificate-authority-family")
LEAF_VALIDITY = timedelta(days=45)
"""The runbook's least "maximum validity for certificates": the mesh asks for 45 days and renews after 30."""
_MARGIN = timedelta(days=30)

_WAIT = "Wait until it is ready, then check again."
_RECREATE = "Create another one (flow create-prerequisites)."
_STATES = Lifecycle(
    "ACTIVE",
    frozenset({"UPDATING", "CANCELLING_DELETION"}),
    {
        "CREATING": _WAIT,
        "PENDING_ACTIVATION": "Import the signed certificate of the authority.",
        "FAILED": "Let the authority use its key (IAM group Vault), then create another one.",
        "DELETING": _RECREATE,
        "DELETED": _RECREATE,
    },
)


def check_authority(
    reading: AuthorityFacts | NotSeen | Unread, key_id: str, now: datetime
) -> tuple[Finding, ...]:
    """R26: active, on the vault's key, leaf validity of 45 days or more, living longer, not revoked.

    Args:
        reading: What was read.
        key_id: The OCID of the key of R25; empty when that was not read.
        now: The time of the check.
    """
    if not isinstance(reading, AuthorityFacts):
        return (not_read(AUTHORITY, reading),)
    evidence = f"{reading.name} ({reading.id})"
    state = reading.lifecycle_state
    return (
        check_state(AUTHORITY, _STATES, f"{evidence}: {state}", state, reading.lifecycle_details),
        _check_kind(reading, evidence),
        _check_key(reading, evidence, key_id),
        _check_leaf_rule(reading, evidence),
        _check_lifetime(reading, evidence, now),
        _check_revocation(reading, evidence),
        _check_algorithm(reading, evidence),
    )


def _check(name: str, evidence: str) -> Check:
    return Check(CheckGroup.AUTHORITY, "R26", f"certificate authority: {name}", evidence)


def _check_kind(authority: AuthorityFacts, evidence: str) -> Finding:
    check = _check("kind", f"{evidence}: {authority.config_type}")
    if authority.config_type == UNKNOWN_VALUE:
        return check.unknown("its kind is not known to this version", "Look at it in the OCI console.")
    if "MANAGED_EXTERNALLY" in authority.config_type:
        return check.failed("it is managed outside OCI and cannot sign", "Use an authority managed by OCI.")
    return check.passed()


def _check_key(authority: AuthorityFacts, evidence: str, key_id: str) -> Finding:
    check = _check("key", f"{evidence}: key {authority.key_id or 'none'}")
    if not key_id:
        return check.unknown("the key of R25 was not read", "See the finding about the key.")
    if authority.key_id == key_id:
        return check.passed()
    return check.failed(
        f"it does not use the key {key_id}", "Name the key that it uses, or create an authority on this key."
    )


def _check_leaf_rule(authority: AuthorityFacts, evidence: str) -> Finding:
    check = _check("validity of certificates", f"{evidence}: {authority.leaf_validity or 'no rule'}")
    if authority.leaf_validity is None:
        if authority.unknown_rules:
            rules = ", ".join(authority.unknown_rules)
            return check.unknown(f"its rules {rules} are not known to this version", _RAISE)
        return check.warned("it has no rule about the validity of certificates", _RAISE)
    try:
        validity = shortest_length(authority.leaf_validity)
    except InputError as error:
        return check.unknown(f"{error}", _RAISE)
    if validity < LEAF_VALIDITY:
        reason = f"{authority.leaf_validity} is {_days(validity)} at its shortest, less than 45 days"
        return check.failed(reason, _RAISE)
    if validity == LEAF_VALIDITY:
        return check.warned("exactly 45 days leave no margin for the mesh's 45-day certificates", _RAISE)
    return check.passed()


_RAISE = "Set the authority's maximum validity for certificates to 90 days (P90D)."


def _check_lifetime(authority: AuthorityFacts, evidence: str, now: datetime) -> Finding:
    if authority.not_before is None or authority.not_after is None:
        check = _check("lifetime", f"{evidence}: no validity of a current version")
        return check.unknown("the current version shows no validity", "Look at it in the OCI console.")
    check = _check("lifetime", f"{evidence}: until {authority.not_after:%Y-%m-%d}")
    left = authority.not_after - now
    if authority.not_before > now:
        return check.failed(f"it is valid only from {authority.not_before:%Y-%m-%d}", "Wait, or renew it.")
    if left <= LEAF_VALIDITY:
        return check.failed(f"{_days(left)} left, less than a certificate of 45 days needs", "Renew it.")
    if left <= LEAF_VALIDITY + _MARGIN:
        return check.warned(f"{_days(left)} left", "Renew the authority soon.")
    return check.passed()


def _check_revocation(authority: AuthorityFacts, evidence: str) -> Finding:
    check = _check("revocation", evidence)
    if authority.revoked:
        return check.failed("its current version is revoked", "Renew the authority.")
    return check.passed()


def _check_algorithm(authority: AuthorityFacts, evidence: str) -> Finding:
    check = _check("signing algorithm", f"{evidence}: {authority.signing_algorithm}")
    match authority.signing_algorithm.partition("_WITH_"):
        case ("SHA256" | "SHA384" | "SHA512", _, "RSA"):
            return check.passed()
        case (_, _, "ECDSA"):
            return check.failed("an RSA key cannot sign with ECDSA", "Create an authority on the RSA key.")
        case _:
            return check.unknown("it is not known to this version", "Look at it in the OCI console.")


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):.0f} days"
