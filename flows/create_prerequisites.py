"""Makes what check-prerequisites misses, after a person agreed to the plan (R24 to R28)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import flow
from prefect.context import get_run_context
from prefect.logging import get_run_logger
from pydantic import Field

from blocks.oci_tenancy import OciTenancy
from tasks.connections import load_block
from tasks.core.errors import PrerequisiteError
from tasks.core.prerequisites.assembling import TenancyReadings, principals_of, refuse_unmet
from tasks.core.prerequisites.planning import CreationPlan, is_arriving, plan_creation
from tasks.core.prerequisites.settings import PrerequisiteNeeds, UnknownFindings
from tasks.core.prerequisites.wishes import CreationWishes
from tasks.prerequisites.creation import Made, Timing, carry_out_step
from tasks.prerequisites.gate import ask_to_create, show_plan
from tasks.prerequisites.reading import place_of, report_on, start_reading
from tasks.prerequisites.reporting import publish_reports
from tasks.prerequisites.tenancies import wait_until_settled

_READ_WITHIN = timedelta(minutes=2)
_SETTLES_WITHIN = timedelta(minutes=15)
_MAKE_WITHIN = timedelta(minutes=30)
"""A vault takes minutes, an authority too."""

Patience = Annotated[
    timedelta,
    Field(gt=timedelta(0), le=timedelta(days=7), description="How long the run waits for a decision."),
]


@flow(name="create-prerequisites", flow_run_name="create-prerequisites/{tenancy}", persist_result=True)
def create_prerequisites(
    tenancy: str,
    needs: PrerequisiteNeeds,
    wishes: CreationWishes = CreationWishes(),
    patience: Patience = timedelta(hours=12),
    unknown: UnknownFindings = UnknownFindings.REFUSE,
) -> None:
    """Plan, have the plan decided, make it in order, check again. Nothing is ever deleted.

    The run is suspended while a person decides and starts again from the top when it is resumed; the decision
    holds for the very plan that was shown. Killed and run again, it finds what it made before.

    Args:
        tenancy: Name of the OCI tenancy block.
        needs: What has to be there.
        wishes: What to make with, where something is missing.
        patience: How long the run waits for a decision, as an ISO 8601 duration.
        unknown: What an undecided finding means at the end.

    Raises:
        PrerequisiteError: The plan is stopped by what is there, or something is still missing at the end.
        DecisionError: The person said DENY.
    """
    block = load_block(OciTenancy, tenancy)
    readings = read_settled(block, needs)
    plan = make_plan(block, readings, needs, wishes)
    show_plan(plan)
    refuse_blocked(plan)
    if plan.steps:
        answer = ask_to_create(plan, patience)
        get_run_logger().info("Plan %s: CREATE by %s", plan.digest[:16], answer.approver)
        carry_out(block, plan, Made.found(readings))
    report = report_on(block, read(block, needs), needs)
    publish_reports([report])
    refuse_unmet([report], unknown)


def read(block: OciTenancy, needs: PrerequisiteNeeds) -> TenancyReadings:
    """Read the tenancy once."""
    (pending,) = start_reading([block], needs, datetime.now(UTC) + _READ_WITHIN)
    return pending.collect()


def read_settled(block: OciTenancy, needs: PrerequisiteNeeds) -> TenancyReadings:
    """Read the tenancy when what an earlier run began to make is there."""
    readings = read(block, needs)
    seen = (readings.vault, readings.key, readings.authority, readings.certificate)
    if not any(map(is_arriving, seen)):
        return readings
    wait_until_settled(block, needs, datetime.now(UTC) + _SETTLES_WITHIN)
    return read(block, needs)


def make_plan(
    block: OciTenancy, readings: TenancyReadings, needs: PrerequisiteNeeds, wishes: CreationWishes
) -> CreationPlan:
    """What would be made."""
    place = f"{place_of(block)}, {block.compartment_id}"
    principals = principals_of(needs.operator, block.compartment_id)
    return plan_creation(place, readings, needs, principals, wishes)


def refuse_blocked(plan: CreationPlan) -> None:
    """Stop before anybody is asked.

    Raises:
        PrerequisiteError: Something stops the plan.
    """
    if plan.blockers:
        raise PrerequisiteError(
            "create prerequisites",
            plan.place,
            "a plan that nothing stops",
            "; ".join(plan.blockers),
            "The artifact prerequisites-plan shows all of it.",
        )


def carry_out(block: OciTenancy, plan: CreationPlan, made: Made) -> None:
    """Make everything in order; each step may need what the one before made."""
    timing = Timing(_begun(), datetime.now(UTC) + _MAKE_WITHIN)
    for step in plan.steps:
        made = carry_out_step(block, step, made, timing)


def _begun() -> datetime:
    """When this flow run was created: the same after every resume, so that requests repeat their bodies."""
    flow_run = getattr(get_run_context(), "flow_run", None)
    created = getattr(flow_run, "created", None)
    return created if isinstance(created, datetime) else datetime.now(UTC)
