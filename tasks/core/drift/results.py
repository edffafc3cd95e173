"""The result of a verification, for one cluster and for all of a run: typed, and stable as JSON."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, Field

from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.ignoring import IgnoredItem
from tasks.core.drift.items import DATA, DriftItem, DriftSeverity, worst_severity
from tasks.core.drift.repairs import ClusterRepair

_ENDS = (EndKind.LEAF_EXPIRES, EndKind.ISSUER_EXPIRES)


class VerificationState(StrEnum):
    """How a cluster was found, from best to worst."""

    FINE = "FINE"
    """Everything is as it should be, notes aside."""
    DRIFTED = "DRIFTED"
    UNVERIFIED = "UNVERIFIED"
    """It answered, and could not be looked at: a permission, its identity, a fault."""
    UNREACHABLE = "UNREACHABLE"
    """It did not answer."""


VERIFIED = (VerificationState.FINE, VerificationState.DRIFTED)


class ClusterVerification(BaseModel):
    """What a verification says about one cluster. It holds public facts only."""

    model_config = DATA

    cluster: str = Field(description="Name of its block")
    state: VerificationState = Field(description="How it was found")
    verified_at: datetime | None = Field(default=None, description="When it was last verified; None: never")
    uid: str = Field(default="", description="uid of namespace kube-system")
    kubernetes: str = Field(default="", description="gitVersion of its API server")
    olm: str = Field(default="", description="Version of OLM")
    operator: str = Field(default="", description="Name of the operator's ClusterServiceVersion")
    items: tuple[DriftItem, ...] = Field(default=(), description="What is not as it should be, worst first")
    ignored: tuple[IgnoredItem, ...] = Field(default=(), description="What a rule leaves out")
    calendar: tuple[CalendarEntry, ...] = Field(default=(), description="What ends when, first one first")
    unseen: tuple[str, ...] = Field(default=(), description="What could not be looked at")
    error: str = Field(default="", description="Why it could not be verified")
    repair: ClusterRepair | None = Field(default=None, description="What was done about it; None: only told")
    reads: int = Field(default=0, description="Read requests of one look, live calls aside")
    seconds: float = Field(default=0.0, description="How long it took")

    @property
    def worst(self) -> DriftSeverity | None:
        """The worst severity of its items."""
        return worst_severity(self.items)

    @property
    def first_end(self) -> CalendarEntry | None:
        """The first date at which something stops working."""
        return min(self.calendar, key=lambda entry: entry.at, default=None)

    def certificate_days(self, now: datetime) -> int | None:
        """Whole days until the certificate or its issuer ends; None when it is not known."""
        ends = [entry.at for entry in self.calendar if entry.kind in _ENDS]
        return (min(ends) - now).days if ends else None


class FleetVerification(BaseModel):
    """What a run says about all its clusters."""

    model_config = DATA

    schema_version: int = Field(default=1, description="Of this document")
    at: datetime = Field(description="When the run ended")
    clusters: tuple[ClusterVerification, ...] = Field(description="One for each cluster")

    def count(self, state: VerificationState) -> int:
        """How many clusters were found in a state."""
        return sum(one.state is state for one in self.clusters)

    @property
    def first_end(self) -> tuple[str, CalendarEntry] | None:
        """The first date of the fleet at which something stops working, and on which cluster."""
        dated = [(one.cluster, one.first_end) for one in self.clusters]
        known = [(cluster, end) for cluster, end in dated if end is not None]
        return min(known, key=lambda pair: pair[1].at, default=None)

    def summary(self) -> str:
        """One line: how many clusters are fine, have drifted, could not be verified."""
        states = [state for state in VerificationState if self.count(state)]
        counts = ", ".join(f"{self.count(state)} {state.value}" for state in states)
        items = Counter(item.kind.value for one in self.clusters for item in one.items)
        drift = ", ".join(f"{number} {kind}" for kind, number in sorted(items.items()))
        return f"{len(self.clusters)} looked at: {counts}" + (f"; {drift}" if drift else "")


def is_drift(items: Iterable[DriftItem]) -> bool:
    """Whether there is more than notes."""
    return any(item.severity is not DriftSeverity.NOTE for item in items)
