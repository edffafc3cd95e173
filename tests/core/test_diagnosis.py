"""Why an installation stalls after it was resolved: InstallPlans and the ClusterServiceVersion (R7)."""

from typing import Any

import pytest

from tasks.core.diagnosis import Cause, CauseKind, StallObservation, diagnose, ranked, stalled_error
from tasks.core.manifests import Manifest, ObjectRef
from tests.core.diagnosis_objects import (
    CSV,
    DEPLOYMENT,
    NS,
    condition,
    csv,
    group,
    kinds,
    observe,
    operator_pod,
    plan,
    subscription,
    thing,
)

MESHES = "meshes.servicemesh.oci.oracle.com"


def test_a_healthy_installation_has_no_cause() -> None:
    """R7."""
    observed = observe(
        subscription=subscription(plan="install-abcde"),
        plans=(plan(phase="Complete"),),
        csvs=(csv("Succeeded", "InstallSucceeded"),),
    )
    assert kinds(observed) == []


def planned(**parts: Any) -> StallObservation:  # noqa: ANN401 - as `plan` takes them
    return observe(subscription=subscription(plan="install-abcde"), plans=(plan(**parts),))


def test_an_install_plan_with_another_csv_is_a_cause() -> None:
    """R7: InstallPlan for another CSV."""
    cause = diagnose(planned(names=(CSV, "other.v2.0.0"), phase="RequiresApproval"))[0]
    assert (cause.kind, cause.evidence) == (
        CauseKind.FOREIGN_INSTALL_PLAN,
        f"it holds {CSV}, other.v2.0.0; expected {CSV} only",
    )


def test_a_plan_that_was_approved_too_early_is_a_cause() -> None:
    """R7: OLM 0.20 never writes its status, and names a second plan."""
    hung = plan("install-first")
    waiting = plan("install-second", approved=False, phase="RequiresApproval")
    observed = observe(subscription=subscription(plan="install-second"), plans=(hung, waiting))
    assert [(c.kind, c.subject.name) for c in diagnose(observed)] == [
        (CauseKind.PLAN_WITHOUT_STATUS, "install-first")
    ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ({"phase": "Failed", "message": "configmaps is forbidden"}, CauseKind.INSTALL_PLAN_FAILED),
        (
            {
                "phase": "Failed",
                "conditions": [condition("Installed", "False", "InstallComponentFailed", "job timed out")],
            },
            CauseKind.INSTALL_PLAN_FAILED,
        ),
        (
            {"phase": "Installing", "message": "retrying execution due to error: services is forbidden"},
            CauseKind.INSTALL_PLAN_FAILED,
        ),
        (
            {
                "phase": "Installing",
                "message": "retrying execution due to error: error validating existing CRs against new CRD's "
                'schema for "meshes.servicemesh.oci.oracle.com": …',
            },
            CauseKind.CRD_OWNER_CONFLICT,
        ),
        (
            {
                "phase": "Failed",
                "message": 'risk of data loss updating "meshes.servicemesh.oci.oracle.com": …',
            },
            CauseKind.CRD_OWNER_CONFLICT,
        ),
    ],
)
def test_a_failed_install_plan_tells_its_message(status: dict[str, object], kind: CauseKind) -> None:
    """R7."""
    assert kinds(planned(**status)) == [kind]


def test_plans_of_other_operators_are_passed_over() -> None:
    failed = plan("install-other", names=("other.v1",), phase="Failed", message="broken")
    assert kinds(observe(subscription=subscription(), plans=(failed,))) == []


def lookup(*conditions: dict[str, str]) -> dict[str, object]:
    return {"bundleLookups": [{"path": "registry.example.com/bundle:1", "conditions": list(conditions)}]}


@pytest.mark.parametrize(
    "observed",
    [
        planned(
            phase="Failed",
            **lookup(condition("BundleLookupFailed", "True", "DeadlineExceeded", "Job was active")),
        ),
        planned(
            phase="Installing",
            **lookup(
                condition(
                    "BundleLookupPending",
                    "True",
                    "JobIncomplete",
                    "unpack job not completed: Unpack pod(olm/x) container(pull) is pending. Reason: "
                    "ImagePullBackOff, Message: Back-off",
                )
            ),
        ),
        observe(
            subscription=subscription(
                condition("BundleUnpackFailed", "True", "BundleUnpackFailed", "Bundle unpacking failed - …")
            )
        ),
        observe(
            subscription=subscription(
                condition("BundleUnpacking", "True", "UnpackingInProgress", "Bundle image pull failed.")
            )
        ),
    ],
)
def test_a_bundle_that_cannot_be_unpacked_is_a_cause(observed: StallObservation) -> None:
    """R7."""
    assert kinds(observed) == [CauseKind.BUNDLE_UNPACK_FAILED]


@pytest.mark.parametrize(
    "observed",
    [
        planned(
            phase="Installing", **lookup(condition("BundleLookupPending", "True", "JobNotStarted", "not yet"))
        ),
        observe(subscription=subscription(condition("BundleUnpacking", "True", "UnpackingInProgress"))),
    ],
)
def test_a_bundle_that_is_being_unpacked_is_none(observed: StallObservation) -> None:
    assert kinds(observed) == []


def requirement(kind: str, name: str, status: str, message: str, **more: object) -> dict[str, object]:
    return {
        "group": "",
        "version": "v1",
        "kind": kind,
        "name": name,
        "status": status,
        "message": message,
        **more,
    }


def test_each_requirement_that_is_not_met_is_named() -> None:
    """R7: CSV requirement not met."""
    crd = {"group": "apiextensions.k8s.io", "version": "v1", "kind": "CustomResourceDefinition"}
    unmet = csv(
        "Pending",
        "RequirementsNotMet",
        "one or more requirements couldn't be found",
        requirementStatus=[
            {**crd, "name": "streams.oci.oracle.com", "status": "Present", "message": "CRD is present"},
            {**crd, "name": MESHES, "status": "NotPresent", "message": "CRD is not present"},
            requirement("ServiceAccount", "osok", "NotPresent", "Service account does not exist"),
        ],
    )
    assert [(c.kind, str(c.subject)) for c in diagnose(observe(csvs=(unmet,)))] == [
        (CauseKind.REQUIREMENT_NOT_MET, f"CustomResourceDefinition {MESHES}"),
        (CauseKind.REQUIREMENT_NOT_MET, f"ServiceAccount {NS}/osok"),
    ]


def test_the_rules_that_a_service_account_lacks_are_quoted() -> None:
    """R7."""
    rule = {"status": "NotSatisfied", "message": 'namespaced rule:{"verbs":["get"]}'}
    one = requirement(
        "ServiceAccount", "osok", "PresentNotSatisfied", "Policy rule not satisfied", dependents=[rule]
    )
    unmet = csv("Pending", "RequirementsNotMet", "…", requirementStatus=[one])
    assert rule["message"] in diagnose(observe(csvs=(unmet,)))[0].evidence


def test_a_crd_that_another_csv_owns_is_a_conflict() -> None:
    """R7: CRD owned by another operator, in the same namespace."""
    one = requirement(
        "CustomResourceDefinition",
        MESHES,
        "PresentNotSatisfied",
        "CRD installed alongside other CSV(s): ns/a",
    )
    unmet = csv("Pending", "RequirementsNotMet", "…", requirementStatus=[one])
    assert kinds(observe(csvs=(unmet,))) == [CauseKind.CRD_OWNER_CONFLICT]


def test_the_group_that_provides_the_same_apis_elsewhere_is_named() -> None:
    """R7: CRD owned by another operator, in another namespace."""
    apis = "AccessPolicy.v1beta1.servicemesh.oci.oracle.com,Mesh.v1beta1.servicemesh.oci.oracle.com"
    other = group("mesh-group", "mesh", {"olm.providedAPIs": apis})
    failed = csv(
        "Failed", "InterOperatorGroupOwnerConflict", "intersecting operatorgroups provide the same apis"
    )
    cause = diagnose(observe(csvs=(failed,), groups=(group(), other, group("x", "y"))))[0]
    assert (cause.kind, cause.evidence) == (
        CauseKind.CRD_OWNER_CONFLICT,
        (
            "InterOperatorGroupOwnerConflict: intersecting operatorgroups provide the same apis; the same "
            "APIs are "
            "provided under OperatorGroup mesh/mesh-group"
        ),
    )


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        (csv("Failed", "OwnerConflict", "conflicting CRD owner in namespace"), CauseKind.CRD_OWNER_CONFLICT),
        (csv("Failed", "InstallComponentFailed", "install strategy failed: …"), CauseKind.CSV_FAILED),
        (csv("InstallReady", "InstallWaiting", "Webhook install failed: …"), CauseKind.CSV_FAILED),
        (csv("Installing", "InstallWaiting", "installing: waiting for deployment"), CauseKind.STILL_WAITING),
        (csv("", "", ""), CauseKind.STILL_WAITING),
    ],
)
def test_the_csv_tells_why_it_does_not_succeed(found: Manifest, kind: CauseKind) -> None:
    """R7."""
    assert kinds(observe(csvs=(found,))) == [kind]


def late(name: str = DEPLOYMENT) -> Manifest:
    message = f'ReplicaSet "{name}-5d9c" has timed out progressing.'
    status = {"conditions": [condition("Progressing", "False", "ProgressDeadlineExceeded", message)]}
    return thing("apps/v1", "Deployment", name, metadata={"generation": 1}, spec={}, status=status)


def test_a_deployment_past_its_deadline_is_one_cause() -> None:
    """R7: the Deployment and the CSV tell the same."""
    failed = csv(
        "Failed",
        "InstallCheckFailed",
        f"install failed: deployment {DEPLOYMENT} not ready before timeout: deployment "
        f'"{DEPLOYMENT}" exceeded its progress deadline',
    )
    observed = observe(csvs=(failed,), deployments=(late(), late("somebody-else")))
    assert [(c.kind, c.subject.name) for c in diagnose(observed)] == [
        (CauseKind.PROGRESS_DEADLINE, DEPLOYMENT)
    ]


def olm(name: str, available: int) -> Manifest:
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": available}
    return thing("apps/v1", "Deployment", name, "olm", metadata={"generation": 1}, spec={}, status=status)


def test_an_olm_that_does_not_run_is_told_first() -> None:
    """R7."""
    dead = (olm("catalog-operator", 0), olm("olm-operator", 1), olm("packageserver", 0))
    observed = observe(subscription={**subscription(), "status": {}}, deployments=dead)
    assert kinds(observed) == [CauseKind.OLM_UNHEALTHY, CauseKind.OLM_SILENT]


def test_a_service_that_selects_anothers_pods_is_a_cause() -> None:
    """R4, R7: webhook Service selector that also matches another operator's pods."""
    selector = {"selector": {"control-plane": "controller-manager"}}
    service = thing("v1", "Service", f"{DEPLOYMENT}-service", spec=selector)
    stranger = operator_pod()
    stranger["metadata"]["ownerReferences"][0]["name"] = "other-manager-5d9c"
    stranger["metadata"]["name"] = "other-manager-5d9c-a"
    observed = observe(csvs=(csv("Installing"),), services=(service,), pods=(operator_pod(), stranger))
    assert [(c.kind, c.evidence) for c in diagnose(observed)] == [
        (
            CauseKind.SHARED_SERVICE_SELECTOR,
            "it also selects other-manager-5d9c-a (ReplicaSet other-manager-5d9c)",
        )
    ]


@pytest.mark.parametrize("name", [f"{DEPLOYMENT}-service", "unrelated"])
def test_a_service_that_selects_the_operator_only_is_none(name: str) -> None:
    """R4."""
    service = thing("v1", "Service", name, spec={"selector": {"control-plane": "controller-manager"}})
    observed = observe(csvs=(csv("Succeeded"),), services=(service,), pods=(operator_pod(),))
    assert kinds(observed) == []


REF = ObjectRef("v1", "Pod", "x", NS)


def test_causes_are_ranked_and_told_once_for_each_object() -> None:
    late_one = Cause(CauseKind.CSV_FAILED, REF, "a", "b")
    first = Cause(CauseKind.IMAGE_PULL, REF, "c", "d")
    assert ranked([late_one, first, Cause(CauseKind.IMAGE_PULL, REF, "again", "")]) == (first, late_one)


def test_the_error_of_a_stalled_stage_names_the_cause_and_the_next_step() -> None:
    """R7: never only "timed out"."""
    error = stalled_error(
        "see the CSV succeed", "fra-1", [Cause(CauseKind.IMAGE_PULL, REF, "401", "Log in.")]
    )
    assert str(error) == (
        "Could not see the CSV succeed (fra-1): expected it to happen before the deadline; found IMAGE_PULL: "
        f"Pod {NS}/x: 401. Log in."
    )


def test_the_error_says_when_no_cause_was_found() -> None:
    assert "no cause could be read off the cluster" in str(stalled_error("a", "b", []))


def test_the_error_counts_the_causes_that_it_leaves_out() -> None:
    causes = [Cause(CauseKind.IMAGE_PULL, ObjectRef("v1", "Pod", str(i)), "x" * 900, "") for i in range(5)]
    text = str(stalled_error("a", "b", causes))
    assert ("(and 2 more)" in text, "x" * 501 in text) == (True, False)
