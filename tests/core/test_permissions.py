"""What the account has to be allowed to do, and the role that grants what is missing."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.core.permissions import (
    PermissionRequest,
    PermissionStep,
    cluster_role,
    is_allowed,
    missing_permissions,
    missing_table,
    required_permissions,
    role_rules,
)
from tasks.core.profiles import built_in_profile
from tests.support.shipped_roles import shipped_rules, ungranted

OSOK = built_in_profile()
NS = "oci-service-operator-system"


@pytest.mark.parametrize(
    ("step", "file"),
    [
        (PermissionStep.BOOTSTRAP, "bootstrap.yaml"),
        (PermissionStep.OPERATOR, "fleet.yaml"),
        (PermissionStep.VERIFICATION, "fleet.yaml"),
        (PermissionStep.CERTIFICATES, "fleet.yaml"),
        (PermissionStep.APPROVAL, "approver.yaml"),
    ],
)
def test_the_shipped_roles_grant_what_each_step_asks_for(step: PermissionStep, file: str) -> None:
    """The account of the flows is not an administrator."""
    assert ungranted(shipped_rules(file), required_permissions(step, OSOK, NS)) == []


def test_only_the_bootstrap_asks_for_what_makes_an_administrator() -> None:
    asking = [
        step
        for step in PermissionStep
        for request in required_permissions(step, OSOK, NS)
        if request.verb in ("bind", "escalate")
    ]
    assert set(asking) == {PermissionStep.BOOTSTRAP}


def test_verification_asks_to_create_every_kind_that_it_calls_a_webhook_with() -> None:
    """R9, R10."""
    created = [
        r.resource for r in required_permissions(PermissionStep.VERIFICATION, OSOK, NS) if r.verb == "create"
    ]
    assert sorted(created) == [
        "accesspolicies",
        "ingressgatewaydeployments",
        "ingressgatewayroutetables",
        "ingressgateways",
        "meshes",
        "pods",
        "virtualdeploymentbindings",
        "virtualdeployments",
        "virtualserviceroutetables",
        "virtualservices",
    ]


@pytest.mark.parametrize("name", ["osok-fleet-staging", "osok-fleet-previous"])
def test_our_own_secrets_beside_the_webhooks_are_asked_for_before_a_certificate_is_published(
    name: str,
) -> None:
    """R17, R20: a run must not find out in the middle that it cannot remove what it kept."""
    asked = required_permissions(PermissionStep.CERTIFICATES, OSOK, NS)

    assert {one.verb for one in asked if one.name == name} >= {"get", "delete"}


def test_secrets_are_read_by_name_only() -> None:
    nameless = [
        request
        for step in PermissionStep
        for request in required_permissions(step, OSOK, NS)
        if request.resource == "secrets" and request.verb != "create" and not request.name
    ]
    assert nameless == []


def test_the_metrics_of_the_api_server_are_optional() -> None:
    """R10."""
    wanted = required_permissions(PermissionStep.VERIFICATION, OSOK, NS)
    assert [request.path for request in wanted if request.optional] == ["/metrics"]


@pytest.mark.parametrize(
    ("request_", "spec"),
    [
        (
            PermissionRequest("apps", "deployments", "patch", "olm"),
            {
                "resourceAttributes": {
                    "group": "apps",
                    "resource": "deployments",
                    "verb": "patch",
                    "namespace": "olm",
                }
            },
        ),
        (
            PermissionRequest("", "secrets", "get", "x", "the-secret"),
            {
                "resourceAttributes": {
                    "resource": "secrets",
                    "verb": "get",
                    "namespace": "x",
                    "name": "the-secret",
                }
            },
        ),
        (
            PermissionRequest(
                "certificates.k8s.io", "certificatesigningrequests", "update", subresource="status"
            ),
            {
                "resourceAttributes": {
                    "group": "certificates.k8s.io",
                    "resource": "certificatesigningrequests",
                    "subresource": "status",
                    "verb": "update",
                }
            },
        ),
        (
            PermissionRequest("", "", "get", path="/metrics"),
            {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}},
        ),
    ],
)
def test_a_request_is_asked_as_an_access_review(request_: PermissionRequest, spec: dict[str, Any]) -> None:
    assert request_.review() == {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("status", "allowed"),
    [
        ({"allowed": True}, True),
        ({"allowed": False}, False),
        ({"allowed": True, "denied": True}, False),
        ({"allowed": False, "evaluationError": "webhook down"}, False),
        (None, False),
    ],
)
def test_an_answer_counts_only_when_it_allows(
    status: dict[str, Any] | None,
    allowed: bool,  # noqa: FBT001 - a test case
) -> None:
    assert is_allowed({"status": status}) is allowed


GET = PermissionRequest("apps", "deployments", "get", "olm")
PATCH = PermissionRequest("apps", "deployments", "patch", "olm")
METRICS = PermissionRequest("", "", "get", path="/metrics", without="proof of the injector")
STATUS = PermissionRequest(
    "operators.coreos.com", "clusterserviceversions", "patch", "x", subresource="status"
)
SECRET = PermissionRequest("", "secrets", "get", "x", "cert")


def test_what_was_not_answered_is_missing_once() -> None:
    assert missing_permissions([GET, PATCH, PATCH], {GET: True}) == (PATCH,)


def test_the_table_puts_verbs_of_one_resource_together() -> None:
    assert (
        missing_table([GET, PATCH, METRICS, SECRET])
        == """\
| Resource | Group | Where | Verbs | Without it |
| --- | --- | --- | --- | --- |
| deployments | apps | olm | get, patch | the run stops |
| /metrics | core |  | get | proof of the injector |
| secrets cert | core | x | get | the run stops |
"""
    )


def test_the_role_to_paste_grants_what_is_missing_and_nothing_else() -> None:
    role = yaml.safe_load(cluster_role([GET, PATCH, STATUS, SECRET, METRICS], "osok-fleet-missing"))
    assert role == {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "osok-fleet-missing"},
        "rules": [
            {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["cert"], "verbs": ["get"]},
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]},
            {
                "apiGroups": ["operators.coreos.com"],
                "resources": ["clusterserviceversions/status"],
                "verbs": ["patch"],
            },
            {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
        ],
    }


def test_resources_with_the_same_verbs_share_a_rule() -> None:
    requests = [PermissionRequest("", resource, "list", "x") for resource in ("pods", "events", "pods")]
    assert role_rules(requests) == [{"apiGroups": [""], "resources": ["events", "pods"], "verbs": ["list"]}]


def test_a_name_does_not_restrict_a_create() -> None:
    """RBAC cannot match the name of an object that does not exist yet."""
    request = PermissionRequest("", "secrets", "create", "x", "cert")
    assert role_rules([request]) == [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]}]


WORDS = st.sampled_from(["", "a", "b", "c"])
REQUESTS = st.builds(
    PermissionRequest,
    group=WORDS,
    resource=st.sampled_from(["pods", "secrets"]),
    verb=st.sampled_from(["get", "list", "create", "patch"]),
    namespace=WORDS,
    name=WORDS,
    subresource=st.sampled_from(["", "status"]),
)


@settings(deadline=None)
@given(st.lists(REQUESTS, max_size=12))
def test_the_rules_grant_every_request(requests: list[PermissionRequest]) -> None:
    assert ungranted(role_rules(requests), requests) == []
