"""The Prefect task that makes one prerequisite; what exists already by that name is used."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import TaskRunNameCallbackWithParameters
from typing_extensions import override

from blocks.oci_tenancy import OciTenancy
from tasks.clients.tenancy import creation
from tasks.connections import in_region, open_tenancy, tenancy_name
from tasks.core.errors import InputError
from tasks.core.prerequisites.assembling import TenancyReadings
from tasks.core.prerequisites.readings import AuthorityFacts, KeyFacts, VaultFacts
from tasks.core.prerequisites.steps import (
    CreateAuthority,
    CreateCertificate,
    CreateDynamicGroup,
    CreateKey,
    CreatePolicy,
    CreateVault,
    RaiseLeafRule,
    Step,
)


@dataclass(frozen=True)
class Made:
    """The OCIDs that later steps need, whether found or made; empty where there is none yet."""

    vault_id: str = ""
    key_id: str = ""
    authority_id: str = ""

    @classmethod
    def found(cls, readings: TenancyReadings) -> "Made":
        """What was there before the first step."""
        return cls(
            readings.vault.id if isinstance(readings.vault, VaultFacts) else "",
            readings.key.id if isinstance(readings.key, KeyFacts) else "",
            readings.authority.id if isinstance(readings.authority, AuthorityFacts) else "",
        )


@dataclass(frozen=True)
class Timing:
    """When the run began, which is the same for every repetition of it, and when it has to be over."""

    begun: datetime
    until: datetime


class _RunName(TaskRunNameCallbackWithParameters):
    @override
    def __call__(self, parameters: dict[str, Any]) -> str:
        step: Step = parameters["step"]
        return f"{step.verb}-{step.noun}/{tenancy_name(parameters['tenancy'])}"


@task(name="carry-out-step", task_run_name=_RunName(), cache_policy=NO_CACHE, persist_result=False)
def carry_out_step(tenancy: OciTenancy, step: Step, made: Made, timing: Timing) -> Made:
    """Make one thing and wait until it is usable.

    Raises:
        TenancyError: The service refuses, the thing ended badly, or something of its name is on its way out.
    """
    site = _open_site(tenancy, timing)
    match step:
        case CreateDynamicGroup():
            creation.create_dynamic_group(site, step)
        case CreatePolicy():
            creation.create_policy(site, step)
        case CreateVault():
            return replace(made, vault_id=creation.create_vault(site, step))
        case CreateKey():
            return replace(made, key_id=creation.create_key(site, step, made.vault_id))
        case CreateAuthority():
            return replace(made, authority_id=creation.create_authority(site, step, made.key_id))
        case RaiseLeafRule():
            creation.raise_leaf_rule(site, step)
        case CreateCertificate():
            creation.create_certificate(site, step, made.authority_id)
        case _:
            raise InputError("make a prerequisite", type(step).__name__, "a step that this version knows")
    return made


def _open_site(tenancy: OciTenancy, timing: Timing) -> creation.Site:
    home = in_region(tenancy, tenancy.home_region or tenancy.region)
    return creation.Site(
        calls=open_tenancy(tenancy, timing.until),
        home=open_tenancy(home, timing.until),
        compartment_id=tenancy.compartment_id,
        begun=timing.begun,
    )
