"""Causes in InstallPlans: not ours, hung, failed, or with a bundle that could not be unpacked.

Texts: operator-lifecycle-manager v0.46.0 pkg/controller/operators/catalog/operator.go
(transitionInstallPlanState), step.go (CRD updates), pkg/controller/bundle/bundle_unpacker.go; v0.20.0 alike.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tasks.core.conditions import condition_of
from tasks.core.diagnosis.causes import Cause, CauseKind
from tasks.core.diagnosis.groups import kind_of_complaint
from tasks.core.diagnosis.observation import StallObservation, status_of
from tasks.core.manifests import Manifest, ObjectRef, ref_of

_RETRYING = "retrying execution due to error: "
_CRD_CONFLICT = re.compile(
    r"risk of data loss updating|validating existing CRs against new CRD|all claim to own CRD"
)
_UNPACK_STEP = (
    "Check the bundle image and the pull secret of the CatalogSource; after repairing it delete the "
    "failed Job (label operatorframework.io/bundle-unpack-ref) or wait for OLM's next attempt."
)


def plan_causes(observed: StallObservation) -> Iterator[Cause]:
    """What is wrong with the InstallPlans of the installation, and with unpacking its bundle."""
    expected = observed.installation.csv
    named = observed.named_plan
    if named is not None and _csv_names(named) != [expected]:
        yield _foreign(named, expected)
    for plan in observed.plans:
        if plan is named or expected in _csv_names(plan):
            yield from _plan(plan)
    yield from _unpacking(observed)


def _csv_names(plan: Manifest) -> list[str]:
    return list((plan.get("spec") or {}).get("clusterServiceVersionNames") or [])


def _foreign(plan: Manifest, expected: str) -> Cause:
    next_step = (
        "OLM resolves all Subscriptions of a namespace together: approve or remove the others yourself, "
        "or install the operator into a namespace of its own."
    )
    names = ", ".join(_csv_names(plan)) or "nothing"
    evidence = f"it holds {names}; expected {expected} only"
    return Cause(CauseKind.FOREIGN_INSTALL_PLAN, ref_of(plan), evidence, next_step)


def _plan(plan: Manifest) -> Iterator[Cause]:
    status = status_of(plan)
    ref = ref_of(plan)
    if not status.get("phase") and plan["spec"].get("approved"):
        next_step = (
            "Run the flow again: it approves the plan that the Subscription names. This one never moves."
        )
        yield Cause(CauseKind.PLAN_WITHOUT_STATUS, ref, "it is approved but OLM wrote no status", next_step)
    message = _failure(plan)
    if message and kind_of_complaint(message) is None:
        yield _failed(ref, message)
    for lookup in status.get("bundleLookups") or []:
        yield from _lookup(ref, lookup)


def _failure(plan: Manifest) -> str:
    status = status_of(plan)
    installed = condition_of(plan, "Installed")
    message = str(status.get("message") or installed.message)
    failed = status.get("phase") == "Failed" or installed.is_false
    return message if failed or message.startswith(_RETRYING) else ""


def _failed(ref: ObjectRef, message: str) -> Cause:
    if _CRD_CONFLICT.search(message):
        next_step = (
            "The CRD that is there comes from another operator, or objects of its kind do not fit the "
            "new schema: find out who owns it before you remove anything."
        )
        return Cause(CauseKind.CRD_OWNER_CONFLICT, ref, message, next_step)
    next_step = "Repair what the message names; a plan in phase Failed is final, so delete it and run again."
    return Cause(CauseKind.INSTALL_PLAN_FAILED, ref, message, next_step)


def _lookup(ref: ObjectRef, lookup: Mapping[str, Any]) -> Iterator[Cause]:
    holder = {"status": lookup}
    failed, pending = (condition_of(holder, f"BundleLookup{state}") for state in ("Failed", "Pending"))
    bundle = lookup.get("path") or lookup.get("identifier")
    if failed.is_true:
        yield Cause(CauseKind.BUNDLE_UNPACK_FAILED, ref, f"{bundle}: {failed.explanation()}", _UNPACK_STEP)
    elif pending.is_true and "is pending. Reason:" in pending.message:
        yield Cause(CauseKind.BUNDLE_UNPACK_FAILED, ref, f"{bundle}: {pending.explanation()}", _UNPACK_STEP)


def _unpacking(observed: StallObservation) -> Iterator[Cause]:
    subscription = observed.subscription
    if subscription is None:
        return
    for condition_type in ("BundleUnpackFailed", "BundleUnpacking"):
        condition = condition_of(subscription, condition_type)
        # While it still unpacks, a message stands there only when pulling the image fails.
        if condition.is_true and condition.message:
            yield Cause(
                CauseKind.BUNDLE_UNPACK_FAILED, ref_of(subscription), condition.explanation(), _UNPACK_STEP
            )
