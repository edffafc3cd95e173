"""What the benchmarks read out of an audit log (R20)."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.olm_activity import read_activity
from deployments.rehearsal.controlplane.audit import AuditedRequest
from deployments.rehearsal.programs import OlmVersion
from tasks.core.profiles import built_in_profile

PROFILE = built_in_profile()
START = datetime(2026, 1, 1, tzinfo=UTC)
OLM = "system:serviceaccount:olm:olm-operator-serviceaccount"
FLEET = "system:serviceaccount:osok-fleet:osok-fleet"
SECRET = "oci-service-operator-controller-manager-service-cert"
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
OWNED = f"{CONFIGURATIONS}?labelSelector=olm.owner%3Doci-service-operator.v1.1.9"


def _request(seconds: float, user: str, verb: str, resource: str, name: str = "") -> AuditedRequest:
    subresource = "status" if resource == "clusterserviceversions" else ""
    return AuditedRequest(
        verb=verb,
        path=OWNED if verb == "list" else "",
        user=user,
        user_agent="",
        resource=resource,
        subresource=subresource,
        namespace=PROFILE.namespace,
        name=name,
        status=200,
        at=START + timedelta(seconds=seconds),
    )


def _look(seconds: float) -> AuditedRequest:
    return _request(seconds, OLM, "list", "validatingwebhookconfigurations")


def test_lists_that_follow_each_other_are_one_look() -> None:
    found = read_activity([_look(1), _look(3), _look(5), _look(60)], PROFILE, OlmVersion.V0_46_0)

    assert found.looks == (START + timedelta(seconds=1), START + timedelta(seconds=60))


def test_a_look_is_between_the_steps_after_the_first_write_and_before_olm_is_asked() -> None:
    requests = [
        _look(1),
        _request(10, FLEET, "patch", "secrets", SECRET),
        _look(20),
        _request(30, FLEET, "patch", "secrets", SECRET),
        _request(40, FLEET, "patch", "clusterserviceversions", "oci-service-operator.v1.1.9"),
        _look(50),
    ]

    found = read_activity(requests, PROFILE, OlmVersion.V0_46_0)

    assert found.looks_between == (START + timedelta(seconds=20),)
    assert found.step_before(START + timedelta(seconds=20)) == "Secret write 1"
    assert found.step_before(START + timedelta(seconds=35)) == "Secret write 2"


def test_a_renewal_has_no_last_step_that_asks_olm() -> None:
    requests = [_request(10, FLEET, "patch", "secrets", SECRET), _look(20), _look(90)]

    found = read_activity(requests, PROFILE, OlmVersion.V0_46_0)

    assert found.looks_between == (START + timedelta(seconds=20), START + timedelta(seconds=90))


@pytest.mark.parametrize(
    ("olm", "verb", "name"),
    [
        (OlmVersion.V0_46_0, "patch", "oci-service-operator-controller-manager-service"),
        (OlmVersion.V0_20_0, "create", ""),
    ],
)
def test_each_run_of_olms_installer_writes_its_service(olm: OlmVersion, verb: str, name: str) -> None:
    requests = [
        _request(1, OLM, verb, "services", name),
        _request(2, FLEET, verb, "services", name),
        _request(3, OLM, "patch", "services", "another"),
    ]

    assert read_activity(requests, PROFILE, olm).installs == (START + timedelta(seconds=1),)


def test_a_rollout_is_a_new_replica_set() -> None:
    controller = "system:serviceaccount:kube-system:deployment-controller"
    requests = [_request(1, controller, verb, "replicasets") for verb in ("create", "update", "delete")]

    assert read_activity(requests, PROFILE, OlmVersion.V0_46_0).rollouts == 1
