"""A cluster as install-fleet leaves it, and what verify-fleet expects of it, for tests of drift."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from kubernetes import config
from prefect import flow

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.world import World
from tasks.clients.cluster import ClusterClient
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import load_block, open_cluster
from tasks.core.drift.choice import LiveChecks
from tasks.core.drift.expectation import Expectation
from tasks.core.drift.finding import compared, find_drift
from tasks.core.drift.items import DriftItem
from tasks.core.drift.unchanged import ComparedVersions
from tasks.core.manifests import ObjectRef
from tasks.core.settings import MetricsServerChoice, OlmRelease, OperatorChoice
from tasks.drift.observing import observe_cluster
from tasks.sources import Sources, fetch_sources
from tests.support.strangers import Stranger

PATIENCE = timedelta(minutes=3)
"""How long something may take that happens within seconds on an idle machine."""
OLM_PROGRAMS = tuple(
    ObjectRef("apps/v1", "Deployment", name, "olm") for name in ("olm-operator", "catalog-operator")
)


@flow
def sources_of(operator: OperatorChoice, olm: OlmRelease) -> Sources:
    """What verify-fleet fetches."""
    return fetch_sources(operator, olm, MetricsServerChoice())


@dataclass(frozen=True)
class DriftBench:
    """One cluster under verification.

    Attributes:
        fleet: The account that verifies.
        stranger: Somebody who changes things.
        expected: What should be there.
    """

    name: str
    fleet: ClusterClient
    stranger: Stranger
    expected: Expectation

    @property
    def admin(self) -> ClusterClient:
        """An administrator."""
        return self.stranger.client

    def drift(
        self, live_checks: LiveChecks = LiveChecks.NONE, known: ComparedVersions | None = None
    ) -> dict[str, DriftItem]:
        """What a single look finds, by object and field."""
        items = find_drift(self.expected, observe_cluster(self.fleet, self.expected, live_checks, known))
        return {f"{item.ref}{item.field}": item for item in items}

    def compared(self) -> ComparedVersions:
        """What a look remembers for the next one."""
        seen = observe_cluster(self.fleet, self.expected, LiveChecks.NONE)
        return compared(self.expected, seen, find_drift(self.expected, seen))

    def settled(self, than: frozenset[str], live_checks: LiveChecks = LiveChecks.NONE) -> frozenset[str]:
        """Wait until nothing more is found than there was; returns what is found."""
        return wait_for(
            lambda: frozenset(self.drift(live_checks)), lambda found: found <= than, deadline_after(PATIENCE)
        )

    @contextmanager
    def without_olm(self) -> Iterator[None]:
        """Stop OLM, which would put some of the changes right, or others wrong, while a test looks."""
        assert self.settled(frozenset()) == frozenset()
        self._scale(0)
        try:
            yield
        finally:
            self._scale(1)
            # OLM looks at everything when it starts, and installs anew what it takes for changed.
            self.settled(frozenset())

    def _scale(self, replicas: int) -> None:
        for ref in OLM_PROGRAMS:
            # By apply, as install-fleet does: the replicas stay ours.
            self.admin.patch(ref, {"spec": {"replicas": replicas}})
        for ref in OLM_PROGRAMS:
            wait_for(
                lambda ref=ref: ((self.admin.get(ref) or {}).get("status") or {}).get("readyReplicas", 0),  # type: ignore[misc]  # mypy knows no default of a lambda's parameter
                lambda ready: ready == replicas,
                deadline_after(PATIENCE),
            )


@contextmanager
def drift_bench(world: World) -> Iterator[DriftBench]:
    """The first cluster of a world whose blocks are saved."""
    cluster = world.clusters[0]
    parameters = world.parameters()
    sources = sources_of(
        OperatorChoice.model_validate(parameters["operator"]), OlmRelease.model_validate(parameters["olm"])
    )
    expected = Expectation(
        sources.profile, sources.bundle, sources.installation, sources.catalog, sources.olm
    )
    plane = cluster.control_plane
    api = config.new_client_from_config(str(plane.kubeconfig))
    try:
        yield DriftBench(
            cluster.name,
            open_cluster(load_block(KubernetesCluster, cluster.name)),
            Stranger(plane.client(), api),
            expected,
        )
    finally:
        api.close()
