"""The metrics server: ours as released, or the cluster's own, which only has to answer (R11)."""

from collections.abc import Iterator

from tasks.core.drift.expectation import Expectation, refs_of
from tasks.core.drift.health import check_health
from tasks.core.drift.items import DriftItem
from tasks.core.drift.objects import compare
from tasks.core.drift.observation import ClusterObservation
from tasks.core.manifests import ObjectRef, ref_of
from tasks.core.ownership import is_ours

METRICS_API = ObjectRef("apiregistration.k8s.io/v1", "APIService", "v1beta1.metrics.k8s.io")


def check_metrics_server(expected: Expectation, seen: ClusterObservation) -> Iterator[DriftItem]:
    """Nothing when it is not part of the installation."""
    if not expected.metrics_server:
        return
    api = seen.find(METRICS_API)
    if api is None or is_ours(api):
        for manifest in expected.metrics_server:
            yield from compare(manifest, seen.find(ref_of(manifest)))
        yield from check_health(refs_of(expected.metrics_server), seen.objects)
    else:
        yield from check_health([METRICS_API], seen.objects)
