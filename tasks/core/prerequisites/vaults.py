"""R24 and R25: the vault and the HSM key of the certificate authority."""

from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.objects import UNKNOWN_VALUE, Kind, Lifecycle, check_state, not_read
from tasks.core.prerequisites.readings import KeyFacts, NotSeen, Unread, VaultFacts

VAULT = Kind(CheckGroup.VAULT, "R24", "vault", "inspect vaults")
KEY = Kind(CheckGroup.VAULT, "R25", "key", "inspect keys")

_WAIT = "Wait until it is ready, then check again."
_RECREATE = "Create another one (flow create-prerequisites)."
_VAULT_STATES = Lifecycle(
    "ACTIVE",
    frozenset({"UPDATING", "BACKUP_IN_PROGRESS", "CANCELLING_DELETION"}),
    {"CREATING": _WAIT, "RESTORING": _WAIT, "DELETING": _RECREATE, "DELETED": _RECREATE},
)
_KEY_STATES = Lifecycle(
    "ENABLED",
    frozenset({"UPDATING", "BACKUP_IN_PROGRESS", "CANCELLING_DELETION"}),
    {
        "CREATING": _WAIT,
        "ENABLING": _WAIT,
        "RESTORING": _WAIT,
        "DISABLING": "Enable the key.",
        "DISABLED": "Enable the key.",
        "DELETING": _RECREATE,
        "DELETED": _RECREATE,
    },
)
_RSA_BYTES = {256: 2048, 512: 4096}
"""The lengths that the runbook names: bytes as OCI gives them, bits as people say them."""


def check_vault(reading: VaultFacts | NotSeen | Unread) -> tuple[Finding, ...]:
    """R24: the vault is active, of a usable kind and not about to be deleted."""
    if not isinstance(reading, VaultFacts):
        return (not_read(VAULT, reading),)
    evidence = f"{reading.name} ({reading.id}): {reading.lifecycle_state}, {reading.vault_type}"
    state = check_state(VAULT, _VAULT_STATES, evidence, reading.lifecycle_state, _deletion(reading))
    return (state, _check_vault_type(reading, evidence), *_twins(VAULT, reading, evidence))


def check_key(reading: KeyFacts | NotSeen | Unread) -> tuple[Finding, ...]:
    """R25: the key is enabled, lies in the HSM, is RSA 2048 or 4096 and has a current version."""
    if not isinstance(reading, KeyFacts):
        return (not_read(KEY, reading),)
    evidence = (
        f"{reading.name} ({reading.id}): {reading.lifecycle_state}, {reading.protection_mode}, "
        f"{reading.algorithm} {reading.length_bytes * 8}"
    )
    return (
        check_state(KEY, _KEY_STATES, evidence, reading.lifecycle_state, _deletion(reading)),
        _check_protection(reading, evidence),
        _check_shape(reading, evidence),
        _check_version(reading, evidence),
        *_twins(KEY, reading, evidence),
    )


def _check_vault_type(vault: VaultFacts, evidence: str) -> Finding:
    check = Check(CheckGroup.VAULT, "R24", "vault: kind", evidence)
    match vault.vault_type:
        case "DEFAULT" | "VIRTUAL_PRIVATE":
            return check.passed()
        case "EXTERNAL":
            return check.failed(
                "keys of an external vault cannot be used by a certificate authority",
                "Use a vault of the kind DEFAULT.",
            )
        case _:
            return check.unknown(
                f"the kind {vault.vault_type} is not known to this version", "Look at it in the OCI console."
            )


def _check_protection(key: KeyFacts, evidence: str) -> Finding:
    check = Check(CheckGroup.VAULT, "R25", "key: protection", evidence)
    if key.protection_mode == "HSM":
        return check.passed()
    if key.protection_mode == UNKNOWN_VALUE:
        return check.unknown("the protection mode is not known to this version", "Look at it in the console.")
    return check.failed(
        f"its protection mode is {key.protection_mode}, and it cannot be changed",
        "Create a key with protection mode HSM (flow create-prerequisites).",
    )


def _check_shape(key: KeyFacts, evidence: str) -> Finding:
    check = Check(CheckGroup.VAULT, "R25", "key: algorithm and length", evidence)
    if key.algorithm == "RSA" and key.length_bytes in _RSA_BYTES:
        return check.passed()
    return check.failed(
        f"it is {key.algorithm} with {key.length_bytes * 8} bits, not RSA with 2048 or 4096",
        "Create an RSA key of 2048 or 4096 bits (flow create-prerequisites).",
    )


def _check_version(key: KeyFacts, evidence: str) -> Finding:
    check = Check(CheckGroup.VAULT, "R25", "key: current version", f"{evidence}, {key.current_version}")
    if key.current_version:
        return check.passed()
    return check.failed("it has no current version", "Create a key version.")


def _deletion(reading: VaultFacts | KeyFacts) -> str:
    return f"on {reading.time_of_deletion:%Y-%m-%d}" if reading.time_of_deletion else ""


def _twins(kind: Kind, reading: VaultFacts | KeyFacts, evidence: str) -> tuple[Finding, ...]:
    if not reading.twins:
        return ()
    check = Check(kind.group, kind.runbook, f"{kind.name}: name", evidence)
    reason = f"{reading.twins} more usable with the same name, and display names are not unique"
    return (check.warned(reason, f"Name the {kind.name} by its OCID."),)
