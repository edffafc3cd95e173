"""All drift of one observed cluster in one call."""

from collections.abc import Iterable, Iterator

from tasks.core.certificates.webhook_secrets import STAGING_SECRET
from tasks.core.drift.certificates import (
    CalendarEntry,
    CertificateView,
    calendar_of,
    check_certificate,
    check_dates,
)
from tasks.core.drift.expectation import Expectation, refs_of
from tasks.core.drift.health import check_health
from tasks.core.drift.items import DriftItem, DriftKind, DriftSeverity, worst_first
from tasks.core.drift.leftovers import check_leftovers, request_calendar
from tasks.core.drift.metrics_server import check_metrics_server
from tasks.core.drift.objects import compare
from tasks.core.drift.observation import ClusterObservation
from tasks.core.drift.operator import (
    check_endpoints,
    check_operator_groups,
    check_other_operators,
    check_required_data,
    check_subscriptions,
)
from tasks.core.drift.unchanged import ComparedVersions, compared_versions
from tasks.core.drift.view import requests_of, view_of
from tasks.core.drift.webhooks import KINDS, check_webhook_configurations
from tasks.core.errors import PrerequisiteError
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.olm_health import OLM_MADE_OBJECTS
from tasks.core.verification import Finding, FindingState

_PACKAGES_API = OLM_MADE_OBJECTS[1]


def find_drift(expected: Expectation, seen: ClusterObservation) -> tuple[DriftItem, ...]:
    """Everything on the cluster that is not as it should be, the worst first; an empty answer means: fine."""
    return worst_first(_find(expected, seen))


def find_calendar(expected: Expectation, seen: ClusterObservation) -> tuple[CalendarEntry, ...]:
    """The dates at which something stops working, the first one first."""
    view = _view(expected, seen)
    entries = [*(calendar_of(view) if view else ()), *request_calendar(requests_of(expected, seen))]
    return tuple(sorted(entries, key=lambda entry: entry.at))


def compared(expected: Expectation, seen: ClusterObservation, found: Iterable[DriftItem]) -> ComparedVersions:
    """What the next verification need not read again, unless it changes until then.

    Args:
        expected: What should be there.
        seen: What was read.
        found: Everything that `find_drift` says about it, also what is ignored or not reported yet.
    """
    faulty = {item.ref for item in found}
    fine = [(ref, seen.find(ref)) for ref in expected.large() if ref not in faulty]
    return compared_versions(expected.large_digest, seen.compared_at or seen.now, fine)


def _find(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    for manifest in expected.manifests():
        if ref_of(manifest) not in seen.unchanged:
            yield from compare(manifest, seen.find(ref_of(manifest)))
    healthy = [*refs_of(expected.manifests()), *OLM_MADE_OBJECTS]
    yield from check_health((ref for ref in healthy if ref not in seen.unchanged), seen.objects)
    if seen.find(_PACKAGES_API) is None:
        yield from compare(_named(_PACKAGES_API), None)
    yield from check_operator_groups(expected, seen)
    yield from check_subscriptions(expected, seen)
    yield from check_other_operators(expected, seen)
    yield from check_required_data(expected, seen)
    yield from check_endpoints(expected, seen)
    configurations = [live for kind in KINDS for live in seen.of_kind(kind)]
    trust = seen.secret.trust if seen.secret else None
    yield from check_webhook_configurations(expected, configurations, trust)
    view = _view(expected, seen)
    if view is not None:
        yield from check_certificate(view)
        yield from check_dates(view, expected.limits)
    staging = seen.find(ObjectRef("v1", "Secret", STAGING_SECRET, expected.namespace))
    yield from check_leftovers(requests_of(expected, seen), staging, seen.now)
    yield from check_metrics_server(expected, seen)
    yield from _calls(expected, seen)


def _view(expected: Expectation, seen: ClusterObservation) -> CertificateView | None:
    try:
        return view_of(expected, seen)
    except PrerequisiteError:
        # Two versions of OLM: the objects say so, and no rule of OLM's applies.
        return None


def _named(ref: ObjectRef) -> Manifest:
    return {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}


def _calls(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """Live calls that failed; their own text says which webhook it was and why."""
    kinds = {webhook.generate_name: webhook.kind for webhook in expected.profile.webhooks}
    for finding in seen.calls:
        if finding.state not in (FindingState.FAIL, FindingState.WARN):
            continue
        failed = finding.state is FindingState.FAIL
        yield DriftItem(
            kind=DriftKind.UNREACHABLE if failed else DriftKind.CHANGED,
            ref=_called(finding, kinds),
            expected=finding.expected,
            found=finding.found,
            severity=DriftSeverity.CRITICAL if failed else DriftSeverity.WARNING,
        )


def _called(finding: Finding, kinds: dict[str, str]) -> ObjectRef:
    name = str(finding.subject).rpartition(" through ")[2]
    return ObjectRef("admissionregistration.k8s.io/v1", kinds.get(name, "Webhook"), name)
