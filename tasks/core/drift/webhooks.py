"""Webhook configurations field by field: what is registered, where it leads, whom it trusts (R9, R10)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tasks.core.comparison import Difference, differences
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.objects import field_item, unexpected_field, unexpected_object
from tasks.core.manifests import Manifest, ObjectRef, creation_time, ref_of
from tasks.core.profiles import ExpectedWebhook, WebhookRole
from tasks.core.verification import RegisteredWebhook, TrustedCa, ca_bundle_of, registrations_of

ADMISSION = "admissionregistration.k8s.io/v1"
KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
_COPIED = (
    "failurePolicy",
    "sideEffects",
    "matchPolicy",
    "timeoutSeconds",
    "admissionReviewVersions",
    "rules",
)
"""What OLM copies from a CSV's webhookdefinition (pkg/controller/install/webhook.go)."""
_DEFAULTS: Mapping[str, Any] = {"matchPolicy": "Equivalent", "timeoutSeconds": 10}
"""What the API server fills in (admissionregistration.k8s.io/v1)."""
_SELECTORS = ("namespaceSelector", "objectSelector", "matchConditions")
_PORT = 443


def check_webhook_configurations(
    expected: Expectation, configurations: Sequence[Manifest], trust: bytes | None
) -> Iterator[DriftItem]:
    """Every webhook of the profile, and others that call the operator's Services.

    Args:
        expected: What should be there.
        configurations: All webhook configurations of the cluster.
        trust: olmCAKey of the Secret; None when it cannot be read, and then no caBundle is judged.
    """
    known: set[ObjectRef] = set()
    for webhook in expected.profile.webhooks:
        found = sorted(registrations_of(webhook, configurations), key=_age)
        known |= {one.ref for one in found}
        yield from _presence(webhook, found)
        for one in found[:1]:
            yield from _fields(expected, webhook, one, trust)
    yield from _strangers(expected, [one for one in configurations if ref_of(one) not in known])


def _age(found: RegisteredWebhook) -> tuple[str, str]:
    return creation_time(found.configuration), str(found.configuration["metadata"]["name"])


def _presence(webhook: ExpectedWebhook, found: list[RegisteredWebhook]) -> Iterator[DriftItem]:
    if not found and webhook.role is not WebhookRole.INERT:
        yield DriftItem(
            kind=DriftKind.MISSING,
            ref=ObjectRef(ADMISSION, webhook.kind, webhook.generate_name),
            expected="one configuration",
            found="none",
            severity=DriftSeverity.CRITICAL,
        )
    for doubled in found[1:]:
        yield unexpected_object(
            doubled.configuration, "one configuration", f"a second one beside {found[0].ref.name}"
        )


def _fields(
    expected: Expectation, webhook: ExpectedWebhook, found: RegisteredWebhook, trust: bytes | None
) -> Iterator[DriftItem]:
    live, ref = found.configuration, found.ref
    index = next(i for i, entry in enumerate(live["webhooks"]) if entry is found.entry)
    place = f"/webhooks/{index}"
    for difference in differences(_wanted(expected, webhook), found.entry):
        moved = Difference(place + difference.pointer, difference.expected, difference.found)
        yield field_item(ref, live, moved, DriftSeverity.CRITICAL)
    for selector in _SELECTORS:
        if found.entry.get(selector):
            pointer = f"{place}/{selector}"
            yield unexpected_field(ref, live, pointer, found.entry[selector], DriftSeverity.CRITICAL)
    yield from _trust(found, f"{place}/clientConfig/caBundle", trust)


def _wanted(expected: Expectation, webhook: ExpectedWebhook) -> Mapping[str, Any]:
    definitions = expected.bundle.csv["spec"].get("webhookdefinitions") or []
    definition: Mapping[str, Any] = next(
        (one for one in definitions if one["generateName"] == webhook.generate_name), {}
    )
    service = {
        "namespace": expected.namespace,
        "name": expected.profile.service_of(webhook),
        "path": webhook.path,
        "port": definition.get("containerPort") or _PORT,
    }
    copied = {key: definition[key] for key in _COPIED if key in definition}
    return {**_DEFAULTS, **copied, "clientConfig": {"service": service}}


def _trust(found: RegisteredWebhook, pointer: str, trust: bytes | None) -> Iterator[DriftItem]:
    bundle = ca_bundle_of(found.entry)
    if trust is None or bundle == trust:
        return
    text = TrustedCa.read(bundle).description() if bundle else None
    difference = Difference(pointer, f"olmCAKey: {TrustedCa.read(trust).description()}", text)
    yield field_item(found.ref, found.configuration, difference, DriftSeverity.CRITICAL)


def _strangers(expected: Expectation, configurations: Sequence[Manifest]) -> Iterator[DriftItem]:
    names = expected.profile.service_names
    for configuration in configurations:
        for entry in configuration.get("webhooks") or []:
            service = (entry.get("clientConfig") or {}).get("service") or {}
            if service.get("namespace") == expected.namespace and service.get("name") in names:
                yield unexpected_object(
                    configuration,
                    "only the bundle's webhooks call the operator",
                    f"{entry.get('name')} does too",
                )
