"""Live objects compared with the profile: CRDs (R8), webhooks (R9, R10), Deployment and Services (R4, R7)."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.manifests import Manifest
from tasks.core.profiles import OperatorProfile
from tasks.core.verification import (
    Check,
    Finding,
    FindingState,
    OperatorObservation,
    foreign_pods,
    open_findings,
    verify_objects,
    worst_state,
)
from tests.core.verification_objects import (
    NAMESPACE,
    NOW,
    OSOK,
    configuration,
    crd,
    endpoint_slice,
    healthy,
    pod,
    service,
    webhook_named,
    with_configuration,
)

MESH = webhook_named("mesh-validator")
INJECTOR = webhook_named("proxy-injector")
INERT = webhook_named("vautonomousdatabases")


def problems(observed: OperatorObservation, profile: OperatorProfile = OSOK) -> list[Finding]:
    return list(open_findings(verify_objects(profile, observed, NOW)))


def only_problem(observed: OperatorObservation) -> Finding:
    found = problems(observed)
    assert len(found) == 1, found
    return found[0]


def test_a_healthy_operator_passes_every_check() -> None:
    """R8, R9, R10."""
    assert problems(healthy()) == []


def test_every_kind_of_check_on_objects_is_carried_out() -> None:
    """R4, R7, R8, R9, R10."""
    calls = {Check.CALL_ALLOWED, Check.CALL_DENIED, Check.INJECTOR_CALL, Check.HANDSHAKE}
    only_when_wrong = {Check.WEBHOOK_UNEXPECTED}
    done = {finding.check for finding in verify_objects(OSOK, healthy(), NOW)}
    assert done == set(Check) - calls - only_when_wrong


def test_the_runbook_steps_of_the_verification_are_named() -> None:
    assert {f.runbook for f in verify_objects(OSOK, healthy(), NOW)} == {
        "R4",
        "R7",
        "R8",
        "R9",
        "R10",
        "R12",
        "",
    }


def crds_with(name: str, live: Manifest | None) -> OperatorObservation:
    crds = {key: value for key, value in healthy().crds.items() if key != name}
    return replace(healthy(), crds=crds if live is None else {**crds, name: live})


MESHES = "meshes.servicemesh.oci.oracle.com"


@pytest.mark.parametrize(
    ("live", "found"),
    [
        (None, "no such CRD"),
        (crd(MESHES, "v1"), "Established, v1 served"),
        ({**crd(MESHES, "v1beta1"), "status": {}}, "not Established yet"),
    ],
)
def test_a_crd_of_the_runbook_that_is_not_served_fails(live: Manifest | None, found: str) -> None:
    """R8."""
    finding = only_problem(crds_with(MESHES, live))
    assert (finding.state, finding.runbook, finding.found) == (FindingState.FAIL, "R8", found)


def test_an_additional_crd_that_is_missing_is_a_warning() -> None:
    finding = only_problem(crds_with("streams.oci.oracle.com", None))
    assert (finding.state, finding.runbook) == (FindingState.WARN, "")


def test_a_webhook_that_is_not_registered_fails() -> None:
    """R9."""
    observed = healthy()
    kept = tuple(c for c in observed.configurations if "mesh-validator" not in c["metadata"]["name"])
    finding = only_problem(replace(observed, configurations=kept))
    assert (finding.check, finding.state, finding.found) == (Check.WEBHOOK_PRESENT, FindingState.FAIL, "none")


def test_an_inert_webhook_may_be_absent() -> None:
    observed = healthy()
    kept = tuple(c for c in observed.configurations if "autonomousdatabases" not in c["metadata"]["name"])
    assert problems(replace(observed, configurations=kept)) == []


def test_a_webhook_that_lost_its_labels_is_known_by_its_name() -> None:
    """R9: the generated suffix is tolerated."""
    changed = configuration(MESH, "zz9xk")
    changed["metadata"]["labels"] = {}
    assert problems(with_configuration(MESH, changed)) == []


def test_a_webhook_of_a_longer_name_is_another_one() -> None:
    """R9: `vs-validator` is no prefix match for `vsrt-validator`, nor for names with a longer suffix."""
    changed = configuration(MESH, "abcdef")
    changed["metadata"]["labels"] = {}
    found = {finding.check for finding in problems(with_configuration(MESH, changed))}
    assert found == {Check.WEBHOOK_PRESENT, Check.WEBHOOK_UNEXPECTED}


def test_a_doubled_webhook_fails_and_names_both() -> None:
    """R9."""
    observed = healthy()
    doubled = (*observed.configurations, configuration(MESH, "zzzzz"))
    finding = only_problem(replace(observed, configurations=doubled))
    assert finding.found == (
        "mesh-validator.servicemesh.oci.oracle.cloud.com-abcde, "
        "mesh-validator.servicemesh.oci.oracle.cloud.com-zzzzz"
    )


def changed_entry(**fields: Any) -> Manifest:  # noqa: ANN401 - JSON
    changed = configuration(MESH)
    changed["webhooks"][0].update(fields)
    return changed


def changed_service(**fields: Any) -> Manifest:  # noqa: ANN401 - JSON
    client = deepcopy(configuration(MESH)["webhooks"][0]["clientConfig"])
    client["service"].update(fields)
    return changed_entry(clientConfig=client)


RULE = {"apiGroups": ["servicemesh.oci.oracle.com"], "apiVersions": ["v1beta1"], "resources": ["meshes"]}
ADDRESS = f"{NAMESPACE}/oci-service-operator-controller-manager-service"


@pytest.mark.parametrize(
    ("changed", "check", "found"),
    [
        (changed_entry(failurePolicy="Ignore"), Check.WEBHOOK_FAILURE_POLICY, "Ignore"),
        (changed_entry(sideEffects="Some"), Check.WEBHOOK_SIDE_EFFECTS, "Some"),
        (changed_entry(rules=[]), Check.WEBHOOK_RULES, "no rules"),
        (
            changed_entry(rules=[{**RULE, "operations": ["CREATE"]}]),
            Check.WEBHOOK_RULES,
            "CREATE servicemesh.oci.oracle.com/v1beta1/meshes",
        ),
        (
            changed_entry(rules=[{**RULE, "operations": ["CREATE", "DELETE", "UPDATE"], "scope": "Cluster"}]),
            Check.WEBHOOK_RULES,
            "CREATE,DELETE,UPDATE servicemesh.oci.oracle.com/v1beta1/meshes (Cluster only)",
        ),
        (changed_service(path="/other"), Check.WEBHOOK_ADDRESS, f"{ADDRESS}:443/other"),
        (
            changed_service(namespace="other"),
            Check.WEBHOOK_ADDRESS,
            f"other/{OSOK.olm_service}:443{MESH.path}",
        ),
    ],
)
def test_a_changed_webhook_fails_and_tells_what_was_found(
    changed: Manifest, check: Check, found: str
) -> None:
    """R9."""
    finding = only_problem(with_configuration(MESH, changed))
    assert (finding.check, finding.state, finding.found) == (check, FindingState.FAIL, found)


def test_a_webhook_that_calls_an_address_outside_the_cluster_fails() -> None:
    """R9."""
    client = {
        "url": "https://example.com/",
        "caBundle": configuration(MESH)["webhooks"][0]["clientConfig"]["caBundle"],
    }
    finding = only_problem(with_configuration(MESH, changed_entry(clientConfig=client)))
    assert (finding.check, finding.found) == (Check.WEBHOOK_ADDRESS, "no Service")


@pytest.mark.parametrize("field", ["namespaceSelector", "objectSelector"])
def test_a_webhook_that_is_not_called_everywhere_is_a_warning(field: str) -> None:
    """R9."""
    selector = {"matchLabels": {"team": "a"}}
    finding = only_problem(with_configuration(MESH, changed_entry(**{field: selector})))
    assert (finding.check, finding.state) == (Check.WEBHOOK_SCOPE, FindingState.WARN)


def test_the_injector_is_noted_to_be_called_for_every_pod() -> None:
    """R10: OLM replaces the selector of the operator's sources."""
    notes = [
        finding.found
        for finding in verify_objects(OSOK, healthy(), NOW)
        if finding.check is Check.WEBHOOK_SCOPE and finding.runbook == "R10"
    ]
    assert len(notes) == 1
    assert "called for every pod of the cluster" in notes[0]


def test_an_inert_webhook_whose_rule_matches_is_a_warning() -> None:
    name = "autonomousdatabases.oci.oracle.com"
    found = problems(crds_with(name, crd(name, "v1", "v1beta1")))
    assert {(f.check, f.state, f.found) for f in found} == {
        (Check.WEBHOOK_INERT, FindingState.WARN, f"it is called for {name}/v1")
    }


def test_a_foreign_webhook_on_the_operators_service_is_a_warning() -> None:
    stranger = configuration(MESH)
    stranger["metadata"] = {"name": "stranger", "labels": {}}
    stranger["webhooks"][0]["name"] = "stranger.example.com"
    observed = healthy()
    finding = only_problem(replace(observed, configurations=(*observed.configurations, stranger)))
    assert (finding.check, finding.state) == (Check.WEBHOOK_UNEXPECTED, FindingState.WARN)


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(len(OSOK.webhooks))), st.permutations(["CREATE", "UPDATE", "DELETE"]))
def test_order_never_matters(order: list[int], operations: list[str]) -> None:
    """The same objects in any order are the same operator."""
    observed = healthy()
    changed = changed_entry(rules=[{**RULE, "operations": operations}])
    all_of_them = [*with_configuration(MESH, changed).configurations]
    assert problems(replace(observed, configurations=tuple(all_of_them[i] for i in order))) == []


def test_a_deployment_that_is_not_available_fails() -> None:
    """R7."""
    finding = only_problem(replace(healthy(), deployment=None))
    assert (finding.check, finding.state, finding.found) == (Check.DEPLOYMENT, FindingState.FAIL, "MISSING")


OLM_SERVICE = OSOK.olm_service


def services_with(name: str, live: Manifest | None) -> OperatorObservation:
    services = {key: value for key, value in healthy().services.items() if key != name}
    return replace(healthy(), services=services if live is None else {**services, name: live})


@pytest.mark.parametrize(
    ("live", "found"),
    [
        (None, "no such Service"),
        ({"spec": {}}, "no port, selects nothing"),
        (
            {"spec": {"ports": [{"port": 443, "targetPort": 8443}], "selector": OSOK.pod_labels}},
            "port 443 to 8443, selects control-plane=controller-manager",
        ),
        (
            {"spec": {"ports": [{"port": 443, "targetPort": 9443}], "selector": {"app": "x"}}},
            "port 443 to 9443, selects app=x",
        ),
    ],
)
def test_a_service_that_does_not_lead_to_the_operator_fails(live: Manifest | None, found: str) -> None:
    finding = only_problem(services_with(OLM_SERVICE, live))
    assert (finding.check, finding.state, finding.found) == (Check.SERVICE, FindingState.FAIL, found)


@pytest.mark.parametrize(
    ("ready", "found"), [((), "0 of 0 endpoints ready"), ((False, False), "0 of 2 endpoints ready")]
)
def test_a_service_without_a_ready_endpoint_fails(ready: tuple[bool, ...], found: str) -> None:
    others = [piece for piece in healthy().slices if OLM_SERVICE not in piece["metadata"]["name"]]
    finding = only_problem(replace(healthy(), slices=(*others, endpoint_slice(OLM_SERVICE, *ready))))
    assert (finding.check, finding.found) == (Check.ENDPOINTS, found)


def test_an_endpoint_without_the_condition_is_ready() -> None:
    """discovery.k8s.io/v1: an absent condition is to be taken as ready."""
    slices = deepcopy(healthy().slices)
    slices[0]["endpoints"][0].pop("conditions")
    assert problems(replace(healthy(), slices=slices)) == []


def test_pods_of_another_operator_behind_the_service_fail() -> None:
    """R4: refuse a namespace where another operator's pods match the Service selector."""
    stranger = pod("other-1", "other-manager-5d9c")
    found = problems(replace(healthy(), pods=(*healthy().pods, stranger)))
    assert {(f.check, f.runbook, f.state, f.found) for f in found} == {
        (Check.SERVICE_SELECTOR, "R4", FindingState.FAIL, "other-1 (ReplicaSet other-manager-5d9c)")
    }


def test_a_namespace_can_be_judged_before_the_services_exist() -> None:
    """R4."""
    observed = replace(healthy(), services={}, pods=(pod("other-1", "other-manager-5d9c"),))
    found = [finding for finding in problems(observed) if finding.check is Check.SERVICE_SELECTOR]
    assert [finding.found for finding in found] == ["other-1 (ReplicaSet other-manager-5d9c)"] * 2


def no_controller() -> Manifest:
    alone = pod("alone", "nobody")
    alone["metadata"].pop("ownerReferences")
    return alone


def finished() -> Manifest:
    return {**pod("job-1", "job", kind="Job"), "status": {"phase": "Succeeded"}}


@pytest.mark.parametrize(
    ("one", "owners"),
    [
        (pod("manager-1", "oci-service-operator-controller-manager-5d9c"), []),
        (pod("other-1", "oci-service-operator-controller-manager-other-5d9c"), ["ReplicaSet"]),
        (pod("set-1", "manager", kind="StatefulSet"), ["StatefulSet"]),
        (no_controller(), ["no"]),
        (finished(), []),
        (pod("x", "x", **{"control-plane": "something-else"}), []),
    ],
)
def test_a_pod_is_foreign_when_another_controller_owns_it(one: Manifest, owners: list[str]) -> None:
    """R4."""
    found = foreign_pods(OSOK.pod_labels, OSOK.deployment, [one])
    assert [pod.owner.split()[0] for pod in found] == owners


def test_a_selector_that_selects_nothing_matches_no_pod() -> None:
    assert foreign_pods({}, OSOK.deployment, [pod("x", "x")]) == ()


@pytest.mark.parametrize(
    ("kind", "name", "keys", "state"),
    [
        ("Secret", "oci-service-operator-osokconfig", None, FindingState.FAIL),
        ("Secret", "oci-service-operator-osokconfig", frozenset({"other"}), FindingState.FAIL),
        ("Secret", "ocicredentials", frozenset({"tenancy"}), FindingState.WARN),
        ("Secret", "ocicredentials", None, FindingState.PASS),
        ("ConfigMap", "oci-service-operator-servicemesh-config", frozenset(), FindingState.PASS),
    ],
)
def test_objects_that_the_pods_refer_to_are_checked_by_their_keys(
    kind: str, name: str, keys: frozenset[str] | None, state: FindingState
) -> None:
    objects = {key: value for key, value in healthy().objects.items() if key != (kind, name)}
    present = objects if keys is None else {**objects, (kind, name): keys}
    assert worst_state(problems(replace(healthy(), objects=present))) is state


def test_the_worst_finding_comes_first() -> None:
    name = "streams.oci.oracle.com"
    observed = replace(crds_with(name, None), deployment=None)
    assert [finding.state for finding in problems(observed)] == [FindingState.FAIL, FindingState.WARN]


def test_a_service_that_selects_by_a_label_the_pods_lack_fails() -> None:
    narrower = service(OLM_SERVICE)
    narrower["spec"]["selector"]["extra"] = "label"
    assert only_problem(services_with(OLM_SERVICE, narrower)).check is Check.SERVICE
