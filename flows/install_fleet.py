"""Takes clusters from nothing to a running, verified operator (R1–R11), after a look at OCI (R23–R28)."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.wave import CertificateWave
from tasks.connections import load_block
from tasks.core.errors import FleetError
from tasks.core.prerequisites.settings import FleetPrerequisites
from tasks.core.settings import (
    CertificateChoice,
    CertificateMode,
    Deadlines,
    MetricsServerChoice,
    OlmRelease,
    OperatorChoice,
)
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
from tasks.prerequisites.upstream import Upstream, check_upstream
from tasks.reporting import StepLog, publish_reports, raise_unless_all_installed
from tasks.sources import Sources, fetch_sources
from tasks.target import check_target
from tasks.verification import verify_operator

ClusterNames = Annotated[list[str], Field(min_length=1)]


def _flow_run_name() -> str:
    return f"install-fleet/{','.join(flow_run.parameters['clusters'])}"


@flow(name="install-fleet", flow_run_name=_flow_run_name, persist_result=True)
def install_fleet(  # noqa: PLR0913, PLR0917 - each parameter is one group of the form in the Prefect UI
    clusters: ClusterNames,
    operator: OperatorChoice = OperatorChoice(),
    olm: OlmRelease = OlmRelease(),
    certificate: CertificateChoice = CertificateChoice(),
    metrics_server: MetricsServerChoice = MetricsServerChoice(),
    deadlines: Deadlines = Deadlines(),
    prerequisites: FleetPrerequisites = FleetPrerequisites(),  # noqa: B008 - a frozen model
) -> None:
    """Install OLM, the operator and optionally the metrics server, and prove that its webhooks answer.

    Clusters are taken one after another; one that fails does not stop the next. Every step reads the cluster
    first and writes only what is not right yet, so the flow may be run again at any time. With a certificate
    of your own the run is suspended once, until a person decides about the requests of all clusters; on a
    fresh cluster the certificate is there before the operator.

    Args:
        clusters: Names of the OSOK Kubernetes Cluster blocks to install to, in order.
        operator: Which operator release to install, where from and where to.
        olm: Which Operator Lifecycle Manager to install, and where its two manifest files come from.
        certificate: OLM's own webhook certificate, or one signed by your CA after a person approved it.
        metrics_server: The optional metrics server, which the autoscaler of ingress gateways needs.
        deadlines: How long the stages of one cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H.
        prerequisites: What has to be there in OCI. Each tenancy's region is read once; clusters of one that
            lacks something are refused before anything is written.
    """
    upstream = check_upstream(clusters, prerequisites)
    sources = fetch_sources(operator, olm, metrics_server)
    wave = CertificateWave(sources.profile, sources.installation.namespace, certificate)
    logs = {name: StepLog(name, sources.profile.lifecycle_notice) for name in clusters}
    prepared = {
        name: _prepare(log, sources, wave, deadlines)
        for name, log in logs.items()
        if _has_prerequisites(log, upstream)
    }
    wave.decide()
    for name, cluster in prepared.items():
        if cluster is not None:
            _finish(cluster, logs[name], sources, wave, deadlines)
    wave.finish()
    reports = [log.report() for log in logs.values()]
    publish_reports(reports)
    raise_unless_all_installed(reports)


def _has_prerequisites(log: StepLog, upstream: Upstream) -> bool:
    """Whether a cluster's prerequisites are met, or were not looked at; the log says which."""
    left_out = upstream.left_out(log.cluster)
    if left_out:
        log.skip(InstallStep.PREREQUISITES, left_out)
        return True
    try:
        log.record(InstallStep.PREREQUISITES, upstream.require, log.cluster)
    except FleetError:
        # The log has the error; the other clusters go on, and the flow fails at its end.
        return False
    return True


def _prepare(
    log: StepLog, sources: Sources, wave: CertificateWave, deadlines: Deadlines
) -> KubernetesCluster | None:
    """Everything before the decision: target, OLM, namespace, request. None when a step failed."""
    try:
        cluster = log.record(InstallStep.BLOCK, load_block, KubernetesCluster, log.cluster)
        target = log.record(
            InstallStep.TARGET, check_target, cluster, sources.needs, _until(deadlines.target)
        )
        install_olm(cluster, sources, log, _until(deadlines.olm))
        namespace = sources.installation.namespace
        log.record(
            InstallStep.NAMESPACE,
            prepare_operator_namespace,
            cluster,
            sources.profile,
            sources.bundle,
            namespace,
        )
        if wave.choice.mode is CertificateMode.OWN:
            log.record(InstallStep.CERTIFICATE_REQUEST, wave.request, cluster, target)
    except FleetError:
        # As above.
        return None
    return cluster


def _finish(
    cluster: KubernetesCluster,
    log: StepLog,
    sources: Sources,
    wave: CertificateWave,
    deadlines: Deadlines,
) -> None:
    """Everything after the decision: certificate, operator, metrics server, verification."""
    try:
        wave.csvs[log.cluster] = sources.installation.csv
        if wave.choice.mode is CertificateMode.OWN:
            until = _until(wave.choice.publish_within)
            log.record(InstallStep.CERTIFICATE, wave.carry_out, cluster, log.cluster, until)
        install_operator(cluster, sources, log, _until(deadlines.operator))
        if sources.metrics_server is not None:
            until = _until(deadlines.metrics_server)
            manifests = sources.metrics_server
            log.record(InstallStep.METRICS_SERVER, ensure_metrics_server, cluster, manifests, until)
        until = _until(deadlines.verification)
        namespace = sources.installation.namespace
        log.record(InstallStep.VERIFICATION, verify_operator, cluster, sources.profile, namespace, until)
        if wave.choice.mode is CertificateMode.OWN:
            log.record(InstallStep.PROOF, wave.prove, cluster, log.cluster)
    except FleetError:
        # As above.
        return


def install_olm(cluster: KubernetesCluster, sources: Sources, log: StepLog, until: datetime) -> None:
    """R2 and R3."""
    log.version("OLM", sources.olm.version)
    log.record(InstallStep.OLM_CRDS, apply_olm_crds, cluster, sources.olm, sources.other_olm, until)
    log.record(InstallStep.OLM_OBJECTS, apply_olm_objects, cluster, sources.olm, sources.other_olm)
    log.record(InstallStep.OLM_HEALTH, wait_for_olm, cluster, sources.olm, until)


def install_operator(cluster: KubernetesCluster, sources: Sources, log: StepLog, until: datetime) -> None:
    """R5 to R7."""
    installation = sources.installation
    log.version("Operator", f"{installation.csv} ({sources.bundle.digest or sources.bundle.source})")
    log.record(InstallStep.CATALOG, publish_catalog, cluster, sources.bundle, installation, sources.catalog)
    log.record(InstallStep.CATALOG_READY, wait_for_catalog, cluster, installation, until)
    log.record(InstallStep.OPERATOR_GROUP, ensure_operator_group, cluster, installation)
    log.record(InstallStep.SUBSCRIPTION, subscribe, cluster, installation)
    log.record(InstallStep.INSTALL_PLAN, approve_install_plan, cluster, installation, until)
    log.record(InstallStep.CSV, wait_for_csv_succeeded, cluster, installation, until)


def _until(duration: timedelta) -> datetime:
    return datetime.now(UTC) + duration
