"""A cluster with OLM on which tests install small operators, each in a namespace of its own."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from prefect.settings import PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW, temporary_settings

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.images import Image
from deployments.rehearsal.world import World
from tasks.clients.cluster import ClusterClient
from tasks.clients.cluster.converge import converge
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import load_block
from tasks.core.catalogs import CatalogPlace, CatalogServer, catalog_objects, render_catalog
from tasks.core.diagnosis import CauseKind, diagnose
from tasks.core.installation import NOT_COPIED, Installation
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.outcomes import StepOutcome
from tasks.operator.catalog import publish_catalog, wait_for_catalog
from tasks.operator.stalls import observe_stall
from tasks.operator.subscription import (
    approve_install_plan,
    ensure_operator_group,
    subscribe,
    wait_for_csv_succeeded,
)
from tests.support.small_operators import SmallOperator

OPM = CatalogServer(Image.OPM.value)
OLM = "operators.coreos.com/v1alpha1"
PATIENCE = timedelta(minutes=3)
"""How long something may take that happens within seconds on an idle machine."""


def patiently() -> datetime:
    """A deadline that no step is meant to reach."""
    return datetime.now(UTC) + PATIENCE


def shortly() -> datetime:
    """A deadline for a step that is not meant to succeed; long enough to start its task on a busy machine."""
    return datetime.now(UTC) + timedelta(seconds=4)


@dataclass(frozen=True)
class InstallSite:
    """The cluster, as the flows see it and as its administrator does.

    Attributes:
        cluster: Its block.
        client: The administrator.
        namespaces: The ones that were made, for `clean`.
    """

    cluster: KubernetesCluster
    client: ClusterClient
    namespaces: list[str] = field(default_factory=list)

    def namespace(self, labels: Mapping[str, str] | None = None) -> str:
        """Make a namespace that no other test uses."""
        metadata = {"generateName": "small-", "labels": dict(labels or {})}
        made = self.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        name: str = made["metadata"]["name"]
        self.namespaces.append(name)
        return name

    def operator_group(self, namespace: str, name: str, **spec: object) -> None:
        """Make an OperatorGroup as an administrator would: without annotations."""
        metadata = {"name": name, "namespace": namespace}
        self.client.create(
            {
                "apiVersion": "operators.coreos.com/v1",
                "kind": "OperatorGroup",
                "metadata": metadata,
                "spec": spec,
            }
        )

    def offer(self, operators: Iterable[SmallOperator]) -> str:
        """Serve several operators from one catalog; returns its address."""
        place = CatalogPlace(self.namespace(), "small")
        catalog = "".join(render_catalog(operator.bundle()) for operator in operators)
        converge(self.client, catalog_objects(catalog, place, OPM))
        deployment = ObjectRef("apps/v1", "Deployment", place.name, place.namespace)
        self.see(deployment, lambda live: bool((live.get("status") or {}).get("readyReplicas")))
        return place.address

    def subscribe(self, operator: SmallOperator, namespace: str, address: str) -> Installation:
        """Take the steps up to the Subscription, with the catalog at `address`."""
        installation = operator.installation(namespace)
        publish_catalog(self.cluster, operator.bundle(), installation, address)
        wait_for_catalog(self.cluster, installation, patiently())
        ensure_operator_group(self.cluster, installation)
        subscribe(self.cluster, installation)
        return installation

    def install(self, operator: SmallOperator, namespace: str, address: str) -> StepOutcome:
        """Take all steps up to the ClusterServiceVersion; returns what the last one says."""
        installation = self.subscribe(operator, namespace, address)
        approve_install_plan(self.cluster, installation, patiently())
        return wait_for_csv_succeeded(self.cluster, installation, patiently())

    def see(self, ref: ObjectRef, satisfied: Callable[[Manifest], bool]) -> Manifest:
        """Wait until an object is there and satisfies a condition; returns it."""
        found = wait_for(
            lambda: self.client.get(ref),
            lambda live: live is not None and satisfied(live),
            deadline_after(PATIENCE),
        )
        assert found is not None
        assert satisfied(found)
        return found

    def await_cause(self, installation: Installation, kind: CauseKind) -> None:
        """Wait until the cluster tells of a cause, so that a step that fails then has it to tell."""
        found = wait_for(
            lambda: [cause.kind for cause in diagnose(observe_stall(self.client, installation))],
            lambda kinds: kind in kinds,
            deadline_after(PATIENCE),
        )
        assert kind in found

    def clean(self) -> None:
        """Remove the operators, their kinds and the namespaces; nothing waits for the end of it."""
        for namespace in self.namespaces:
            for kind, selector in (("Subscription", ""), ("ClusterServiceVersion", NOT_COPIED)):
                for manifest in self.client.list_objects(OLM, kind, namespace, selector):
                    self.client.delete(ref_of(manifest))
            self.client.delete(ObjectRef("v1", "Namespace", namespace))
        for crd in self.client.list_objects("apiextensions.k8s.io/v1", "CustomResourceDefinition"):
            if crd["spec"]["group"].endswith(".example.com"):
                self.client.delete(ref_of(crd))


@contextmanager
def tasks_outside_flows() -> Iterator[None]:
    """Let tests call tasks that log, without a flow run that the log could belong to."""
    with temporary_settings({PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW: "ignore"}):
        yield


@contextmanager
def install_site(world: World) -> Iterator[InstallSite]:
    """The first cluster of a world whose blocks are saved; what was made on it is removed at the end."""
    first = world.clusters[0]
    site = InstallSite(load_block(KubernetesCluster, first.name), first.control_plane.client())
    try:
        with tasks_outside_flows():
            yield site
    finally:
        site.clean()
