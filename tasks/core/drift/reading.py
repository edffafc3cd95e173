"""Which requests a verification sends: lists where several objects of a kind are needed, or one by name."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tasks.core.drift.expectation import CRD_KIND, CSV_KIND, LARGE_KINDS, Expectation
from tasks.core.identity import KUBE_SYSTEM
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
        wanted: The objects that the answer is to hold. One that a selector leaves out may be there all the
            same: it is read by its name then.
    """

    api_version: str
    kind: str
    namespace: str = ""
    name: str = ""
    selector: str = ""
    wanted: tuple[ObjectRef, ...] = ()

    @property
    def is_large(self) -> bool:
        """Whether it is cheaper to ask for the objects' versions first."""
        return self.kind in LARGE_KINDS and not self.name


_SELECTORS = {
    # Roles that the API server brings, and those that OLM makes of CRDs and OperatorGroups.
    "ClusterRole": "kubernetes.io/bootstrapping!=rbac-defaults,olm.managed!=true",
    # APIServices that the API server keeps for its own groups and for CRDs.
    "APIService": "!kube-aggregator.kubernetes.io/automanaged",
}
"""What leaves out most objects that nobody asked for, by labels of those who made them."""
_EVERYWHERE = (
    Read("apiextensions.k8s.io/v1", CRD_KIND),
    Read("apiregistration.k8s.io/v1", "APIService", selector=_SELECTORS["APIService"]),
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
    refs = _refs(expected)
    inside = (
        _namespaces(refs),
        Read("v1", "Service", namespace),
        Read("discovery.k8s.io/v1", "EndpointSlice", namespace),
        Read(_OLM, "Subscription", namespace),
        *(Read("v1", _SECRET, namespace, name) for name in expected.secret_names()),
    )
    fixed = tuple(dict.fromkeys((*_EVERYWHERE, *inside)))
    covered = {(read.api_version, read.kind, read.namespace) for read in fixed}
    return tuple(_aware(read, refs) for read in (*fixed, *_others(refs, covered)))


def _refs(expected: Expectation) -> tuple[ObjectRef, ...]:
    manifests = (*expected.manifests(), *expected.metrics_server)
    known = (*map(ref_of, manifests), *OLM_MADE_OBJECTS, KUBE_SYSTEM, *expected.required_data())
    return tuple(dict.fromkeys(known))


def _namespaces(refs: tuple[ObjectRef, ...]) -> Read:
    # The API server labels every namespace with its name (KEP-2161).
    names = ",".join(sorted(ref.name for ref in refs if ref.kind == "Namespace"))
    return Read("v1", "Namespace", selector=f"kubernetes.io/metadata.name in ({names})")


def _others(refs: tuple[ObjectRef, ...], covered: set[tuple[str, str, str]]) -> Iterator[Read]:
    needed: dict[tuple[str, str, str], list[ObjectRef]] = defaultdict(list)
    for ref in refs:
        place = (ref.api_version, ref.kind, ref.namespace)
        if place not in covered and (ref.api_version, ref.kind, "") not in covered:
            needed[place].append(ref)
    for (api_version, kind, namespace), found in needed.items():
        if len(found) == 1:
            yield Read(api_version, kind, namespace, found[0].name)
        else:
            yield Read(api_version, kind, namespace, selector=_SELECTORS.get(kind, ""))


def _aware(read: Read, refs: tuple[ObjectRef, ...]) -> Read:
    """A list that knows which of the expected objects it is to hold."""
    if read.name:
        return read
    wanted = tuple(
        ref
        for ref in refs
        if (ref.api_version, ref.kind) == (read.api_version, read.kind)
        and read.namespace in ("", ref.namespace)
    )
    return replace(read, wanted=wanted)
