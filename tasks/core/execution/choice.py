"""What a person chooses about where clusters are worked on: the typed parameters behind the form."""

from datetime import timedelta
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Execution(StrEnum):
    """Where each cluster is worked on."""

    TASKS = "TASKS"
    """In tasks of this flow run, so on one machine."""
    DEPLOYMENT_RUNS = "DEPLOYMENT_RUNS"
    """In a flow run of its own, on whichever worker of the deployment's work pool takes it."""


class ExecutionChoice(BaseModel):
    """Where each cluster is worked on, and how long to wait for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Execution = Field(
        default=Execution.TASKS,
        title="Where",
        description="TASKS: in tasks of this run, on one machine. DEPLOYMENT_RUNS: each cluster in a run of "
        "its own, on the workers of a work pool, as many at once as pool and deployment allow.",
    )
    deployment: str = Field(
        default="",
        pattern=r"^([^/]+/[^/]+)?$",
        title="Deployment",
        description="flow/deployment whose runs do the work, for DEPLOYMENT_RUNS. Empty: the project's own.",
    )
    start_within: timedelta = Field(
        default=timedelta(minutes=10),
        gt=timedelta(0),
        title="Time to begin",
        description="How long a cluster's flow run waits for a worker while no other one runs, before it is "
        "cancelled and the cluster is told as not done.",
    )
    finish_within: timedelta = Field(
        default=timedelta(hours=1),
        gt=timedelta(0),
        title="Time for one cluster",
        description="How long a cluster's flow run may run before it is cancelled.",
    )
