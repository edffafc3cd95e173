"""What OLM needs to install an operator, and which InstallPlan may be approved (R6, R7).

Facts behind the rules: approving a plan before OLM wrote its status hangs OLM 0.20 for ever, and a second
plan appears that the Subscription then names; so only the plan that the Subscription names counts, and only
once its phase is RequiresApproval.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest
from tasks.core.ownership import MANAGED_BY

COPIED_FROM = "olm.copiedFrom"
"""OLM's label on the copies of a ClusterServiceVersion that it makes in every namespace that one covers."""
NOT_COPIED = f"!{COPIED_FROM}"
"""Label selector for ClusterServiceVersions that are where their operator runs."""

_OPERATOR_GROUP_NAME = "osok-fleet"
# Newer OLMs then look at this namespace's catalogs only, so that a broken catalog in `olm` cannot block the
# resolution (v0.46.0, pkg/controller/registry/resolver/step_resolver.go). OLM 0.20 ignores it.
_OWN_CATALOGS_ONLY = {"olm.operatorframework.io/exclude-global-namespace-resolution": "true"}


@dataclass(frozen=True)
class Installation:
    """One operator in one namespace, as OLM objects name it.

    Attributes:
        csv: Name of the ClusterServiceVersion that has to end up Succeeded.
        catalog: Name of the CatalogSource in the same namespace.
    """

    namespace: str
    package: str
    channel: str
    csv: str
    catalog: str

    def subscription(self) -> Manifest:
        """The Subscription: manual approval, pinned to one version."""
        return {
            "apiVersion": "operators.coreos.com/v1alpha1",
            "kind": "Subscription",
            "metadata": {"name": self.package, "namespace": self.namespace, "labels": dict(MANAGED_BY)},
            "spec": {
                "name": self.package,
                "channel": self.channel,
                "source": self.catalog,
                "sourceNamespace": self.namespace,
                "startingCSV": self.csv,
                "installPlanApproval": "Manual",
            },
        }

    def operator_group(self) -> Manifest:
        """An OperatorGroup for all namespaces, the only install mode of OSOK 1.1.9."""
        return {
            "apiVersion": "operators.coreos.com/v1",
            "kind": "OperatorGroup",
            "metadata": {
                "name": _OPERATOR_GROUP_NAME,
                "namespace": self.namespace,
                "labels": dict(MANAGED_BY),
                "annotations": dict(_OWN_CATALOGS_ONLY),
            },
            "spec": {},
        }


class PlanAction(StrEnum):
    """What to do about the InstallPlan of a Subscription."""

    WAIT = "WAIT"
    APPROVE = "APPROVE"
    DONE = "DONE"
    """The plan is approved, or the operator is installed already."""


@dataclass(frozen=True)
class PlanDecision:
    """The decision about the InstallPlan that a Subscription names.

    Attributes:
        plan: Its name; empty while the Subscription names none.
        reason: Why, for the log.
    """

    action: PlanAction
    plan: str = ""
    reason: str = ""


def decide_plan(
    subscription: Mapping[str, Any] | None, plans: Iterable[Manifest], expected_csv: str
) -> PlanDecision:
    """Choose the plan to approve.

    Raises:
        PrerequisiteError: The plan that the Subscription names would install something else.
    """
    status = (subscription or {}).get("status") or {}
    if status.get("installedCSV") == expected_csv:
        return PlanDecision(PlanAction.DONE, reason=f"{expected_csv} is installed")
    name = (status.get("installPlanRef") or {}).get("name", "")
    plan = next((plan for plan in plans if plan["metadata"]["name"] == name), None)
    if plan is None:
        return PlanDecision(PlanAction.WAIT, name, "the Subscription names no InstallPlan yet")
    names = plan["spec"].get("clusterServiceVersionNames") or []
    if names != [expected_csv]:
        raise PrerequisiteError(
            "approve the InstallPlan",
            f"InstallPlan {plan['metadata'].get('namespace', '')}/{name}",
            f"exactly {expected_csv}",
            ", ".join(names) or "no ClusterServiceVersion",
            "Another Subscription of the namespace is waiting for an upgrade: approve or remove that one "
            "yourself, or install the operator into a namespace of its own.",
        )
    if plan["spec"].get("approved"):
        return PlanDecision(PlanAction.DONE, name, "it is approved already")
    phase = (plan.get("status") or {}).get("phase", "")
    if phase != "RequiresApproval":
        return PlanDecision(PlanAction.WAIT, name, f"its phase is {phase or 'not written yet'}")
    return PlanDecision(PlanAction.APPROVE, name, f"it holds exactly {expected_csv}")


def choose_operator_group(groups: list[Manifest], installation: Installation) -> Manifest | None:
    """The OperatorGroup to create, or None when the one that exists serves all namespaces.

    Raises:
        PrerequisiteError: There are several, or the one there is does not serve all namespaces.
    """
    if not groups:
        return installation.operator_group()
    names = ", ".join(group["metadata"]["name"] for group in groups)
    if len(groups) > 1:
        raise PrerequisiteError(
            "choose the OperatorGroup",
            f"namespace {installation.namespace}",
            "at most one OperatorGroup (OLM installs nothing beside two)",
            names,
            "Delete the ones that no operator of this namespace needs, or choose another namespace.",
        )
    spec = groups[0].get("spec") or {}
    if spec.get("targetNamespaces") or spec.get("selector"):
        raise PrerequisiteError(
            "use the OperatorGroup that exists",
            f"OperatorGroup {installation.namespace}/{names}",
            "one that serves all namespaces, which is the operator's only install mode",
            f"targetNamespaces {spec.get('targetNamespaces') or 'by selector'}",
            "Choose another namespace for the operator.",
        )
    return None


def adopt_subscription(subscriptions: list[Manifest], installation: Installation) -> Manifest | None:
    """The Subscription to write, or None when another one keeps the expected version installed already.

    Raises:
        PrerequisiteError: Another Subscription of the package is there and installs something else.
    """
    same_package = [item for item in subscriptions if item["spec"].get("name") == installation.package]
    others = [item for item in same_package if item["metadata"]["name"] != installation.package]
    for other in others:
        if (other.get("status") or {}).get("installedCSV") == installation.csv:
            return None
    if others:
        other = others[0]
        found = (other.get("status") or {}).get("installedCSV") or "nothing installed yet"
        raise PrerequisiteError(
            "subscribe to the operator",
            f"Subscription {installation.namespace}/{other['metadata']['name']}",
            f"no other Subscription of package {installation.package}, or one with {installation.csv}",
            found,
            "Delete that Subscription (and its ClusterServiceVersion, if it never succeeded) and run again.",
        )
    return installation.subscription()


def refuse_other_provider(csvs: Iterable[Manifest], csv: Manifest, namespace: str) -> None:
    """Check that no operator of another namespace provides the same kinds.

    Both would cover all namespaces: OLM lets the one that was there first have them, and fails the other.

    Args:
        csvs: The cluster's ClusterServiceVersions, without copies (`NOT_COPIED`).
        csv: The one that is to be installed.
        namespace: Where it is to be installed.

    Raises:
        PrerequisiteError: There is such an operator; the message names it.
    """
    wanted = _owned_kinds(csv)
    for other in csvs:
        place, name = other["metadata"].get("namespace", ""), other["metadata"]["name"]
        shared = sorted(wanted & _owned_kinds(other))
        if place != namespace and shared:
            raise PrerequisiteError(
                f"install {csv['metadata']['name']}",
                f"namespace {namespace}",
                f"no other provider of {shared[0]}" + (f" and {len(shared) - 1} more" if shared[1:] else ""),
                f"ClusterServiceVersion {place}/{name}",
                f"Use that installation (operator.namespace {place}), or uninstall it first.",
            )


def refuse_copied_csv(csvs: Iterable[Manifest], installation: Installation) -> None:
    """Check that the expected ClusterServiceVersion is not the copy of one that runs elsewhere.

    A copy says Succeeded too, and OLM calls a Subscription beside it installed, although nothing runs there.

    Args:
        csvs: ClusterServiceVersions of the operator's namespace.
        installation: What is to be installed.

    Raises:
        PrerequisiteError: It is; the message names the namespace that the operator runs in.
    """
    for csv in csvs:
        origin = (csv["metadata"].get("labels") or {}).get(COPIED_FROM)
        if origin and csv["metadata"]["name"] == installation.csv:
            raise PrerequisiteError(
                f"install {installation.csv}",
                f"namespace {installation.namespace}",
                "it in no other namespace",
                f"a copy of ClusterServiceVersion {origin}/{installation.csv}, which covers all namespaces",
                f"Use that installation (operator.namespace {origin}), or uninstall it first.",
            )


def _owned_kinds(csv: Manifest) -> frozenset[str]:
    owned = ((csv.get("spec") or {}).get("customresourcedefinitions") or {}).get("owned") or []
    return frozenset(str(kind["name"]) for kind in owned)
