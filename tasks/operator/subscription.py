"""From the OperatorGroup to a ClusterServiceVersion that succeeded, stage by stage (R7)."""

from datetime import datetime

from prefect.logging import get_run_logger

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.converge import converge_within, written
from tasks.clients.polling import deadline_at, wait_for
from tasks.connections import open_cluster
from tasks.core.errors import ClusterConflictError
from tasks.core.installation import (
    Installation,
    PlanAction,
    PlanDecision,
    adopt_subscription,
    choose_operator_group,
    decide_plan,
    refuse_copied_csv,
)
from tasks.core.manifests import Manifest, ObjectRef
from tasks.core.outcomes import StepOutcome
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.operator.stalls import stalled
from tasks.steps import step

_OLM_V1 = "operators.coreos.com/v1"
_OLM_V1ALPHA1 = "operators.coreos.com/v1alpha1"


@step("ensure-operator-group")
def ensure_operator_group(
    cluster: KubernetesCluster, installation: Installation, scope: WriteScope = EVERYTHING
) -> StepOutcome:
    """Adopt the namespace's OperatorGroup, or create one for all namespaces; a repair puts ours back.

    Raises:
        PrerequisiteError: There are several, or the one there is does not serve all namespaces.
    """
    client = open_cluster(cluster)
    groups = client.list_objects(_OLM_V1, "OperatorGroup", installation.namespace)
    wanted = choose_operator_group(groups, installation)
    if wanted is None and not scope.takes_back:
        return StepOutcome(detail=f"OperatorGroup {groups[0]['metadata']['name']} serves all namespaces")
    changes = converge_within(client, [installation.operator_group()], scope)
    return StepOutcome(written(changes), "OperatorGroup for all namespaces written")


def wanted_operator_group(client: ClusterClient, installation: Installation) -> list[Manifest]:
    """What an installation would write; raises as the step does."""
    groups = client.list_objects(_OLM_V1, "OperatorGroup", installation.namespace)
    wanted = choose_operator_group(groups, installation)
    return [] if wanted is None else [wanted]


@step("subscribe")
def subscribe(
    cluster: KubernetesCluster, installation: Installation, scope: WriteScope = EVERYTHING
) -> StepOutcome:
    """Create the Subscription with manual approval, or adopt one that installed the version already.

    Raises:
        PrerequisiteError: Another Subscription of the package is there and installs something else, or the
            operator runs in another namespace already.
    """
    client = open_cluster(cluster)
    wanted = wanted_subscription(client, installation)
    if not wanted:
        return StepOutcome(detail=f"another Subscription keeps {installation.csv} installed")
    changes = converge_within(client, wanted, scope)
    return StepOutcome(written(changes), f"subscribed to {installation.csv}")


def wanted_subscription(client: ClusterClient, installation: Installation) -> list[Manifest]:
    """What the step would write; raises as it does."""
    csvs = client.list_objects(_OLM_V1ALPHA1, "ClusterServiceVersion", installation.namespace)
    refuse_copied_csv(csvs, installation)
    subscriptions = client.list_objects(_OLM_V1ALPHA1, "Subscription", installation.namespace)
    wanted = adopt_subscription(subscriptions, installation)
    return [] if wanted is None else [wanted]


@step("approve-install-plan")
def approve_install_plan(
    cluster: KubernetesCluster, installation: Installation, until: datetime
) -> StepOutcome:
    """Approve the InstallPlan that the Subscription names, once OLM has written its status.

    Raises:
        PrerequisiteError: The plan would install something else than the expected ClusterServiceVersion.
        StalledError: No such plan appeared in time; the message carries the cause.
    """
    client = open_cluster(cluster)
    decision = wait_for(
        lambda: _decide(client, installation),
        lambda seen: seen.action is not PlanAction.WAIT,
        deadline_at(until),
    )
    if decision.action is PlanAction.WAIT:
        raise stalled(client, installation, f"get an InstallPlan ({decision.reason})")
    if decision.action is PlanAction.DONE:
        return StepOutcome(detail=decision.reason)
    ref = ObjectRef(_OLM_V1ALPHA1, "InstallPlan", decision.plan, installation.namespace)
    plan = client.get(ref)
    if plan is None:
        raise ClusterConflictError("approve the InstallPlan", f"{client.name}: {ref}", found="it is gone")
    version = plan["metadata"]["resourceVersion"]
    client.patch(ref, {"metadata": {"resourceVersion": version}, "spec": {"approved": True}})
    return StepOutcome((f"APPROVED {ref}",), decision.reason)


@step("wait-for-csv")
def wait_for_csv_succeeded(
    cluster: KubernetesCluster, installation: Installation, until: datetime
) -> StepOutcome:
    """Wait until the ClusterServiceVersion succeeded, and log every phase that it passes.

    Raises:
        PrerequisiteError: It is the copy of one in another namespace.
        StalledError: It did not succeed in time; the message carries the cause.
    """
    client = open_cluster(cluster)
    logger = get_run_logger()
    ref = ObjectRef(_OLM_V1ALPHA1, "ClusterServiceVersion", installation.csv, installation.namespace)
    phases: list[str] = []

    def observe() -> str:
        csv = client.get(ref)
        if csv is not None:
            refuse_copied_csv([csv], installation)
        phase = _phase(csv)
        if phase and phase not in phases[-1:]:
            phases.append(phase)
            logger.info("%s: %s is %s", client.name, installation.csv, phase)
        return phase

    last = wait_for(observe, lambda phase: phase == "Succeeded", deadline_at(until))
    if last != "Succeeded":
        path = " → ".join(phases) or "it never appeared"
        raise stalled(client, installation, f"see {installation.csv} succeed ({path})")
    return StepOutcome(detail=f"{installation.csv}: {' → '.join(phases)}")


def _decide(client: ClusterClient, installation: Installation) -> PlanDecision:
    subscriptions = client.list_objects(_OLM_V1ALPHA1, "Subscription", installation.namespace)
    plans = client.list_objects(_OLM_V1ALPHA1, "InstallPlan", installation.namespace)
    ours = [item for item in subscriptions if item["spec"].get("name") == installation.package]
    return decide_plan(ours[0] if ours else None, plans, installation.csv)


def _phase(csv: Manifest | None) -> str:
    return str(((csv or {}).get("status") or {}).get("phase", ""))
