"""How a person wants clusters verified: the typed parameters behind the form of verify-fleet."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from tasks.core.drift.expectation import Limits
from tasks.core.drift.ignoring import IgnoreRule
from tasks.core.drift.items import DATA


class LiveChecks(StrEnum):
    """What is done beyond reading objects."""

    ALL = "ALL"
    """Dry-run calls through every webhook, and a handshake with every endpoint."""
    NONE = "NONE"
    """Objects are read, and nothing else."""


class VerificationChoice(BaseModel):
    """What is looked at, what counts as expiring, and what is left out."""

    model_config = DATA

    live_checks: LiveChecks = Field(
        default=LiveChecks.ALL,
        title="Live checks",
        description="ALL: dry-run calls through every webhook and a handshake with every endpoint. NONE: "
        "only objects are read, which a read-only account may do.",
    )
    authority: str = Field(
        default="",
        title="Certificate authority",
        description="Name of the OSOK Certificate Authority block that should have signed the webhook's "
        "certificate. Empty: any issuer is fine, OLM's own too.",
    )
    warn_days: int = Field(
        default=30,
        ge=1,
        title="Days before the end: warning",
        description="From so many days before its end a certificate counts as expiring.",
    )
    critical_days: int = Field(
        default=7,
        ge=0,
        title="Days before the end: critical",
        description="From so many days before its end it is critical.",
    )
    confirm_after: timedelta = Field(
        default=timedelta(seconds=5),
        title="Second look after",
        description="New drift is reported only if it is still there so much later; OLM may be at work.",
    )
    ignored: tuple[IgnoreRule, ...] = Field(
        default=(),
        title="Ignored",
        description="Drift that is not reported, each with its reason and last day.",
    )

    @property
    def limits(self) -> Limits:
        """When something counts as expiring."""
        return Limits(timedelta(days=self.warn_days), timedelta(days=self.critical_days))
