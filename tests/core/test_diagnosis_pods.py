"""Why pods of an installation do not run (R7)."""

import pytest

from tasks.core.diagnosis import CauseKind, StallObservation, diagnose, image_pull_advice
from tasks.core.manifests import Manifest
from tests.core.diagnosis_objects import (
    CATALOG,
    DEPLOYMENT,
    NS,
    catalog_pod,
    condition,
    csv,
    event,
    kinds,
    observe,
    operator_pod,
    replica_set,
    thing,
    waiting,
)

INSTALLING = (csv("Installing", "InstallWaiting", "installing: waiting for deployment"),)
VIOLATION = (
    'pods "oci-service-operator-controller-manager-5d9c-" is forbidden: violates PodSecurity '
    '"restricted:latest": restricted volume types (volume "pki" uses restricted volume type "hostPath")'
)


def pods(*found: Manifest) -> StallObservation:
    return observe(csvs=INSTALLING, pods=found)


def crashed(message: str = "", restarts: int = 4, **state: object) -> Manifest:
    ended = {"exitCode": 1, "reason": "Error", "message": message}
    base = waiting("CrashLoopBackOff", "back-off 40s restarting failed container")
    return {**base, "restartCount": restarts, "lastState": {"terminated": ended}, **state}


@pytest.mark.parametrize("made_by_olm", [True, False])
def test_a_catalog_program_that_crashes_is_told_with_its_last_words(made_by_olm: bool) -> None:  # noqa: FBT001 - a case
    """R7: catalog program crash-loops (operator-registry#984)."""
    words = "mkdir: can't create directory '/database': Permission denied"
    cause = diagnose(observe(pods=(catalog_pod(crashed(words), made_by_olm=made_by_olm),)))[0]
    assert (cause.kind, cause.subject.name, cause.evidence) == (
        CauseKind.CATALOG_CRASH_LOOP,
        f"{CATALOG}-7b",
        f"container manager ended 4 times, last with exit code 1 (Error): {words}",
    )


def test_an_operator_that_crashes_is_another_cause() -> None:
    """R7: bad credentials make the manager exit."""
    assert kinds(pods(operator_pod(crashed()))) == [CauseKind.OPERATOR_CRASH_LOOP]


def test_a_container_between_two_crashes_counts() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    cause = diagnose(pods(operator_pod(crashed(state=ended, lastState={}))))[0]
    assert "exit code 137 (OOMKilled)" in cause.evidence


def test_a_container_that_ended_well_does_not_count() -> None:
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    assert kinds(pods(operator_pod(crashed(state=ended)))) == [CauseKind.STILL_WAITING]


def test_an_olm_that_crashes_is_the_first_cause() -> None:
    dead = thing("v1", "Pod", "olm-operator-5-x", "olm", status={"containerStatuses": [crashed()]})
    assert kinds(pods(operator_pod(crashed()), dead)) == [
        CauseKind.OLM_UNHEALTHY,
        CauseKind.OPERATOR_CRASH_LOOP,
    ]


def test_an_unpack_job_that_crashes_is_a_failed_unpacking() -> None:
    labels = {"operatorframework.io/bundle-unpack-ref": "abc"}
    job = thing(
        "v1", "Pod", "abc-x", "olm", {"labels": labels}, status={"initContainerStatuses": [crashed()]}
    )
    assert kinds(pods(job)) == [CauseKind.BUNDLE_UNPACK_FAILED]


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]
)
def test_an_image_that_cannot_be_pulled_is_named(reason: str) -> None:
    """R7."""
    cause = diagnose(pods(operator_pod(waiting(reason, "failed to pull: 401 Unauthorized"))))[0]
    assert (cause.kind, cause.evidence) == (
        CauseKind.IMAGE_PULL,
        (
            f"container manager is waiting: {reason}: failed to pull: 401 Unauthorized (image "
            "registry.example.com/op:1)"
        ),
    )


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("unexpected status code 401 Unauthorized", "The registry wants credentials"),
        (
            "pull access denied, repository does not exist or may require authorization",
            "The registry wants credentials",
        ),
        ("toomanyrequests: You have reached your pull rate limit", "The registry limits the rate"),
        ("429 Too Many Requests", "The registry limits the rate"),
        ("manifest unknown: manifest unknown", "The registry has no such image"),
        ("registry.example.com/op:9: not found", "The registry has no such image"),
        ("x509: certificate signed by unknown authority", "The node does not trust"),
        ("dial tcp: lookup registry.invalid: no such host", "The node does not reach"),
        ("net/http: request canceled (Client.Timeout exceeded)", "The node does not reach"),
        ("", "Pull the image by hand"),
    ],
)
def test_the_advice_follows_what_the_registry_said(message: str, advice: str) -> None:
    """R7: 401, 404 and 429 of a registry are told apart."""
    assert image_pull_advice(message).startswith(advice)


def test_a_missing_secret_of_the_environment_is_named() -> None:
    """R7: missing required Secret env."""
    message = 'secret "oci-service-operator-osokconfig" not found'
    cause = diagnose(pods(operator_pod(waiting("CreateContainerConfigError", message))))[0]
    assert (cause.kind, message in cause.evidence) == (CauseKind.MISSING_CONFIGURATION, True)


def test_a_missing_volume_is_named() -> None:
    """R7."""
    pod = operator_pod(waiting("ContainerCreating"))
    message = 'MountVolume.SetUp failed for volume "manager-config": configmap "x" not found'
    mounted = event("FailedMount", "Pod", pod["metadata"]["name"], message)
    stranger = event("FailedMount", "Pod", "somebody-else", message)
    causes = diagnose(observe(csvs=INSTALLING, pods=(pod,), events=(stranger, mounted)))
    assert [(c.kind, c.evidence) for c in causes] == [(CauseKind.MISSING_CONFIGURATION, message)]


def test_an_old_mount_error_of_a_running_pod_does_not_count() -> None:
    pod = operator_pod(phase="Running")
    mounted = event("FailedMount", "Pod", pod["metadata"]["name"], "MountVolume.SetUp failed")
    observed = observe(csvs=INSTALLING, pods=(pod,), events=(mounted,))
    assert kinds(observed) == [CauseKind.STILL_WAITING]


def test_a_pod_that_fits_no_node_is_a_cause() -> None:
    """R7."""
    unfit = condition(
        "PodScheduled", "False", "Unschedulable", "0/3 nodes are available: 3 Insufficient cpu."
    )
    cause = diagnose(pods(operator_pod(conditions=[unfit])))[0]
    assert (cause.kind, cause.evidence) == (
        CauseKind.UNSCHEDULABLE,
        "0/3 nodes are available: 3 Insufficient cpu.",
    )


def test_pods_of_others_are_passed_over() -> None:
    """Only the catalog's, the operator's, OLM's and unpack Jobs' pods belong to the installation."""
    app = thing(
        "v1", "Pod", "shop-1", metadata={"labels": {"app": "shop"}}, status={"containerStatuses": [crashed()]}
    )
    assert kinds(observe(pods=(app,))) == []


def refused_deployment(message: str) -> Manifest:
    failure = condition("ReplicaFailure", "True", "FailedCreate", message)
    return thing("apps/v1", "Deployment", DEPLOYMENT, spec={}, status={"conditions": [failure]})


def refused_replica_set(message: str) -> Manifest:
    return replica_set(f"{DEPLOYMENT}-5d9c", 0, condition("ReplicaFailure", "True", "FailedCreate", message))


@pytest.mark.parametrize(
    "observed",
    [
        observe(csvs=INSTALLING, deployments=(refused_deployment(VIOLATION),)),
        observe(csvs=INSTALLING, replica_sets=(refused_replica_set(VIOLATION),)),
        observe(
            csvs=INSTALLING,
            replica_sets=(replica_set(),),
            events=(
                event(
                    "FailedCreate",
                    "ReplicaSet",
                    f"{DEPLOYMENT}-5d9c",
                    f"Error creating: {VIOLATION}",
                    "apps/v1",
                ),
            ),
        ),
        observe(
            csvs=INSTALLING,
            events=(event("FailedCreate", "Job", "unpack-1", f"Error creating: {VIOLATION}", "batch/v1"),),
        ),
    ],
)
def test_a_pod_that_pod_security_refuses_is_a_cause(observed: StallObservation) -> None:
    """R7: pod blocked by PodSecurity."""
    assert kinds(observed) == [CauseKind.POD_SECURITY]


def test_a_quota_that_refuses_pods_is_another_cause() -> None:
    """R7."""
    observed = observe(csvs=INSTALLING, deployments=(refused_deployment("exceeded quota: compute"),))
    assert kinds(observed) == [CauseKind.POD_NOT_CREATED]


@pytest.mark.parametrize(
    ("sets", "named"),
    [
        ((replica_set(replicas=1),), f"{DEPLOYMENT}-5d9c"),
        ((), f"{DEPLOYMENT}-5d9c"),
        ((replica_set("somebody-else-5d9c"),), "somebody-else-5d9c"),
    ],
)
def test_an_event_whose_reason_is_gone_does_not_count(sets: tuple[Manifest, ...], named: str) -> None:
    """Events outlive their reason by an hour."""
    old = event("FailedCreate", "ReplicaSet", named, VIOLATION, "apps/v1")
    observed = observe(csvs=INSTALLING, replica_sets=sets, events=(old,))
    assert kinds(observed) == [CauseKind.STILL_WAITING]


def test_a_namespace_other_than_olms_can_be_olms() -> None:
    dead = thing("v1", "Pod", "olm-1", "operator-lifecycle", status={"containerStatuses": [crashed()]})
    assert kinds(observe(pods=(dead,), olm_namespace="operator-lifecycle")) == [CauseKind.OLM_UNHEALTHY]


def test_the_operators_pods_are_unknown_before_there_is_a_csv() -> None:
    assert kinds(observe(pods=(operator_pod(crashed()),))) == []


def test_the_namespace_of_the_installation_is_the_one_of_its_pods() -> None:
    assert diagnose(pods(operator_pod(crashed())))[0].subject.namespace == NS


def test_a_pod_of_olm_that_is_refused_is_a_cause() -> None:
    failure = condition("ReplicaFailure", "True", "FailedCreate", VIOLATION)
    refused = thing(
        "apps/v1",
        "Deployment",
        "olm-operator",
        "olm",
        {"generation": 1},
        spec={},
        status={"conditions": [failure]},
    )
    assert kinds(observe(deployments=(refused,))) == [CauseKind.OLM_UNHEALTHY, CauseKind.POD_SECURITY]
