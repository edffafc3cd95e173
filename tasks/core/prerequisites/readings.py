"""What was read from OCI, as facts without the SDK, and what reading can end in instead."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class NotSeen:
    """An object that the caller did not see. OCI answers 404 for "absent" and for "not permitted" alike.

    Attributes:
        what: What was looked for, as in `the vault mesh-vault`.
        searched: Where, as in `the compartment ocid1…`.
        visible: How many objects of that kind the caller did see there: the second look. Above zero, the
            caller may list them, so the object is absent; at zero nothing is decided; None when the
            list was refused too.
    """

    what: str
    searched: str
    visible: int | None


@dataclass(frozen=True)
class Unread:
    """An object that could not be read because the service gave no usable answer, or refused the list."""

    what: str
    reason: str


@dataclass(frozen=True)
class VaultFacts:
    """A vault (KMS `Vault`)."""

    id: str
    name: str
    lifecycle_state: str
    vault_type: str
    management_endpoint: str
    time_of_deletion: datetime | None = None
    twins: int = 0
    """How many other usable vaults bear the same name: display names are not unique."""


@dataclass(frozen=True)
class KeyFacts:
    """A master encryption key (KMS `Key`). `length_bytes` is in bytes: RSA 2048 is 256."""

    id: str
    name: str
    lifecycle_state: str
    protection_mode: str
    algorithm: str
    length_bytes: int
    current_version: str
    time_of_deletion: datetime | None = None
    twins: int = 0


@dataclass(frozen=True)
class AuthorityFacts:
    """A certificate authority (Certificates `CertificateAuthority`) and its current version.

    Attributes:
        leaf_validity: The rule's longest validity of leaf certificates (ISO 8601); None without a rule.
        unknown_rules: Types of rules that the SDK does not know.
    """

    id: str
    name: str
    lifecycle_state: str
    lifecycle_details: str
    config_type: str
    key_id: str
    signing_algorithm: str
    leaf_validity: str | None
    not_before: datetime | None
    not_after: datetime | None
    revoked: bool
    unknown_rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate (Certificates `Certificate`) and its current version.

    Attributes:
        renewal: Interval and advance period of the renewal rule, ISO 8601; None without a rule.
    """

    id: str
    name: str
    lifecycle_state: str
    lifecycle_details: str
    profile: str
    config_type: str
    issuer_id: str
    common_name: str
    host_names: tuple[str, ...]
    stages: tuple[str, ...]
    not_before: datetime | None
    not_after: datetime | None
    revoked: bool
    renewal: tuple[str, str] | None = None
