"""The results of a verification as Prometheus metrics (names: prometheus.io/docs/practices/naming).

A flow run is short, so all of them are gauges of what the last run saw. Each has the label `fleet`, and most
the label `cluster`; every other label has a closed set of values, so that a cluster never has more than
`MOST_SERIES` series.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from tasks.core.drift.certificates import CalendarEntry, EndKind
from tasks.core.drift.items import DriftKind, DriftSeverity
from tasks.core.drift.results import VERIFIED, ClusterVerification, FleetVerification, VerificationState

_CERTIFICATES: Mapping[EndKind, str] = {
    EndKind.LEAF_EXPIRES: "leaf",
    EndKind.ISSUER_EXPIRES: "issuer",
    EndKind.TRUSTED_CA_EXPIRES: "trusted_ca",
}
_ACTIONS: Mapping[EndKind, str] = {
    EndKind.OLM_REPLACES: "olm_replaces",
    EndKind.OLM_ROTATES: "olm_rotates",
    EndKind.REQUEST_COLLECTED: "request_collected",
}
_LONGEST_VERSION = 100

MOST_SERIES = (
    len(VerificationState) + len(DriftKind) * len(DriftSeverity) + len(_CERTIFICATES) + len(_ACTIONS) + 7
)
"""A cluster has no more series than these, whatever it holds."""

Sample = tuple[Mapping[str, str], float]


@dataclass(frozen=True)
class _Gauge:
    """One metric of a cluster.

    Attributes:
        name: With its unit.
        text: Its HELP.
        labels: Beside `fleet` and `cluster`.
        samples: The series of one cluster; none for what is not known.
    """

    name: str
    text: str
    labels: tuple[str, ...]
    samples: Callable[[ClusterVerification], Iterable[Sample]]


class FleetMetrics(Collector):
    """Collects the metrics of one verification.

    Args:
        name: The value of the label `fleet`.
        fleet: What was found.
    """

    def __init__(self, name: str, fleet: FleetVerification) -> None:
        self._name = name
        self._fleet = fleet

    @override
    def collect(self) -> Iterator[Metric]:
        """The families, each with its HELP."""
        run = GaugeMetricFamily(
            "osok_verification_run_timestamp_seconds",
            "When the last run of verify-fleet ended, in Unix time.",
            labels=("fleet",),
        )
        run.add_metric((self._name,), self._fleet.at.timestamp())
        yield run
        for gauge in _GAUGES:
            labels = ("fleet", "cluster", *gauge.labels)
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=labels)
            for cluster in self._fleet.clusters:
                for values, number in gauge.samples(cluster):
                    rest = (values[label] for label in gauge.labels)
                    family.add_metric((self._name, cluster.cluster, *rest), number)
            yield family


def registry_of(name: str, fleet: FleetVerification) -> CollectorRegistry:
    """A registry with these metrics alone: nothing about the process that made them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetMetrics(name, fleet))
    return registry


def _states(one: ClusterVerification) -> Iterator[Sample]:
    for state in VerificationState:
        yield {"state": state.value}, float(one.state is state)


def _items(one: ClusterVerification) -> Iterator[Sample]:
    """Zero says that it was looked for and not found; of a cluster that nobody could look at, nothing."""
    if one.state not in VERIFIED:
        return
    counted = Counter((item.kind, item.severity) for item in one.items)
    for kind in DriftKind:
        for severity in DriftSeverity:
            yield {"kind": kind.value, "severity": severity.value}, float(counted[kind, severity])


def _ignored(one: ClusterVerification) -> Iterator[Sample]:
    if one.state in VERIFIED:
        yield {}, float(len(one.ignored))


def _unseen(one: ClusterVerification) -> Iterator[Sample]:
    if one.state in VERIFIED:
        yield {}, float(len(one.unseen))


def _certificates(one: ClusterVerification) -> Iterator[Sample]:
    return _earliest(one.calendar, _CERTIFICATES, "element")


def _actions(one: ClusterVerification) -> Iterator[Sample]:
    return _earliest(one.calendar, _ACTIONS, "action")


def _earliest(
    calendar: Iterable[CalendarEntry], names: Mapping[EndKind, str], label: str
) -> Iterator[Sample]:
    """A bundle may hold any number of authorities: the one that ends first is the one that counts."""
    for kind, name in names.items():
        ends = [entry.at for entry in calendar if entry.kind is kind]
        if ends:
            yield {label: name}, min(ends).timestamp()


def _first_end(one: ClusterVerification) -> Iterator[Sample]:
    if one.first_end is not None:
        yield {}, one.first_end.at.timestamp()


def _last_verified(one: ClusterVerification) -> Iterator[Sample]:
    if one.verified_at is not None:
        yield {}, one.verified_at.timestamp()


def _reads(one: ClusterVerification) -> Iterator[Sample]:
    if one.state in VERIFIED:
        yield {}, float(one.reads)


def _duration(one: ClusterVerification) -> Iterator[Sample]:
    if one.state in VERIFIED:
        yield {}, one.seconds


def _versions(one: ClusterVerification) -> Iterator[Sample]:
    if one.state in VERIFIED:
        versions = {"kubernetes": one.kubernetes, "olm": one.olm, "operator": one.operator}
        yield {name: version[:_LONGEST_VERSION] for name, version in versions.items()}, 1.0


_GAUGES = (
    _Gauge(
        "osok_cluster_state",
        "1 for the state in which the cluster was found, 0 for the others.",
        ("state",),
        _states,
    ),
    _Gauge(
        "osok_drift_items",
        "Number of things that are not as they should be. No series: the cluster could not be verified.",
        ("kind", "severity"),
        _items,
    ),
    _Gauge("osok_drift_ignored_items", "Number of things that a rule leaves out.", (), _ignored),
    _Gauge("osok_verification_unseen_parts", "Number of parts that could not be looked at.", (), _unseen),
    _Gauge(
        "osok_certificate_not_after_seconds",
        "End of the certificate, or of the first of several, in Unix time.",
        ("element",),
        _certificates,
    ),
    _Gauge(
        "osok_certificate_action_timestamp_seconds",
        "When OLM replaces or rotates the certificate, or the cluster collects a request, in Unix time.",
        ("action",),
        _actions,
    ),
    _Gauge(
        "osok_first_failure_timestamp_seconds",
        "First date at which something stops working if nobody acts, in Unix time.",
        (),
        _first_end,
    ),
    _Gauge(
        "osok_last_verified_timestamp_seconds",
        "When the cluster was last verified, in Unix time. No series: never.",
        (),
        _last_verified,
    ),
    _Gauge(
        "osok_verification_reads",
        "Read requests of the last look at the cluster, live calls aside.",
        (),
        _reads,
    ),
    _Gauge(
        "osok_verification_duration_seconds",
        "How long the last verification of the cluster took.",
        (),
        _duration,
    ),
    _Gauge("osok_component_info", "Versions that were found.", ("kubernetes", "olm", "operator"), _versions),
)

METRIC_NAMES = ("osok_verification_run_timestamp_seconds", *(gauge.name for gauge in _GAUGES))
"""Every name that there is."""
