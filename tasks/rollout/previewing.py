"""Rehearses what a rollout would write on every cluster, and writes nothing (R2, R4–R7, R11)."""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prefect import task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.clients.cluster import ApplyMode, ClusterClient
from tasks.clients.cluster.converge import Action, Change, converge
from tasks.connections import Account, load_block, open_cluster
from tasks.core.errors import FleetError
from tasks.core.manifests import Manifest, ObjectRef, ref_of
from tasks.core.rollout.previews import (
    ClusterPreview,
    PlannedChange,
    PlannedProblem,
    field_lines,
    render_previews,
)
from tasks.core.steps import InstallStep
from tasks.installation import until
from tasks.metrics_server import wanted_metrics_server
from tasks.olm import refuse_other_olm, write_olm_object
from tasks.operator.catalog import wanted_catalog
from tasks.operator.namespace import wanted_namespace
from tasks.operator.subscription import wanted_operator_group, wanted_subscription
from tasks.sources import Sources
from tasks.target import check_target

_AT_ONCE = 24
"""A preview waits for the network most of the time."""
_CRD = "CustomResourceDefinition"

Rehearse = Callable[[Manifest], Change]


def preview_rollout(names: Sequence[str], sources: Sources, reach_within: timedelta) -> list[ClusterPreview]:
    """Rehearse the rollout on every cluster, side by side, and show it as an artifact.

    Args:
        names: Of the clusters' blocks.
        sources: What would be written.
        reach_within: How long to try to reach a cluster.
    """
    places = threading.Semaphore(_AT_ONCE)

    # A closure, because Prefect walks through dataclasses in arguments, and the sources are megabytes.
    @task(
        name="preview-cluster",
        task_run_name="preview-cluster/{name}",
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    def preview_cluster(name: str) -> ClusterPreview:
        """One cluster; what would be refused stands in it and is not raised."""
        with places:
            preview = _Preview(name, sources)
            preview.run(until(reach_within))
            return ClusterPreview(name, tuple(preview.changes), tuple(preview.problems))

    running = [preview_cluster.submit(name) for name in names]
    previews = [future.result() for future in running]
    create_markdown_artifact(
        render_previews(previews), key="rollout-preview", description="Rollout, as the clusters rehearsed it"
    )
    return previews


@dataclass
class _Preview:
    name: str
    sources: Sources
    changes: list[PlannedChange] = field(default_factory=list)
    problems: list[PlannedProblem] = field(default_factory=list)

    def run(self, deadline: datetime) -> None:
        """Every step in its order; one that would be refused does not hide those after it."""
        try:
            cluster = load_block(KubernetesCluster, self.name)
            check_target(cluster, self.sources.needs, deadline)
            client, bootstrap = open_cluster(cluster), open_cluster(cluster, Account.BOOTSTRAP)
        except FleetError as error:
            self._refused(InstallStep.TARGET, error)
            return
        self._olm(bootstrap)
        self._operator(client)
        self._metrics_server(bootstrap)

    def _olm(self, client: ClusterClient) -> None:
        release, other = self.sources.olm, self.sources.other_olm

        def rehearse(manifest: Manifest) -> Change:
            return write_olm_object(client, release, manifest, other, ApplyMode.SERVER_DRY_RUN)

        def crds() -> Iterable[Manifest]:
            refuse_other_olm(client, release, other)
            return release.crds

        self._step(InstallStep.OLM_CRDS, crds, rehearse)
        self._step(InstallStep.OLM_OBJECTS, lambda: release.objects, rehearse)

    def _operator(self, client: ClusterClient) -> None:
        sources, installation = self.sources, self.sources.installation
        profile, bundle, namespace = sources.profile, sources.bundle, installation.namespace
        rehearse = _applying(client)
        self._step(
            InstallStep.NAMESPACE, lambda: wanted_namespace(client, profile, bundle, namespace), rehearse
        )
        self._step(
            InstallStep.CATALOG, lambda: wanted_catalog(bundle, installation, sources.catalog), rehearse
        )
        self._step(InstallStep.OPERATOR_GROUP, lambda: wanted_operator_group(client, installation), rehearse)
        self._step(InstallStep.SUBSCRIPTION, lambda: wanted_subscription(client, installation), rehearse)
        csv = ObjectRef("operators.coreos.com/v1alpha1", "ClusterServiceVersion", installation.csv, namespace)
        if client.get(csv) is None:
            self.changes.append(PlannedChange("INSTALLED", csv.kind, str(csv).removeprefix(f"{csv.kind} ")))

    def _metrics_server(self, client: ClusterClient) -> None:
        manifests = self.sources.metrics_server
        if manifests is not None:
            self._step(
                InstallStep.METRICS_SERVER,
                lambda: wanted_metrics_server(client, manifests),
                _applying(client),
            )

    def _step(self, step: InstallStep, wanted: Callable[[], Iterable[Manifest]], rehearse: Rehearse) -> None:
        try:
            manifests = list(wanted())
        except FleetError as error:
            self._refused(step, error)
            return
        for manifest in manifests:
            try:
                self._note(manifest, rehearse)
            except FleetError as error:
                self._refused(step, error)

    def _note(self, manifest: Manifest, rehearse: Rehearse) -> None:
        ref = ref_of(manifest)
        subject = str(ref).removeprefix(f"{ref.kind} ")
        if self._comes_after_another(manifest):
            self.changes.append(PlannedChange(Action.CREATED, ref.kind, subject, rehearsed=False))
            return
        change = rehearse(manifest)
        if change.action is not Action.NONE:
            fields = field_lines(change.differences)
            self.changes.append(PlannedChange(change.action, ref.kind, subject, fields))

    def _refused(self, step: InstallStep, error: FleetError) -> None:
        # Without the cluster's name, so that clusters with the same problem are told together.
        self.problems.append(PlannedProblem(step, str(error).replace(f"{self.name}: ", "")))

    def _comes_after_another(self, manifest: Manifest) -> bool:
        """Whether its namespace or its kind would be created first, so that the API server knows neither."""
        ref = ref_of(manifest)
        created = {(one.kind, one.subject) for one in self.changes if one.action == Action.CREATED}
        kinds = [crd for crd in self.sources.olm.crds if crd["spec"]["names"]["kind"] == ref.kind]
        return ("Namespace", ref.namespace) in created or any(
            crd["spec"]["group"] == ref.group and (_CRD, crd["metadata"]["name"]) in created for crd in kinds
        )


def _applying(client: ClusterClient) -> Rehearse:
    return lambda manifest: converge(client, [manifest], ApplyMode.SERVER_DRY_RUN)[0]
