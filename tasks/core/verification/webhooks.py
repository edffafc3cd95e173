"""Are the operator's webhooks registered as the profile says, once each (R9, R10)?

OLM writes one configuration object for each webhook of the CSV, names it `<generateName>-xxxxx`, and
labels it with the generateName (operator-lifecycle-manager v0.20.0 and v0.46.0,
pkg/controller/install/webhook.go).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.profiles import ExpectedWebhook, OperatorProfile, WebhookRole, WebhookRule
from tasks.core.verification.crds import served_versions
from tasks.core.verification.findings import Check, Finding, FindingState

GENERATE_NAME_LABEL = "olm.webhook-description-generate-name"
"""OLM's label with the generateName of the CSV's webhookdefinition."""

_REINSTALL = "Delete the configuration and let OLM write it anew: patch the CSV's status to phase Pending."
_DEFAULT_PORT = 443


@dataclass(frozen=True)
class RegisteredWebhook:
    """One webhook as the cluster holds it.

    Attributes:
        configuration: The configuration object.
        ref: Its name.
        entry: The one element of its `webhooks` list that belongs to the profile's webhook.
    """

    configuration: Manifest
    ref: ObjectRef
    entry: Mapping[str, Any]


def registrations_of(
    webhook: ExpectedWebhook, configurations: Iterable[Manifest]
) -> tuple[RegisteredWebhook, ...]:
    """The configurations of the cluster that belong to a webhook of the profile.

    They are known by OLM's label, or, where that is lost, by name with a suffix of five letters or none.
    """
    return tuple(
        RegisteredWebhook(configuration, ref_of(configuration), _entry_of(webhook, configuration))
        for configuration in configurations
        if configuration["kind"] == webhook.kind and _belongs_to(webhook, configuration)
    )


def check_webhooks(
    profile: OperatorProfile, namespace: str, configurations: Iterable[Manifest], crds: Mapping[str, Manifest]
) -> tuple[Finding, ...]:
    """Compare the registered webhooks with the profile's.

    Args:
        profile: The operator.
        namespace: The namespace that it runs in.
        configurations: All Validating- and MutatingWebhookConfigurations of the cluster.
        crds: The cluster's CRDs by name; they tell whether an inert webhook is inert.
    """
    listed = list(configurations)
    findings: list[Finding] = []
    for webhook in profile.webhooks:
        found = registrations_of(webhook, listed)
        findings.append(_check_presence(webhook, found))
        if webhook.role is WebhookRole.INERT:
            findings += [_check_inert(webhook, one, crds) for one in found]
        for one in found:
            findings += _check_registration(profile, namespace, webhook, one)
    return (*findings, *_unexpected(profile, namespace, listed))


def _belongs_to(webhook: ExpectedWebhook, configuration: Manifest) -> bool:
    metadata = configuration["metadata"]
    if (metadata.get("labels") or {}).get(GENERATE_NAME_LABEL) == webhook.generate_name:
        return True
    pattern = rf"{re.escape(webhook.generate_name)}(-[a-z0-9]{{5}})?"
    return re.fullmatch(pattern, metadata["name"]) is not None


def _entry_of(webhook: ExpectedWebhook, configuration: Manifest) -> Mapping[str, Any]:
    entries = configuration.get("webhooks") or [{}]
    named = [entry for entry in entries if entry.get("name") == webhook.generate_name]
    first: Mapping[str, Any] = (named or entries)[0]
    return first


def _check_presence(webhook: ExpectedWebhook, found: tuple[RegisteredWebhook, ...]) -> Finding:
    inert = webhook.role is WebhookRole.INERT
    runbook = "" if inert else webhook.runbook
    subject = f"{webhook.kind} {webhook.generate_name}"
    expected = "at most one configuration (inert)" if inert else "one configuration"
    names = ", ".join(one.ref.name for one in found) or "none"
    if len(found) == 1 or (inert and not found):
        return Finding(Check.WEBHOOK_PRESENT, runbook, subject, FindingState.PASS, expected, names)
    next_step = (
        "Delete those whose label olm.owner names no ClusterServiceVersion that exists: they are left over."
        if found
        else "Look at the ClusterServiceVersion: OLM registers its webhooks when it installs the Deployment."
    )
    return Finding(Check.WEBHOOK_PRESENT, runbook, subject, FindingState.FAIL, expected, names, next_step)


def _check_inert(webhook: ExpectedWebhook, found: RegisteredWebhook, crds: Mapping[str, Manifest]) -> Finding:
    expected = "no resource of the cluster matches its rules, so it is never called"
    matched = [name for rule in webhook.rules for name in _served_by(rule, crds)]
    if not matched:
        return Finding(Check.WEBHOOK_INERT, "", found.ref, FindingState.PASS, expected, expected)
    return Finding(
        Check.WEBHOOK_INERT,
        "",
        found.ref,
        FindingState.WARN,
        expected,
        f"it is called for {', '.join(matched)}",
        "The operator has no handler for it: with failurePolicy Fail every write of those objects fails.",
    )


def _served_by(rule: WebhookRule, crds: Mapping[str, Manifest]) -> list[str]:
    return [
        f"{resource}.{group}/{version}"
        for group in rule.groups
        for resource in rule.resources
        for version in served_versions(crds.get(f"{resource}.{group}"))
        if version in rule.versions
    ]


def _check_registration(
    profile: OperatorProfile, namespace: str, webhook: ExpectedWebhook, found: RegisteredWebhook
) -> list[Finding]:
    entry = found.entry
    service = ((entry.get("clientConfig") or {}).get("service")) or {}
    address = f"{namespace}/{profile.service_of(webhook)}:{_DEFAULT_PORT}{webhook.path}"
    compared = [
        (Check.WEBHOOK_RULES, _rules_text(_expected_rules(webhook)), _rules_text(entry.get("rules") or [])),
        (Check.WEBHOOK_FAILURE_POLICY, webhook.failure_policy.value, str(entry.get("failurePolicy"))),
        (Check.WEBHOOK_SIDE_EFFECTS, webhook.side_effects.value, str(entry.get("sideEffects"))),
        (Check.WEBHOOK_ADDRESS, address, _address_text(service)),
    ]
    runbook = "" if webhook.role is WebhookRole.INERT else webhook.runbook
    findings = [_compare(check, runbook, found.ref, values) for check, *values in compared]
    return [*findings, _check_scope(webhook, runbook, found)]


def _compare(check: Check, runbook: str, ref: ObjectRef, values: list[str]) -> Finding:
    expected, found = values
    if expected == found:
        return Finding(check, runbook, ref, FindingState.PASS, expected, found)
    return Finding(check, runbook, ref, FindingState.FAIL, expected, found, _REINSTALL)


def _expected_rules(webhook: ExpectedWebhook) -> list[Mapping[str, Any]]:
    return [
        {
            "apiGroups": rule.groups,
            "apiVersions": rule.versions,
            "resources": rule.resources,
            "operations": [operation.value for operation in rule.operations],
        }
        for rule in webhook.rules
    ]


def _rules_text(rules: Iterable[Mapping[str, Any]]) -> str:
    """Rules as text in one order, so that two spellings of the same rules are equal."""
    return "; ".join(sorted(_rule_text(rule) for rule in rules)) or "no rules"


def _rule_text(rule: Mapping[str, Any]) -> str:
    fields = ("operations", "apiGroups", "apiVersions", "resources")
    operations, groups, versions, resources = (_joined(rule.get(field)) for field in fields)
    scope = rule.get("scope") or "*"
    suffix = "" if scope == "*" else f" ({scope} only)"
    return f"{operations} {groups or 'core'}/{versions}/{resources}{suffix}"


def _joined(values: Iterable[str] | None) -> str:
    return ",".join(sorted(values or []))


def _address_text(service: Mapping[str, Any]) -> str:
    if not service:
        return "no Service"
    port = service.get("port") or _DEFAULT_PORT
    return f"{service.get('namespace')}/{service.get('name')}:{port}{service.get('path') or '/'}"


def _check_scope(webhook: ExpectedWebhook, runbook: str, found: RegisteredWebhook) -> Finding:
    """Whether something keeps the webhook from being called for all that its rules name."""
    entry = found.entry
    narrowed = [
        f"{field} {entry[field]}"
        for field in ("namespaceSelector", "objectSelector", "matchConditions")
        if entry.get(field)
    ]
    expected = "called in every namespace, for every object of its rules"
    if narrowed:
        next_step = (
            "Find out who narrowed it (an OperatorGroup with targets does); elsewhere nothing is checked."
        )
        return Finding(
            Check.WEBHOOK_SCOPE,
            runbook,
            found.ref,
            FindingState.WARN,
            expected,
            "; ".join(narrowed),
            next_step,
        )
    found_text = expected
    if webhook.injector is not None:
        timeout = entry.get("timeoutSeconds", 10)
        found_text = (
            "called for every pod of the cluster (OLM drops the selector of the operator's sources); "
            f"while it does not answer, each new pod waits up to {timeout} s"
        )
    return Finding(Check.WEBHOOK_SCOPE, runbook, found.ref, FindingState.PASS, expected, found_text)


def _unexpected(profile: OperatorProfile, namespace: str, listed: list[Manifest]) -> list[Finding]:
    known = {one.ref for webhook in profile.webhooks for one in registrations_of(webhook, listed)}
    return [
        Finding(
            Check.WEBHOOK_UNEXPECTED,
            "",
            ref_of(configuration),
            FindingState.WARN,
            "only the profile's webhooks call the operator's Services",
            f"{entry.get('name')} does too",
            "Take it into the profile, or find out who registered it.",
        )
        for configuration in listed
        if ref_of(configuration) not in known
        for entry in configuration.get("webhooks") or []
        if _calls(entry, namespace, profile.service_names)
    ]


def _calls(entry: Mapping[str, Any], namespace: str, services: tuple[str, ...]) -> bool:
    service = (entry.get("clientConfig") or {}).get("service") or {}
    return service.get("namespace") == namespace and service.get("name") in services
