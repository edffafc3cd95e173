"""Causes in OLM's resolution: catalogs that cannot be reached, packages that are not in them, conflicts.

Texts: operator-lifecycle-manager v0.46.0 and v0.20.0, pkg/controller/operators/catalog/operator.go (condition
ResolutionFailed), pkg/controller/registry/resolver/cache/cache.go, source_registry.go, resolver.go,
variable_types.go (v0.46.0).
"""

import re
from collections.abc import Iterator

from tasks.core.conditions import condition_of
from tasks.core.diagnosis.causes import Cause, CauseKind
from tasks.core.diagnosis.groups import kind_of_complaint
from tasks.core.diagnosis.observation import StallObservation, namespace_of, status_of
from tasks.core.diagnosis.pods import POD_SECURITY_TEXT, refused_creation
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.olm_health import HealthState, object_health

_CATALOG_API = "operators.coreos.com/v1alpha1"
_EXCLUDES_GLOBAL = "olm.operatorframework.io/exclude-global-namespace-resolution"
# How the resolver names a catalog that it cannot use (pkg/controller/registry/resolver/cache/cache.go): the
# second text up to v0.21, the third in v0.22 to v0.28, the first in v0.32 and later.
_BAD_CATALOGS = (
    re.compile(r"error using catalogsource (?P<namespace>[^/\s]+)/(?P<name>[^\s:]+): "),
    re.compile(r"error using catalog (?P<name>\S+) \(in namespace (?P<namespace>[^)]+)\): "),
    re.compile(r"failed to populate resolver cache from source (?P<name>[^/\s]+)/(?P<namespace>[^\s:]+): "),
)
_NOT_IN_CATALOG = re.compile(r"no operators found (from catalog|in package|in channel|with name)")
_CONFLICT = re.compile(
    r"exists and is not referenced by a subscription|only one provider of"
    r"| and .* (provide|originate from package) "
)
_OTHER_CATALOG_STEP = (
    "Repair or delete that CatalogSource, or annotate the OperatorGroup of the operator's namespace with "
    f'{_EXCLUDES_GLOBAL}: "true" (OLM 0.2x ignores it).'
)
_OWN_CATALOG_STEP = (
    "Look at the pod, the Service and the endpoints behind the catalog's address; newer OLMs may reach "
    "port 50051 only (NetworkPolicy)."
)


def resolution_causes(observed: StallObservation) -> Iterator[Cause]:
    """Why OLM finds no InstallPlan for the Subscription."""
    subscription = observed.subscription
    failed = condition_of(subscription, "ResolutionFailed")
    if subscription is not None and failed.is_true:
        yield from _resolution_failed(observed, ref_of(subscription), failed.message)
    yield from _own_catalog(observed)
    if observed.named_plan is None and observed.csv is None:
        yield from _unhealthy_neighbours(observed)


def silence_causes(observed: StallObservation) -> Iterator[Cause]:
    """A Subscription that OLM has not looked at."""
    subscription = observed.subscription
    if subscription is not None and not status_of(subscription):
        next_step = "Look at the log of olm/catalog-operator: does it run, and does it watch the namespace?"
        yield Cause(CauseKind.OLM_SILENT, ref_of(subscription), "OLM has written no status for it", next_step)


def _resolution_failed(observed: StallObservation, subject: ObjectRef, message: str) -> Iterator[Cause]:
    catalogs = _catalogs_in(message)
    for catalog, complaint in catalogs.items():
        yield _unreachable(observed, catalog, complaint)
    if catalogs or kind_of_complaint(message) is not None:
        return
    if _NOT_IN_CATALOG.search(message):
        next_step = (
            "Compare package, channel and startingCSV of the Subscription with what the catalog offers."
        )
        yield Cause(CauseKind.NOT_IN_CATALOG, subject, message, next_step)
    elif _CONFLICT.search(message):
        next_step = (
            "Another ClusterServiceVersion of the namespace provides the same APIs: remove it, or adopt it."
        )
        yield Cause(CauseKind.CRD_OWNER_CONFLICT, subject, message, next_step)
    elif "requires an operator" in message:
        next_step = "Install the operator that the bundle depends on, or offer it in the catalog."
        yield Cause(CauseKind.REQUIREMENT_NOT_MET, subject, message, next_step)
    else:
        next_step = "Read the message; the events of the namespace carry the same text with a time."
        yield Cause(CauseKind.RESOLUTION_FAILED, subject, message, next_step)


def _catalogs_in(message: str) -> dict[tuple[str, str], str]:
    """The catalogs (namespace, name) that an error of the resolver names, each with what it says of them."""
    found = sorted(
        (match for pattern in _BAD_CATALOGS for match in pattern.finditer(message)),
        key=lambda match: match.start(),
    )
    limits = [*(match.start() for match in found), len(message)]
    return {
        (match["namespace"], match["name"]): message[match.start() : end].rstrip(", ]")
        for match, end in zip(found, limits[1:], strict=True)
    }


def _unreachable(observed: StallObservation, catalog: tuple[str, str], evidence: str) -> Cause:
    namespace, name = catalog
    subject = ObjectRef(_CATALOG_API, "CatalogSource", name, namespace)
    if (namespace, name) == (observed.namespace, observed.installation.catalog):
        return Cause(CauseKind.CATALOG_UNREACHABLE, subject, evidence, _OWN_CATALOG_STEP)
    return Cause(CauseKind.OTHER_CATALOG_UNREACHABLE, subject, evidence, _OTHER_CATALOG_STEP)


def _own_catalog(observed: StallObservation) -> Iterator[Cause]:
    catalog = observed.own_catalog
    if catalog is None:
        if observed.subscription is not None:
            subject = ObjectRef(
                _CATALOG_API, "CatalogSource", observed.installation.catalog, observed.namespace
            )
            next_step = "Run the flow again: it publishes the catalog."
            yield Cause(CauseKind.CATALOG_UNREACHABLE, subject, "there is no such CatalogSource", next_step)
        return
    health = object_health(ref_of(catalog), catalog)
    if health.state is HealthState.HEALTHY:
        return
    if POD_SECURITY_TEXT in health.detail:
        yield refused_creation(ref_of(catalog), health.detail)
    address = (catalog.get("spec") or {}).get("address") or "a pod that OLM makes"
    yield Cause(
        CauseKind.CATALOG_UNREACHABLE, ref_of(catalog), f"{health.detail} ({address})", _OWN_CATALOG_STEP
    )


def _unhealthy_neighbours(observed: StallObservation) -> Iterator[Cause]:
    """Other catalogs that the resolution includes: those of the namespace, and OLM's global ones.

    Read off their own connection state: OLM calls a catalog with an address healthy even when it cannot
    reach it (condition CatalogSourcesUnhealthy stays False; tried with 0.20 and 0.46).
    """
    for catalog in observed.catalogs:
        if catalog is observed.own_catalog or not _is_included(observed, catalog):
            continue
        health = object_health(ref_of(catalog), catalog)
        if health.state is HealthState.UNHEALTHY:
            yield _unreachable(observed, (namespace_of(catalog), ref_of(catalog).name), health.detail)


def _is_included(observed: StallObservation, catalog: Manifest) -> bool:
    excludes = any(
        (group["metadata"].get("annotations") or {}).get(_EXCLUDES_GLOBAL) == "true"
        for group in observed.own_groups
    )
    return namespace_of(catalog) == observed.namespace or not excludes
