"""Which requests a verification sends: lists where several objects of a kind are needed, or one by name."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tasks.core.drift.expectation import CRD_KIND, CSV_KIND, Expectation
from tasks.core.installation import NOT_COPIED
from tasks.core.manifests import ObjectRef, ref_of
from tasks.core.olm_health import OLM_MADE_OBJECTS
from tasks.core.ownership import MANAGED_BY

_OLM = "operators.coreos.com/v1alpha1"
_OURS = ",".join(f"{key}={value}" for key, value in MANAGED_BY.items())


@dataclass(frozen=True, order=True)
class Read:
    """One GET request.

    Attributes:
        namespace: Empty for all namespaces, or a cluster-scoped kind.
        name: One object; empty for a list.
        selector: Label selector of a list.
    """

    api_version: str
    kind: str
    namespace: str = ""
    name: str = ""
    selector: str = ""


_EVERYWHERE = (
    Read("v1", "Namespace"),
    Read("apiextensions.k8s.io/v1", CRD_KIND),
    Read("apiregistration.k8s.io/v1", "APIService"),
    Read("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    Read("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
    Read(_OLM, CSV_KIND, selector=NOT_COPIED),
    Read(_OLM, "CatalogSource"),
    Read("operators.coreos.com/v1", "OperatorGroup"),
    Read("certificates.k8s.io/v1", "CertificateSigningRequest", selector=_OURS),
    Read("networking.k8s.io/v1", "NetworkPolicy"),
)
"""Few objects in any cluster, CRDs aside; what somebody added is seen too."""
_SECRET = "Secret"  # noqa: S105 - a kind


def plan_reads(expected: Expectation) -> tuple[Read, ...]:
    """The requests for one cluster; no Secret is listed, so that the account needs the named ones only."""
    namespace = expected.namespace
    inside = (
        Read("v1", "Service", namespace),
        Read("discovery.k8s.io/v1", "EndpointSlice", namespace),
        Read(_OLM, "Subscription", namespace),
        *(Read("v1", _SECRET, namespace, name) for name in expected.secret_names()),
    )
    fixed = dict.fromkeys((*_EVERYWHERE, *inside))
    return (*fixed, *_others(expected, {(read.api_version, read.kind, read.namespace) for read in fixed}))


def _others(expected: Expectation, covered: set[tuple[str, str, str]]) -> Iterator[Read]:
    needed: dict[tuple[str, str, str], dict[ObjectRef, None]] = defaultdict(dict)
    manifests = (*expected.manifests(), *expected.metrics_server)
    for ref in (*map(ref_of, manifests), *OLM_MADE_OBJECTS):
        place = (ref.api_version, ref.kind, ref.namespace)
        if place not in covered and (ref.api_version, ref.kind, "") not in covered:
            needed[place][ref] = None
    for (api_version, kind, namespace), refs in needed.items():
        if len(refs) == 1:
            yield Read(api_version, kind, namespace, next(iter(refs)).name)
        else:
            yield Read(api_version, kind, namespace)
