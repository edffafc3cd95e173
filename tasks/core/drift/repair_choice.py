"""What verify-fleet may do about drift: the typed parameter behind its form. By default it only reports."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, Field

from tasks.core.drift.items import DATA, DriftItem, DriftKind
from tasks.core.drift.memory import FLIPS


class RepairPolicy(StrEnum):
    """What to do about drift of one kind."""

    REPORT = "REPORT"
    """Nothing is changed."""
    PROPOSE = "PROPOSE"
    """It is repaired after a person agreed at the run's gate."""
    REPAIR = "REPAIR"
    """It is repaired without a question."""


class ContestedPolicy(StrEnum):
    """What to do about what somebody else keeps writing: never anything without a person."""

    REPORT = "REPORT"
    PROPOSE = "PROPOSE"


class RepairChoice(BaseModel):
    """What is done about drift, by its kind. Only what the steps of install-fleet write can be repaired."""

    model_config = DATA

    missing: RepairPolicy = Field(
        default=RepairPolicy.REPORT,
        title="MISSING",
        description="An object or field is gone. REPORT: change nothing. PROPOSE: ask a person at a gate. "
        "REPAIR: put it back without a question.",
    )
    changed: RepairPolicy = Field(
        default=RepairPolicy.REPORT,
        title="CHANGED",
        description="A field has another value. REPORT, PROPOSE or REPAIR; a repair takes the field back "
        "from whoever wrote it.",
    )
    unexpected: RepairPolicy = Field(
        default=RepairPolicy.REPORT,
        title="UNEXPECTED",
        description="Something is there that should not be. Only what was added to OLM's CRDs and to webhook "
        "configurations is taken away; objects of others are never deleted.",
    )
    expiring: RepairPolicy = Field(
        default=RepairPolicy.REPORT,
        title="EXPIRING",
        description="Something ends soon. No step repairs it by itself: the run says what does.",
    )
    unreachable: RepairPolicy = Field(
        default=RepairPolicy.REPORT,
        title="UNREACHABLE",
        description="Something does not answer. No step repairs it: the run says where to look.",
    )
    contested: ContestedPolicy = Field(
        default=ContestedPolicy.REPORT,
        title="CONTESTED",
        description="It came back three times by the hand of another writer. REPORT, or PROPOSE to have a "
        "person decide each time; it is never repaired without a question.",
    )
    decision_deadline: timedelta = Field(
        default=timedelta(hours=12),
        gt=timedelta(0),
        le=timedelta(days=7),
        title="Time for the decision",
        description="How long the run waits at its gate; then it ends without a repair.",
    )
    first_wait: timedelta = Field(
        default=timedelta(hours=1),
        ge=timedelta(0),
        title="Wait before the second repair",
        description="So long after a repair the same item is not repaired again; each further repair doubles "
        "it.",
    )
    longest_wait: timedelta = Field(
        default=timedelta(days=1),
        ge=timedelta(0),
        title="Longest wait",
        description="No wait grows beyond this.",
    )
    reach_within: timedelta = Field(
        default=timedelta(minutes=1),
        gt=timedelta(0),
        title="Time to answer",
        description="How long a cluster that is to be repaired may take to answer.",
    )
    repair_within: timedelta = Field(
        default=timedelta(minutes=10),
        gt=timedelta(0),
        title="Time to repair",
        description="How long the repair of one cluster may take, OLM's own work included.",
    )

    @property
    def changes_nothing(self) -> bool:
        """Whether every kind is only reported."""
        policies = (self.missing, self.changed, self.unexpected, self.expiring, self.unreachable)
        return {*policies, self.contested} == {RepairPolicy.REPORT, ContestedPolicy.REPORT}

    def policy_for(self, item: DriftItem) -> RepairPolicy:
        """What may be done about an item. What came back as often as contested drift is treated like it.

        A field or an object that is gone has no owner, so nobody can be named there; it comes back all the
        same.
        """
        if item.kind is DriftKind.CONTESTED or item.returns >= FLIPS:
            return RepairPolicy(self.contested.value)
        by_kind = {
            DriftKind.MISSING: self.missing,
            DriftKind.CHANGED: self.changed,
            DriftKind.UNEXPECTED: self.unexpected,
            DriftKind.EXPIRING: self.expiring,
            DriftKind.UNREACHABLE: self.unreachable,
        }
        return by_kind[item.kind]
