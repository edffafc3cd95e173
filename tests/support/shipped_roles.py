"""The roles that deployments/kubernetes/rbac ships, and whether they allow a request."""

from collections.abc import Iterable
from pathlib import Path

import yaml

from tasks.core.permissions import PermissionRequest

RBAC = Path(__file__).parents[2] / "deployments" / "kubernetes" / "rbac"


def grants(rule: dict[str, list[str]], request: PermissionRequest) -> bool:
    """Whether an RBAC rule allows a request (k8s.io/kubernetes, pkg/apis/rbac/v1/evaluation_helpers.go)."""
    if request.verb not in rule["verbs"] and "*" not in rule["verbs"]:
        return False
    if request.path:
        return request.path in rule.get("nonResourceURLs", [])
    names = rule.get("resourceNames", [])
    nameless = request.verb in ("create", "list")
    return (
        request.group in rule.get("apiGroups", [])
        and not {request.rule_resource, "*"}.isdisjoint(rule.get("resources", []))
        and (not names or (request.name in names and not nameless))
    )


def ungranted(rules: Iterable[dict[str, list[str]]], requests: Iterable[PermissionRequest]) -> list[str]:
    """The requests that no rule allows."""
    listed = list(rules)
    return [str(request) for request in requests if not any(grants(rule, request) for rule in listed)]


def shipped_rules(file: str) -> list[dict[str, list[str]]]:
    """The rules of every ClusterRole of a file."""
    documents = yaml.safe_load_all((RBAC / file).read_text())
    return [rule for document in documents if document["kind"] == "ClusterRole" for rule in document["rules"]]
