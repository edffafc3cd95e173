"""Prefect tasks that read one part of a tenancy each. They return facts; core decides about them.

A service that does not answer is a fact too (`Unread`), so these tasks do not fail and are not repeated:
the client repeats requests inside the deadline.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.tasks import TaskRunNameCallbackWithParameters
from typing_extensions import override

from blocks.oci_tenancy import OciTenancy
from tasks.clients.polling import wait_for
from tasks.clients.tenancy.calls import Service, TenancyCalls
from tasks.clients.tenancy.certificates import find_authority, find_certificate
from tasks.clients.tenancy.compartments import read_policy_world
from tasks.clients.tenancy.mesh import probe_control_plane
from tasks.clients.tenancy.vaults import find_key, find_vault
from tasks.connections import open_tenancy, tenancy_name
from tasks.core.errors import FleetError
from tasks.core.iam.evaluation import PolicyWorld
from tasks.core.prerequisites.assembling import principals_of
from tasks.core.prerequisites.control_plane import ControlPlaneProbe, Reach
from tasks.core.prerequisites.findings import Check, CheckGroup, Finding
from tasks.core.prerequisites.planning import is_arriving
from tasks.core.prerequisites.readings import (
    AuthorityFacts,
    CertificateFacts,
    KeyFacts,
    NotSeen,
    Unread,
    VaultFacts,
)
from tasks.core.prerequisites.settings import OciGatewayCertificate, OperatorPrincipal, PrerequisiteNeeds

P = ParamSpec("P")
R = TypeVar("R")


class _RunName(TaskRunNameCallbackWithParameters):
    def __init__(self, name: str) -> None:
        self._name = name

    @override
    def __call__(self, parameters: dict[str, Any]) -> str:
        return f"{self._name}/{tenancy_name(parameters['tenancy'])}"


def reading_task(
    name: str,
) -> Callable[[Callable[Concatenate[OciTenancy, P], R]], Task[Concatenate[OciTenancy, P], R]]:
    """Make a task of a function whose first argument `tenancy` is the tenancy's block. Nothing is kept."""

    def decorate(
        function: Callable[Concatenate[OciTenancy, P], R],
    ) -> Task[Concatenate[OciTenancy, P], R]:
        return task(name=name, task_run_name=_RunName(name), cache_policy=NO_CACHE, persist_result=False)(
            function
        )

    return decorate


@reading_task("check-tenancy-access")
def check_tenancy_access(tenancy: OciTenancy, until: datetime) -> Finding:
    """Sign in and ask for the object storage namespace, which every identity of a tenancy may read."""
    check = Check(CheckGroup.ACCESS, "R23", "sign in", f"{tenancy.authentication.kind}, {tenancy.tenancy_id}")
    try:
        open_tenancy(tenancy, until).get(Service.OBJECT_STORAGE, "get_namespace")
    except FleetError as error:
        if error.retryable:
            return check.unknown(f"{error}", "Run the check again when the service answers.")
        return check.failed(f"{error}", "Correct the OciTenancy block or what it refers to.")
    return check.passed()


@reading_task("read-iam-policies")
def read_iam_policies(
    tenancy: OciTenancy, operator: OperatorPrincipal, until: datetime
) -> PolicyWorld | Unread:
    """R23, R28: the policies of the compartment and its ancestors, and the groups they name."""
    people = principals_of(operator, tenancy.compartment_id).values()
    return _read(
        tenancy,
        until,
        "the policies",
        lambda calls: read_policy_world(calls, tenancy.compartment_id, people),
    )


@reading_task("read-vault-and-key")
def read_vault_and_key(
    tenancy: OciTenancy, needs: PrerequisiteNeeds, until: datetime
) -> tuple[VaultFacts | NotSeen | Unread, KeyFacts | NotSeen | Unread]:
    """R24, R25: the key lies behind the vault's own address, so the vault comes first."""
    place = tenancy.compartment_id
    vault = _read(
        tenancy, until, f"the vault {needs.vault}", lambda calls: find_vault(calls, place, needs.vault)
    )
    key = _read(
        tenancy, until, f"the key {needs.key}", lambda calls: find_key(calls, vault, place, needs.key)
    )
    return vault, key


@reading_task("read-certificate-authority")
def read_certificate_authority(
    tenancy: OciTenancy, needs: PrerequisiteNeeds, until: datetime
) -> AuthorityFacts | NotSeen | Unread:
    """R26."""
    wanted = needs.certificate_authority
    what = f"the certificate authority {wanted}"
    return _read(tenancy, until, what, lambda calls: find_authority(calls, tenancy.compartment_id, wanted))


@reading_task("wait-until-settled")
def wait_until_settled(tenancy: OciTenancy, needs: PrerequisiteNeeds, until: datetime) -> None:
    """Wait for what an earlier run began to make. At the deadline nothing is raised: the plan names it."""
    calls, place = open_tenancy(tenancy, until), tenancy.compartment_id

    def arriving() -> bool:
        vault = find_vault(calls, place, needs.vault)
        return is_arriving(vault) or any(
            is_arriving(reading)
            for reading in (
                find_key(calls, vault, place, needs.key),
                find_authority(calls, place, needs.certificate_authority),
                find_certificate(calls, place, needs.gateway.certificate)
                if isinstance(needs.gateway, OciGatewayCertificate)
                else None,
            )
        )

    wait_for(arriving, lambda still: not still, calls.deadline)


@reading_task("read-gateway-certificate")
def read_gateway_certificate(
    tenancy: OciTenancy, gateway: OciGatewayCertificate, until: datetime
) -> CertificateFacts | NotSeen | Unread:
    """R27."""
    what = f"the certificate {gateway.certificate}"
    return _read(
        tenancy,
        until,
        what,
        lambda calls: find_certificate(calls, tenancy.compartment_id, gateway.certificate),
    )


@reading_task("probe-service-mesh")
def probe_service_mesh(tenancy: OciTenancy, until: datetime) -> ControlPlaneProbe:
    """Whether the control plane of the retired service answers."""
    try:
        return probe_control_plane(open_tenancy(tenancy, until), tenancy.compartment_id)
    except FleetError:
        return ControlPlaneProbe(f"servicemesh.{tenancy.region}", Reach.NO_CONNECTION)


def _read(tenancy: OciTenancy, until: datetime, what: str, read: Callable[[TenancyCalls], R]) -> R | Unread:
    try:
        return read(open_tenancy(tenancy, until))
    except FleetError as error:
        return Unread(what, f"{error}")
