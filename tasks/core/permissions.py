"""What the account of the pipeline has to be allowed to do, and the role that grants what is missing.

Each request is one SelfSubjectAccessReview (authorization.k8s.io/v1). RBAC knows no dry run: whoever may
create a dry-run object may create a real one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from tasks.core.certificates.webhook_secrets import PREVIOUS_SECRET, STAGING_SECRET
from tasks.core.manifests import Manifest
from tasks.core.markdown import table
from tasks.core.profiles import OperatorProfile

_WRITE = ("get", "create", "patch")
"""What server-side apply of an object needs, with the read before it."""
_READ = ("get", "list")
# `create` and `list` requests carry no object name, so a rule with resourceNames never matches them
# (Kubernetes documentation, RBAC, "Referring to resources").
_NAMELESS_VERBS = frozenset({"create", "list", "watch", "deletecollection"})


class PermissionStep(StrEnum):
    """The part of the work that needs a permission; each may run under an account of its own."""

    BOOTSTRAP = "BOOTSTRAP"
    """OLM itself (R2): roles for others, which is as good as cluster-admin."""
    OPERATOR = "OPERATOR"
    """Namespace, catalog, Subscription and InstallPlan (R4-R7), and what explains a stall."""
    VERIFICATION = "VERIFICATION"
    """Reading, and dry-run calls through the webhooks (R3, R8-R10)."""
    CERTIFICATES = "CERTIFICATES"
    """Certificate signing request, Secret and caBundles (R12-R21)."""
    APPROVAL = "APPROVAL"
    """Approving the request on behalf of a person who decided in the Prefect UI (R15)."""


@dataclass(frozen=True, order=True)
class PermissionRequest:
    """One thing that the account has to be allowed to do.

    Attributes:
        group: API group, empty for the core group.
        resource: Plural resource name; empty for a path.
        verb: get, list, create, patch, …
        namespace: Where; empty for cluster-scoped resources and for all namespaces.
        name: One object only; empty for all.
        subresource: For example `status`.
        path: A non-resource path such as `/metrics` instead of a resource.
        without: What cannot be done without it; empty when nothing can.
    """

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    path: str = ""
    without: str = ""

    @property
    def optional(self) -> bool:
        """Whether the work goes on without it."""
        return bool(self.without)

    def review(self) -> Manifest:
        """The SelfSubjectAccessReview to create."""
        if self.path:
            spec: Manifest = {"nonResourceAttributes": {"path": self.path, "verb": self.verb}}
        else:
            attributes = {
                "group": self.group,
                "resource": self.resource,
                "subresource": self.subresource,
                "verb": self.verb,
                "namespace": self.namespace,
                "name": self.name,
            }
            spec = {"resourceAttributes": {key: value for key, value in attributes.items() if value}}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}

    @property
    def rule_resource(self) -> str:
        """The resource as a role names it, subresource included."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class BootstrapUse(StrEnum):
    """When the account that installs OLM is needed."""

    WITHOUT_OLM = "WITHOUT_OLM"
    """Only where OLM is not installed yet."""
    ALWAYS = "ALWAYS"
    """Also where it is, as to put an object of OLM back."""


@dataclass(frozen=True)
class AccountNeeds:
    """What the accounts of a cluster's block have to be allowed to do.

    Attributes:
        fleet: The everyday account.
        bootstrap: The account that installs OLM.
        bootstrap_use: When the latter is asked for its permissions.
    """

    fleet: tuple[PermissionRequest, ...]
    bootstrap: tuple[PermissionRequest, ...]
    bootstrap_use: BootstrapUse = BootstrapUse.WITHOUT_OLM


def is_allowed(answer: Mapping[str, Any]) -> bool:
    """What an answered SelfSubjectAccessReview says."""
    status = answer.get("status") or {}
    return bool(status.get("allowed")) and not status.get("denied")


def required_permissions(
    step: PermissionStep, profile: OperatorProfile, namespace: str, signer: str = "oci.com/osok"
) -> tuple[PermissionRequest, ...]:
    """Everything that a step does.

    Args:
        step: The part of the work.
        profile: The operator.
        namespace: The namespace that it runs in.
        signer: signerName of the certificate signing requests.
    """
    match step:
        case PermissionStep.BOOTSTRAP:
            return _bootstrap()
        case PermissionStep.OPERATOR:
            return _operator(namespace)
        case PermissionStep.VERIFICATION:
            return _verification(profile, namespace)
        case PermissionStep.CERTIFICATES:
            return _certificates(profile, namespace, signer)
        case PermissionStep.APPROVAL:
            return _approval(signer)


def missing_permissions(
    requests: Iterable[PermissionRequest], allowed: Mapping[PermissionRequest, bool]
) -> tuple[PermissionRequest, ...]:
    """The requests that were not allowed, each once; one without an answer counts as not allowed."""
    return tuple(sorted({request for request in requests if not allowed.get(request, False)}))


def missing_table(missing: Iterable[PermissionRequest]) -> str:
    """A Markdown table of what is missing, verbs of the same resource in one row."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for request in missing:
        what = request.path or request.rule_resource
        place = request.namespace or ("" if request.path else "cluster")
        key = (f"{what} {request.name}".rstrip(), request.group or "core", place, request.without)
        rows.setdefault(key, []).append(request.verb)
    headers = ("Resource", "Group", "Where", "Verbs", "Without it")
    return table(
        headers,
        [
            (what, group, place, ", ".join(sorted(set(verbs))), without or "the run stops")
            for (what, group, place, without), verbs in rows.items()
        ],
    )


def cluster_role(missing: Iterable[PermissionRequest], name: str) -> str:
    """The ClusterRole in YAML that grants what is missing, to be bound to the account by an administrator."""
    manifest = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": role_rules(missing),
    }
    return yaml.safe_dump(manifest, sort_keys=False, default_flow_style=None, width=110)


def role_rules(requests: Iterable[PermissionRequest]) -> list[dict[str, list[str]]]:
    """RBAC rules that grant exactly the requests, namespaces aside; equal ones are put together."""
    verbs: dict[tuple[str, str, str], set[str]] = {}
    paths: dict[str, set[str]] = {}
    for request in requests:
        if request.path:
            paths.setdefault(request.path, set()).add(request.verb)
            continue
        name = "" if request.verb in _NAMELESS_VERBS else request.name
        verbs.setdefault((request.group, request.rule_resource, name), set()).add(request.verb)
    grouped: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (group, resource, name), wanted in sorted(verbs.items()):
        grouped.setdefault((group, name, tuple(sorted(wanted))), []).append(resource)
    rules = [_rule(group, resources, name, wanted) for (group, name, wanted), resources in grouped.items()]
    return rules + [
        {"nonResourceURLs": [path], "verbs": sorted(wanted)} for path, wanted in sorted(paths.items())
    ]


def _rule(group: str, resources: list[str], name: str, verbs: tuple[str, ...]) -> dict[str, list[str]]:
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": resources, **names, "verbs": list(verbs)}


def _each(
    group: str, resources: str, verbs: Iterable[str], namespace: str = "", name: str = ""
) -> list[PermissionRequest]:
    return [
        PermissionRequest(group, resource, verb, namespace, name)
        for resource in resources.split()
        for verb in verbs
    ]


def _bootstrap() -> tuple[PermissionRequest, ...]:
    olm = "olm"
    roles = "clusterroles clusterrolebindings"
    return (
        *_each("apiextensions.k8s.io", "customresourcedefinitions", _WRITE),
        *_each("rbac.authorization.k8s.io", roles, _WRITE),
        *_each("rbac.authorization.k8s.io", "clusterroles", ("bind", "escalate")),
        *_each("", "namespaces", _WRITE),
        *_each("", "serviceaccounts", _WRITE, olm),
        *_each("apps", "deployments", _WRITE, olm),
        *_each("networking.k8s.io", "networkpolicies", _WRITE, olm),
        *_each("operators.coreos.com", "olmconfigs", _WRITE),
        *_each("operators.coreos.com", "operatorgroups catalogsources clusterserviceversions", _WRITE, olm),
        *_each("operators.coreos.com", "clusterserviceversions", ("list",), olm),
        *_each("operators.coreos.com", "operatorgroups", _WRITE, "operators"),
    )


def _operator(namespace: str) -> tuple[PermissionRequest, ...]:
    olm = "olm"
    told = "explaining a stall with {}"
    explained = [
        PermissionRequest(group, resource, "list", where, without=told.format(resource))
        for group, resources in (("", ("pods", "events")), ("apps", ("deployments", "replicasets")))
        for resource in resources
        for where in (namespace, olm)
    ]
    explained += [
        PermissionRequest(
            "operators.coreos.com", "operatorgroups", "list", without="naming a CRD's other owner"
        ),
        PermissionRequest(
            "operators.coreos.com", "catalogsources", "list", olm, without=told.format("catalogsources")
        ),
    ]
    return (
        *_each("", "namespaces", _WRITE),
        *_each("", "configmaps services", _WRITE, namespace),
        *_each("", "pods", ("list",), namespace),
        *_each("apps", "deployments", _WRITE, namespace),
        *_each(
            "operators.coreos.com",
            "operatorgroups subscriptions catalogsources",
            (*_WRITE, "list"),
            namespace,
        ),
        *_each("operators.coreos.com", "installplans", (*_READ, "patch"), namespace),
        *_each("operators.coreos.com", "clusterserviceversions", _READ, namespace),
        *explained,
    )


def _verification(profile: OperatorProfile, namespace: str) -> tuple[PermissionRequest, ...]:
    called = sorted(
        {
            (group, resource)
            for webhook in profile.required_webhooks
            for rule in webhook.rules
            for group in rule.groups
            for resource in rule.resources
        }
    )
    named = sorted({(f"{wanted.kind.lower()}s", wanted.name) for wanted in profile.objects})
    without_metrics = "proof that the injector is called where no binding is active"
    return (
        *_each("apiextensions.k8s.io", "customresourcedefinitions", ("get",)),
        *_each(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations mutatingwebhookconfigurations",
            ("list",),
        ),
        *_each("", "services pods", ("list",), namespace),
        *_each("discovery.k8s.io", "endpointslices", ("list",), namespace),
        *_each("apps", "deployments", ("get",), namespace),
        *_each("", "secrets", ("get",), namespace, profile.certificate_secret),
        *(one for resource, name in named for one in _each("", resource, ("get",), namespace, name)),
        *(one for group, resource in called for one in _each(group, resource, ("create",), namespace)),
        PermissionRequest("", "", "get", path="/metrics", without=without_metrics),
    )


def _certificates(profile: OperatorProfile, namespace: str, signer: str) -> tuple[PermissionRequest, ...]:
    changed = ("get", "patch", "update")
    requests = "certificatesigningrequests"
    group = "certificates.k8s.io"
    # A WebSocket is opened by a GET; from Kubernetes 1.35 on, `create` is asked for as well.
    proof = "proof that every endpoint serves the certificate"
    return (
        *(
            PermissionRequest("", "pods", verb, namespace, subresource="portforward", without=proof)
            for verb in ("get", "create")
        ),
        *_each("", "secrets", ("create",), namespace),
        *_each("", "secrets", changed, namespace, profile.certificate_secret),
        *_each("", "secrets", (*changed, "delete"), namespace, STAGING_SECRET),
        *_each("", "secrets", ("get", "delete"), namespace, PREVIOUS_SECRET),
        *_each(
            "admissionregistration.k8s.io",
            "validatingwebhookconfigurations mutatingwebhookconfigurations",
            (*_READ, "patch"),
        ),
        PermissionRequest(
            "operators.coreos.com", "clusterserviceversions", "patch", namespace, subresource="status"
        ),
        *_each(group, requests, (*_READ, "create", "delete")),
        *(PermissionRequest(group, requests, verb, subresource="status") for verb in ("update", "patch")),
        PermissionRequest(group, "signers", "sign", name=signer),
    )


def _approval(signer: str) -> tuple[PermissionRequest, ...]:
    group = "certificates.k8s.io"
    return (
        PermissionRequest(group, "certificatesigningrequests", "update", subresource="approval"),
        PermissionRequest(group, "signers", "approve", name=signer),
    )
