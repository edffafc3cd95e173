"""What a person chooses for a rollout: the typed parameters behind the form of the Prefect UI."""

from collections import Counter
from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tasks.core.rollout.amounts import Amount
from tasks.core.rollout.windows import MaintenanceWindow, checked_selector


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Approval(StrEnum):
    """Who lets a wave begin."""

    AUTO = "AUTO"
    """It begins when the wave before it is over."""
    MANUAL = "MANUAL"
    """A person decides; the run is suspended until then."""


class RolloutMode(StrEnum):
    """What the run does with its plan."""

    RUN = "RUN"
    """Shows it and carries it out."""
    PLAN = "PLAN"
    """Shows it with what it would write on every cluster, rehearsed there; nothing is written."""


class RolloutWave(_Settings):
    """Some clusters of the fleet, and how carefully to go through them."""

    name: str = Field(
        pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$", title="Name", description="For example canary."
    )
    selector: str = Field(
        default="",
        title="Clusters",
        description="Kubernetes label selector, for example env in (stage), region!=iad. A cluster belongs "
        "to the first wave that selects it. Empty: all that are left.",
    )
    max_concurrency: Amount = Field(
        default="10%",
        title="At once (maxConcurrency)",
        description="How many of its clusters at most are worked on, or are proving themselves, at once: a "
        "number, or a share of the wave, rounded up.",
    )
    max_failures: Amount = Field(
        default=0,
        title="Failures allowed (maxFailures)",
        description="How many of its clusters may fail, or take too long, before nothing more is begun: a "
        "number, or a share of the wave, rounded down.",
    )
    min_success_time: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        title="Time to prove itself (minSuccessTime)",
        description="How long a cluster has to have been right before another takes its place.",
    )
    progress_deadline: timedelta = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        title="Time for one cluster (progressDeadline)",
        description="A cluster that takes longer counts as failed.",
    )
    approval: Approval = Field(
        default=Approval.AUTO,
        title="Approval",
        description="AUTO: it begins by itself. MANUAL: the run is suspended until a person decides.",
    )

    @field_validator("selector")
    @classmethod
    def _can_be_read(cls, value: str) -> str:
        return checked_selector(value)

    @field_validator("max_concurrency")
    @classmethod
    def _is_not_zero(cls, value: Amount) -> Amount:
        if value in (0, "0%"):
            raise ValueError("at least 1, or nothing ever begins")
        return value


class RolloutChoice(_Settings):
    """In which order to go through the clusters, and when to stop."""

    mode: RolloutMode = Field(
        default=RolloutMode.RUN,
        title="Mode",
        description="RUN: show the plan and carry it out. PLAN: show it, and what it would write on "
        "every cluster, and write nothing.",
    )
    waves: list[RolloutWave] = Field(
        default_factory=list,
        title="Waves",
        description="In order, the canary first. None: one cluster after another; a failure stops no other.",
    )
    windows: list[MaintenanceWindow] = Field(
        default_factory=list,
        title="Maintenance windows",
        description="Work on a cluster begins only while one of its windows is open. None: at any time.",
    )
    paused: list[str] = Field(
        default_factory=list,
        title="Paused clusters",
        description="Clusters to leave out this time. The others go on, and no wave waits for them.",
    )
    decision_deadline: timedelta = Field(
        default=timedelta(hours=23),
        gt=timedelta(0),
        title="Time for the decision",
        description="How long the run waits for the approval of a MANUAL wave.",
    )

    @model_validator(mode="after")
    def _has_waves_for_what_belongs_to_them(self) -> "RolloutChoice":
        if not self.waves and (self.windows or self.paused or self.mode is RolloutMode.PLAN):
            raise ValueError("windows, paused clusters and mode PLAN belong to waves: add one")
        return self

    @model_validator(mode="after")
    def _waves_have_names_of_their_own(self) -> "RolloutChoice":
        twice = [name for name, count in Counter(wave.name for wave in self.waves).items() if count > 1]
        if twice:
            raise ValueError(f"two waves have the name {', '.join(twice)}")
        return self
