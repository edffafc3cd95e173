"""The steps of an installation on one cluster, stage by stage; a repair takes the same ones (R2–R7, R11)."""

from datetime import UTC, datetime, timedelta

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.core.scopes import EVERYTHING, WriteScope
from tasks.core.steps import InstallStep
from tasks.metrics_server import ensure_metrics_server
from tasks.olm import apply_olm_crds, apply_olm_objects, wait_for_olm
from tasks.operator.catalog import publish_catalog, wait_for_catalog
from tasks.operator.namespace import prepare_operator_namespace
from tasks.operator.subscription import (
    approve_install_plan,
    ensure_operator_group,
    subscribe,
    wait_for_csv_succeeded,
)
from tasks.reporting import StepLog
from tasks.sources import Sources


def until(duration: timedelta) -> datetime:
    """The moment at which a stage that begins now has to be over."""
    return datetime.now(UTC) + duration


def install_olm(
    cluster: KubernetesCluster,
    sources: Sources,
    log: StepLog,
    deadline: datetime,
    scope: WriteScope = EVERYTHING,
) -> None:
    """R2 and R3."""
    olm, other = sources.olm, sources.other_olm
    log.version("OLM", olm.version)
    log.record(InstallStep.OLM_CRDS, apply_olm_crds, cluster, olm, other, deadline, scope)
    log.record(InstallStep.OLM_OBJECTS, apply_olm_objects, cluster, olm, other, scope)
    log.record(InstallStep.OLM_HEALTH, wait_for_olm, cluster, olm, deadline)


def prepare_namespace(
    cluster: KubernetesCluster, sources: Sources, log: StepLog, scope: WriteScope = EVERYTHING
) -> None:
    """R4."""
    profile, bundle, namespace = sources.profile, sources.bundle, sources.installation.namespace
    step = InstallStep.NAMESPACE
    log.record(step, prepare_operator_namespace, cluster, profile, bundle, namespace, scope)


def install_operator(cluster: KubernetesCluster, sources: Sources, log: StepLog, deadline: datetime) -> None:
    """R5 to R7."""
    log.version("Operator", f"{sources.installation.csv} ({sources.bundle.digest or sources.bundle.source})")
    serve_catalog(cluster, sources, log, deadline)
    group_operator(cluster, sources, log)
    subscribe_to_operator(cluster, sources, log, deadline)


def serve_catalog(
    cluster: KubernetesCluster,
    sources: Sources,
    log: StepLog,
    deadline: datetime,
    scope: WriteScope = EVERYTHING,
) -> None:
    """R5, R6: the bundle's catalog, and OLM's connection to it."""
    bundle, installation, server = sources.bundle, sources.installation, sources.catalog
    log.record(InstallStep.CATALOG, publish_catalog, cluster, bundle, installation, server, scope)
    log.record(InstallStep.CATALOG_READY, wait_for_catalog, cluster, installation, deadline)


def group_operator(
    cluster: KubernetesCluster, sources: Sources, log: StepLog, scope: WriteScope = EVERYTHING
) -> None:
    """R7: which namespaces the operator watches."""
    log.record(InstallStep.OPERATOR_GROUP, ensure_operator_group, cluster, sources.installation, scope)


def subscribe_to_operator(
    cluster: KubernetesCluster,
    sources: Sources,
    log: StepLog,
    deadline: datetime,
    scope: WriteScope = EVERYTHING,
) -> None:
    """R6, R7: from the Subscription to a ClusterServiceVersion that succeeded."""
    installation = sources.installation
    log.record(InstallStep.SUBSCRIPTION, subscribe, cluster, installation, scope)
    log.record(InstallStep.INSTALL_PLAN, approve_install_plan, cluster, installation, deadline)
    log.record(InstallStep.CSV, wait_for_csv_succeeded, cluster, installation, deadline)


def install_metrics_server(
    cluster: KubernetesCluster,
    sources: Sources,
    log: StepLog,
    deadline: datetime,
    scope: WriteScope = EVERYTHING,
) -> None:
    """R11, where the metrics server is part of the run."""
    manifests = sources.metrics_server
    if manifests is not None:
        step = InstallStep.METRICS_SERVER
        log.record(step, ensure_metrics_server, cluster, manifests, deadline, scope)
