"""Causes around OperatorGroups: OLM installs nothing in a namespace that has none, or more than one.

OLM 0.46 then stops before it writes any condition on the Subscription, and 0.20 resolves and stops later
(both tried), so the groups themselves are counted first. Texts: operator-lifecycle-manager v0.46.0
pkg/controller/operators/olm/operator.go (operatorGroupForCSV),
pkg/controller/registry/resolver/step_resolver.go, pkg/lib/scoped/querier.go; v0.20.0 alike but without the
check in the resolver.
"""

import re
from collections.abc import Iterator

from tasks.core.conditions import condition_of
from tasks.core.diagnosis.causes import Cause, CauseKind
from tasks.core.diagnosis.observation import StallObservation, status_of
from tasks.core.manifests import Manifest, ObjectRef, ref_of

_SEVERAL = re.compile(
    r"multiple operatorgroups|more than one operator group|OperatorGroup in the namespace, found [1-9]"
)
_NONE = re.compile(r"no operatorgroups|no operator group found|OperatorGroup in the namespace, found 0")
_REASONS = {
    "TooManyOperatorGroups": CauseKind.SEVERAL_OPERATOR_GROUPS,
    "NoOperatorGroup": CauseKind.NO_OPERATOR_GROUP,
    "UnsupportedOperatorGroup": CauseKind.UNSUPPORTED_OPERATOR_GROUP,
    "NoTargetNamespaces": CauseKind.UNSUPPORTED_OPERATOR_GROUP,
    "InvalidInstallModes": CauseKind.UNSUPPORTED_OPERATOR_GROUP,
}
_STEPS = {
    CauseKind.SEVERAL_OPERATOR_GROUPS: (
        "Leave one OperatorGroup in the namespace, or install the operator into a namespace of its own."
    ),
    CauseKind.NO_OPERATOR_GROUP: "Create an OperatorGroup in the namespace; the flow does it when run again.",
    CauseKind.UNSUPPORTED_OPERATOR_GROUP: (
        "The operator wants an OperatorGroup for all namespaces (empty spec): choose another namespace "
        "for it."
    ),
}


def group_causes(observed: StallObservation) -> Iterator[Cause]:
    """Too many OperatorGroups, none, or one that the operator does not support."""
    namespace = ObjectRef("v1", "Namespace", observed.namespace)
    names = ", ".join(group["metadata"]["name"] for group in observed.own_groups)
    if len(observed.own_groups) > 1:
        yield _cause(CauseKind.SEVERAL_OPERATOR_GROUPS, namespace, f"OperatorGroups {names}")
        return
    # Before there is a Subscription the namespace needs none yet.
    if observed.subscription is not None and observed.groups is not None and not observed.own_groups:
        yield _cause(CauseKind.NO_OPERATOR_GROUP, namespace, "there is no OperatorGroup in it")
        return
    for subject, text in _complaints(observed):
        kind = kind_of_complaint(text)
        if kind is not None:
            yield _cause(kind, namespace, f"{subject}: {text}")
    csv = observed.csv
    reason = status_of(csv).get("reason", "")
    if csv is not None and reason in _REASONS:
        message = status_of(csv).get("message", "")
        yield _cause(_REASONS[reason], namespace, f"{ref_of(csv)}: {reason}: {message}")


def kind_of_complaint(text: str) -> CauseKind | None:
    """What OLM says about the number of OperatorGroups; None when the text is about something else."""
    if _SEVERAL.search(text):
        return CauseKind.SEVERAL_OPERATOR_GROUPS
    return CauseKind.NO_OPERATOR_GROUP if _NONE.search(text) else None


def _complaints(observed: StallObservation) -> Iterator[tuple[ObjectRef, str]]:
    told: list[tuple[Manifest | None, str]] = [
        (observed.subscription, "ResolutionFailed"),
        *((plan, "Installed") for plan in observed.plans),
    ]
    for manifest, condition_type in told:
        if manifest is not None:
            yield ref_of(manifest), condition_of(manifest, condition_type).message


def _cause(kind: CauseKind, subject: ObjectRef, evidence: str) -> Cause:
    return Cause(kind, subject, evidence, _STEPS[kind])
