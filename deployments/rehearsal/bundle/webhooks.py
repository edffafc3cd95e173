"""The twelve webhook definitions of the CSV."""

from collections.abc import Mapping
from typing import Any

from deployments.rehearsal.bundle.crds import SERVICES_GROUP
from deployments.rehearsal.bundle.names import DEPLOYMENT, WEBHOOK_PORT
from deployments.rehearsal.operator.kinds import INJECTOR_PATH, MESH_GROUP, MESH_KINDS, MESH_VERSION

_VALIDATING = "ValidatingAdmissionWebhook"
_MUTATING = "MutatingAdmissionWebhook"
_BOTH_REVIEWS = ["v1", "v1beta1"]


def webhook_definitions() -> list[dict[str, Any]]:
    """The definitions in the order of their names.

    The two `….kb.io` ones name version v1 of a kind that is served as v1beta1 only: OLM registers them, and
    the API server never calls them.
    """
    return sorted([*_validators(), _injector(), *_inert()], key=lambda each: str(each["generateName"]))


def _validators() -> list[dict[str, Any]]:
    return [
        _definition(
            kind.webhook_name,
            _VALIDATING,
            kind.path,
            _rule(MESH_GROUP, MESH_VERSION, kind.plural, "CREATE", "UPDATE", "DELETE"),
            failurePolicy="Fail",
            admissionReviewVersions=_BOTH_REVIEWS,
        )
        for kind in MESH_KINDS
    ]


def _injector() -> dict[str, Any]:
    return _definition(
        f"proxy-injector.{MESH_GROUP}",
        _MUTATING,
        INJECTOR_PATH,
        _rule("", "v1", "pods", "CREATE"),
        failurePolicy="Ignore",
        admissionReviewVersions=_BOTH_REVIEWS,
    )


def _inert() -> list[dict[str, Any]]:
    rule = _rule(SERVICES_GROUP, "v1", "autonomousdatabases", "CREATE", "UPDATE")
    path = "-oci-oci-v1beta1-autonomousdatabases"
    reviews = {"admissionReviewVersions": ["v1"]}
    return [
        _definition(
            "vautonomousdatabases.kb.io",
            _VALIDATING,
            f"/validate{path}",
            rule,
            failurePolicy="Fail",
            **reviews,
        ),
        _definition(
            "mautonomousdatabases.kb.io",
            _MUTATING,
            f"/mutate{path}",
            rule,
            failurePolicy="Ignore",
            **reviews,
        ),
    ]


def _rule(group: str, version: str, resource: str, *operations: str) -> Mapping[str, Any]:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "resources": [resource],
        "operations": list(operations),
    }


def _definition(
    name: str, kind: str, path: str, rule: Mapping[str, Any], **more: str | list[str]
) -> dict[str, Any]:
    return {
        "generateName": name,
        "type": kind,
        "webhookPath": path,
        "rules": [dict(rule)],
        "sideEffects": "None",
        "deploymentName": DEPLOYMENT,
        "containerPort": 443,
        "targetPort": WEBHOOK_PORT,
        **more,
    }
