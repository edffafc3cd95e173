"""Repairs one cluster by the steps of an installation: locked, allowed, looked at again (R2–R11, R20–R22)."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.repairing import repair_certificate, repair_permissions
from tasks.clients.cluster.client import FIELD_MANAGER
from tasks.connections import load_block, open_cluster
from tasks.core.drift.choice import LiveChecks, VerificationChoice
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.finding import find_drift
from tasks.core.drift.ignoring import ignore
from tasks.core.drift.memory import recollect
from tasks.core.drift.repair_choice import RepairChoice
from tasks.core.drift.repair_steps import RepairSteps
from tasks.core.drift.repairs import (
    ClusterRepair,
    Identity,
    RepairEntry,
    RepairVerdict,
    Situation,
    by_step,
    choose,
    plan_repairs,
)
from tasks.core.drift.results import VERIFIED
from tasks.core.errors import CertificateError, FleetError
from tasks.core.manifests import ObjectRef
from tasks.core.outcomes import StepOutcome
from tasks.core.permissions import (
    AccountNeeds,
    BootstrapUse,
    PermissionRequest,
    PermissionStep,
    required_permissions,
)
from tasks.core.scopes import WriteScope
from tasks.core.steps import InstallStep
from tasks.drift.observing import observe_cluster
from tasks.drift.verifying import Verified, verify_cluster
from tasks.installation import (
    group_operator,
    install_metrics_server,
    install_olm,
    prepare_namespace,
    serve_catalog,
    subscribe_to_operator,
    until,
)
from tasks.operator.reinstalling import reinstall_operator
from tasks.reporting import StepLog
from tasks.rollout.limits import at_risk
from tasks.rollout.locking import held, holder_name
from tasks.sources import Sources
from tasks.target import check_target

_BOOTSTRAP = (InstallStep.OLM_CRDS, InstallStep.OLM_OBJECTS, InstallStep.METRICS_SERVER)
"""Steps of the account that may create roles for others."""
_OPERATOR = (
    InstallStep.NAMESPACE,
    InstallStep.CATALOG,
    InstallStep.OPERATOR_GROUP,
    InstallStep.SUBSCRIPTION,
)


class RepairOrder:
    """What is the same for every cluster of a run that repairs.

    Not a dataclass: Prefect walks through dataclasses in task arguments, and these are megabytes of JSON.

    Args:
        sources: What the steps write.
        expected: The same, as what should be there.
        look: How clusters are looked at.
        choice: What may be done about what is found.
    """

    def __init__(
        self, sources: Sources, expected: Expectation, look: VerificationChoice, choice: RepairChoice
    ) -> None:
        self.sources = sources
        self.expected = expected
        self.look = look
        self.choice = choice

    def plan(self, verified: Verified) -> tuple[RepairEntry, ...]:
        """What is done about the drift of a cluster that was verified."""
        result = verified.result
        if result.verified_at is None or result.state not in VERIFIED:
            return ()
        ignored = tuple(one.item for one in result.ignored)
        situation = Situation(result.items, ignored, verified.memory, result.verified_at)
        steps = RepairSteps(self.expected, result.olm, result.operator)
        return plan_repairs(steps, situation, self.choice)

    def needs(self, due: Mapping[InstallStep, Iterable[RepairEntry]]) -> AccountNeeds:
        """What the accounts have to be allowed to do for some entries."""
        listed = set(due)
        profile, namespace = self.expected.profile, self.expected.namespace
        fleet: list[PermissionRequest] = []
        if listed.intersection(_OPERATOR):
            fleet += required_permissions(PermissionStep.OPERATOR, profile, namespace)
        if InstallStep.CERTIFICATE_REPAIR in listed:
            fleet += repair_permissions(profile, namespace)
        group, resource = "operators.coreos.com", "clusterserviceversions"
        fleet += [
            PermissionRequest(group, resource, "patch", csv.namespace, subresource="status")
            for csv in sorted({entry.unit for entry in due.get(InstallStep.REINSTALL, ()) if entry.unit})
        ]
        if listed.isdisjoint(_BOOTSTRAP):
            return AccountNeeds(tuple(fleet), ())
        bootstrap = required_permissions(PermissionStep.BOOTSTRAP, profile, namespace)
        return AccountNeeds(tuple(fleet), bootstrap, BootstrapUse.ALWAYS)


@task(
    name="repair-cluster", task_run_name="repair-cluster/{name}", cache_policy=NO_CACHE, persist_result=False
)
def repair_cluster(
    name: str, order: RepairOrder, before: Verified, approved: frozenset[Identity] | None
) -> Verified:
    """Repair what is due on one cluster, and verify it again; what goes wrong stands in the result.

    Args:
        name: Of its block.
        order: What is the same for every cluster.
        before: What was found.
        approved: What a person agreed to; None when nobody was asked.
    """
    repair = _Repair(name, order, before, approved)
    repair.run()
    tried = [entry.item.key for entry in repair.tried]
    waits = (order.choice.first_wait, order.choice.longest_wait)
    memory = before.memory.repaired(tried, datetime.now(UTC), *waits)
    after = verify_cluster(name, order.expected, order.look, memory)
    result = after.result.model_copy(update={"repair": repair.told(after)})
    return replace(
        after,
        result=result,
        news=(*before.news, *after.news),
        resolved=(*before.resolved, *after.resolved),
        repaired=(*before.repaired, *repair.repaired(after)),
    )


@dataclass
class _Repair:
    name: str
    order: RepairOrder
    before: Verified
    approved: frozenset[Identity] | None
    tried: list[RepairEntry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = StepLog(self.name)
        self.earlier = self.before.result.repair or ClusterRepair()
        self.entries = self.earlier.entries

    def run(self) -> None:
        """Take the lock, look again, carry out what is due."""
        deadline = until(self.order.choice.repair_within)
        with ExitStack() as stack:
            try:
                block = self.log.record(InstallStep.BLOCK, load_block, KubernetesCluster, self.name)
                lock = held(block, holder_name(), self.order.choice.reach_within)
                mine = self.log.record(InstallStep.LOCK, stack.enter_context, lock)
                self.log.watch(mine.require)
                due = by_step(self._look_again(block))
                if due:
                    needs = self.order.needs(due)
                    self.log.record(InstallStep.TARGET, check_target, block, needs, deadline)
                    stack.enter_context(at_risk())
                    self._carry_out(block, due, deadline)
            except FleetError:
                # The log has the error; the other clusters go on, and this one is verified all the same.
                return

    def told(self, after: Verified) -> ClusterRepair:
        """What became of every entry."""
        left = {item.key for item in after.result.items}
        error = str(self.log.error or "")
        verified = after.result.state in VERIFIED
        why = error or ("its step ran, and it is still there" if verified else "it could not be verified")
        tried = {entry.item.key for entry in self.tried}
        return ClusterRepair(
            entries=tuple(_ended(entry, tried, left if verified else tried, why) for entry in self.entries),
            changed=(*self.earlier.changed, *self.log.report().changed),
            error=error,
        )

    def repaired(self, after: Verified) -> tuple[RepairEntry, ...]:
        """What this repair put right."""
        tried = {entry.item.key for entry in self.tried}
        done = self.told(after).having(RepairVerdict.REPAIRED)
        return tuple(entry for entry in done if entry.item.key in tried)

    def _look_again(self, block: KubernetesCluster) -> tuple[RepairEntry, ...]:
        """Whoever held the lock before us may have changed anything. Webhooks are not called again."""
        order = self.order
        seen = observe_cluster(open_cluster(block), order.expected, LiveChecks.NONE)
        found = find_drift(order.expected, seen)
        reported, ignored = ignore(self.name, found, order.look.ignored, seen.now.date())
        memory = self.before.memory
        items = recollect(memory, reported, seen.now, FIELD_MANAGER, looked_closely=False).items
        situation = Situation(items, tuple(one.item for one in ignored), memory, seen.now)
        before = self.before.result
        steps = RepairSteps(order.expected, before.olm, before.operator)
        planned = plan_repairs(steps, situation, order.choice)
        entries = planned if self.approved is None else choose(planned, self.approved)
        # What only the closer look shows, and what an earlier repair of the run did, stays as it was told.
        known = {entry.item.key for entry in entries}
        over = (RepairVerdict.REPAIRED, RepairVerdict.FAILED, RepairVerdict.IMPOSSIBLE)
        kept = [one for one in self.earlier.having(*over) if one.item.key not in known]
        self.entries = (*entries, *kept)
        return tuple(entry for entry in entries if entry.verdict is RepairVerdict.DUE)

    def _carry_out(
        self,
        block: KubernetesCluster,
        due: Mapping[InstallStep, tuple[RepairEntry, ...]],
        deadline: datetime,
    ) -> None:
        stages = {_STAGES.get(step, step) for step in due}
        for stage in InstallStep:
            if stage in stages:
                entries = [
                    one for step, each in due.items() if _STAGES.get(step, step) is stage for one in each
                ]
                self.tried += entries
                units = frozenset(one.unit for one in entries if one.unit is not None)
                self._write(block, stage, units, deadline)

    def _write(
        self, block: KubernetesCluster, stage: InstallStep, units: frozenset[ObjectRef], deadline: datetime
    ) -> None:
        """One stage, told to write these objects only."""
        sources, log, scope = self.order.sources, self.log, WriteScope(units)
        match stage:
            case InstallStep.OLM_OBJECTS:
                install_olm(block, sources, log, deadline, scope)
            case InstallStep.NAMESPACE:
                prepare_namespace(block, sources, log, scope)
            case InstallStep.CATALOG:
                serve_catalog(block, sources, log, deadline, scope)
            case InstallStep.OPERATOR_GROUP:
                group_operator(block, sources, log, scope)
            case InstallStep.SUBSCRIPTION:
                subscribe_to_operator(block, sources, log, deadline, scope)
            case InstallStep.CERTIFICATE_REPAIR:
                log.record(stage, self._certificate, block, deadline)
            case InstallStep.REINSTALL:
                for csv in sorted(units):
                    log.record(stage, reinstall_operator, block, csv, deadline)
            case InstallStep.METRICS_SERVER:
                install_metrics_server(block, sources, log, deadline, scope)
            case _:
                raise ValueError(f"no repair writes by the step {stage.name}")

    def _certificate(self, block: KubernetesCluster, deadline: datetime) -> StepOutcome:
        expected = self.order.expected
        profile, namespace, authorities = expected.profile, expected.namespace, expected.authorities
        outcome = repair_certificate(block, profile, namespace, authorities, deadline).repair
        if outcome is None or outcome.changed:
            return StepOutcome(outcome.changed if outcome else ())
        raise CertificateError(
            "put the certificate back",
            f"{self.name}: {expected.profile.certificate_secret}",
            found="; ".join(outcome.left) or "nothing that is safe to repair",
            next_step="Run diagnose-certificate: it says what a person has to do.",
        )


_STAGES = {InstallStep.OLM_CRDS: InstallStep.OLM_OBJECTS}
"""Steps that are carried out together."""


def _ended(entry: RepairEntry, tried: set[str], left: set[str], why: str) -> RepairEntry:
    if entry.verdict is not RepairVerdict.DUE:
        return entry
    key = entry.item.key
    if key in tried and key not in left:
        return entry.model_copy(update={"verdict": RepairVerdict.REPAIRED})
    return entry.model_copy(update={"verdict": RepairVerdict.FAILED, "reason": why})
