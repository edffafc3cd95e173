"""Around the operator: one OperatorGroup, one Subscription, one operator, its own pods (R4, R6, R7)."""

from collections.abc import Iterator

from tasks.core.comparison import differences
from tasks.core.drift.expectation import CSV_KIND, Expectation
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity
from tasks.core.drift.objects import compare, field_item, unexpected_field, unexpected_object
from tasks.core.drift.observation import ClusterObservation
from tasks.core.installation import COPIED_FROM
from tasks.core.manifests import Manifest, ObjectRef, ref_of

_SERVICE_LABEL = "kubernetes.io/service-name"
_TARGETS = ("targetNamespaces", "selector")


def check_operator_groups(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """Exactly one, for all namespaces; one that a person made is as good as ours."""
    wanted = expected.installation.operator_group()
    groups = seen.of_kind("OperatorGroup", expected.namespace)
    ours = [one for one in groups if ref_of(one) == ref_of(wanted)]
    kept = (ours or list(groups))[:1]
    if not kept:
        yield from compare(wanted, None)
    for group in groups:
        if group not in kept:
            text = f"a second one beside {kept[0]['metadata']['name']}: OLM installs nothing beside two"
            yield unexpected_object(group, "one OperatorGroup", text, DriftSeverity.CRITICAL)
    for group in kept:
        if group in ours:
            yield from compare(wanted, group)
        for target in _TARGETS:
            if (group.get("spec") or {}).get(target):
                found = group["spec"][target]
                pointer = f"/spec/{target}"
                yield unexpected_field(ref_of(group), group, pointer, found, DriftSeverity.CRITICAL)


def check_subscriptions(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """One for the package, as we write it; another one that keeps the version installed is adopted."""
    wanted = expected.installation.subscription()
    package, csv = expected.installation.package, expected.installation.csv
    same = seen.of_kind(
        "Subscription", expected.namespace, lambda one: bool(one["spec"].get("name") == package)
    )
    ours = [one for one in same if ref_of(one) == ref_of(wanted)]
    others = [one for one in same if one not in ours]
    adopted = [one for one in others if (one.get("status") or {}).get("installedCSV") == csv]
    if not ours and not adopted:
        yield from compare(wanted, seen.find(ref_of(wanted)))
    for subscription in ours:
        for difference in differences(wanted, subscription):
            yield field_item(ref_of(wanted), subscription, difference)
    for other in others if ours else others[1:]:
        yield unexpected_object(other, f"one Subscription of {package}", "another one of the same package")


def check_other_operators(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """No other release of the operator beside ours, in whatever namespace."""
    for csv in seen.of_kind(CSV_KIND):
        name, place = csv["metadata"]["name"], csv["metadata"]["namespace"]
        copied = COPIED_FROM in (csv["metadata"].get("labels") or {})
        ours = (place, name) == (expected.namespace, expected.installation.csv)
        if not copied and not ours and expected.profile.version_of_csv(name):
            text = f"{place}/{name} provides the same kinds"
            yield unexpected_object(csv, f"only {expected.installation.csv}", text, DriftSeverity.CRITICAL)


def check_required_data(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """Secrets and ConfigMaps that the operator's pods refer to, with their keys; values are not looked at."""
    for wanted in expected.profile.objects:
        ref = ObjectRef("v1", wanted.kind, wanted.name, expected.namespace)
        if ref in seen.unchanged:
            continue
        live = seen.find(ref)
        if live is None:
            if not wanted.optional:
                yield from compare({"apiVersion": "v1", "kind": wanted.kind, **_metadata(ref)}, None)
            continue
        for key in wanted.data_keys:
            if key not in (live.get("data") or {}):
                yield DriftItem(
                    kind=DriftKind.MISSING,
                    ref=ref,
                    field=f"/data/{key}",
                    expected="the key",
                    found="nothing",
                    severity=DriftSeverity.NOTE if wanted.optional else DriftSeverity.WARNING,
                )


def check_endpoints(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """A ready endpoint behind every Service of the webhooks, and none of another operator's pods (R4)."""
    for name in expected.profile.service_names:
        ref = ObjectRef("v1", "Service", name, expected.namespace)
        live = seen.find(ref)
        if live is None:
            continue
        endpoints = [
            endpoint
            for piece in seen.of_kind("EndpointSlice", expected.namespace)
            if (piece["metadata"].get("labels") or {}).get(_SERVICE_LABEL) == name
            for endpoint in piece.get("endpoints") or []
        ]
        # discovery.k8s.io/v1: an absent `ready` means ready.
        if not any((one.get("conditions") or {}).get("ready") is not False for one in endpoints):
            yield DriftItem(
                kind=DriftKind.UNREACHABLE,
                ref=ref,
                expected="a ready endpoint",
                found=f"0 of {len(endpoints)} endpoints ready",
                severity=DriftSeverity.CRITICAL,
            )
        for pod in sorted({_pod(one) for one in endpoints} - {""}):
            if not pod.startswith(f"{expected.profile.deployment}-"):
                pointer = "/spec/selector"
                found = f"pod {pod} of another owner gets webhook calls"
                yield unexpected_field(ref, live, pointer, found, DriftSeverity.CRITICAL)


def _pod(endpoint: Manifest) -> str:
    target = endpoint.get("targetRef") or {}
    return str(target.get("name", "")) if target.get("kind") == "Pod" else ""


def _metadata(ref: ObjectRef) -> Manifest:
    return {"metadata": {"name": ref.name, "namespace": ref.namespace}}
