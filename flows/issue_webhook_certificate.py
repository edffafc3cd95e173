"""Your own webhook certificate where the operator runs: requested, decided, signed, published (R12–R21)."""

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow
from prefect.runtime import flow_run
from pydantic import Field

from blocks.kubernetes_cluster import KubernetesCluster
from tasks.certificates.orders import find_operator_csv
from tasks.certificates.wave import CertificateWave
from tasks.connections import load_block
from tasks.core.errors import FleetError, InputError
from tasks.core.permissions import AccountNeeds, PermissionStep, required_permissions
from tasks.core.profiles import OperatorProfile
from tasks.core.settings import CertificateChoice, CertificateMode, Deadlines, OperatorPlace
from tasks.core.steps import InstallStep
from tasks.reporting import StepLog, publish_reports, raise_unless_all_installed
from tasks.sources import read_profile
from tasks.target import check_target

ClusterNames = Annotated[list[str], Field(min_length=1)]


def _flow_run_name() -> str:
    return f"issue-webhook-certificate/{','.join(flow_run.parameters['clusters'])}"


@flow(name="issue-webhook-certificate", flow_run_name=_flow_run_name, persist_result=True)
def issue_webhook_certificate(
    clusters: ClusterNames,
    certificate: CertificateChoice,
    operator: OperatorPlace = OperatorPlace(),
    deadlines: Deadlines = Deadlines(),
) -> None:
    """Request, have decided, sign, publish and prove the webhook certificate of every cluster.

    The run is suspended while a person decides, and starts again from the top when it is resumed: every step
    finds what it did before. A cluster that has the right certificate is left alone. A renewal, or another CA
    in the block, is the same flow: it changes what is there with both CAs trusted meanwhile.

    Args:
        clusters: Names of the OSOK Kubernetes Cluster blocks; one gate serves them all.
        certificate: Which CA signs, what for, and how long a person has time to decide; mode has to be OWN.
        operator: Which operator, and the namespace that it runs in.
        deadlines: How long the stages of one cluster may take, as ISO 8601 durations: PT90S, PT5M, PT1H.
    """
    if certificate.mode is not CertificateMode.OWN:
        raise InputError("issue a certificate", "certificate.mode", "OWN", certificate.mode.value)
    profile = read_profile(operator.profile)
    namespace = operator.namespace or profile.namespace
    logs = {name: StepLog(name) for name in clusters}
    wave = CertificateWave(profile, namespace, certificate)
    opened = {name: _request(name, log, wave, deadlines) for name, log in logs.items()}
    wave.decide()
    for name, cluster in opened.items():
        if cluster is not None:
            _carry_out(cluster, logs[name], wave)
    wave.finish()
    reports = [log.report() for log in logs.values()]
    publish_reports(reports)
    raise_unless_all_installed(reports)


def _request(
    name: str, log: StepLog, wave: CertificateWave, deadlines: Deadlines
) -> KubernetesCluster | None:
    try:
        cluster = log.record(InstallStep.BLOCK, load_block, KubernetesCluster, name)
        until = datetime.now(UTC) + deadlines.target
        needs = _needs(wave.profile, wave.namespace)
        target = log.record(InstallStep.TARGET, check_target, cluster, needs, until)
        wave.csvs[name] = find_operator_csv(cluster, wave.profile, wave.namespace)
        log.record(InstallStep.CERTIFICATE_REQUEST, wave.request, cluster, target)
    except FleetError:
        # The log has the error; the other clusters go on, and the flow fails at its end.
        return None
    return cluster


def _carry_out(cluster: KubernetesCluster, log: StepLog, wave: CertificateWave) -> None:
    try:
        until = datetime.now(UTC) + wave.choice.publish_within
        log.record(InstallStep.CERTIFICATE, wave.carry_out, cluster, log.cluster, until)
        log.record(InstallStep.PROOF, wave.prove, cluster, log.cluster)
    except FleetError:
        # As above.
        return


def _needs(profile: OperatorProfile, namespace: str) -> AccountNeeds:
    steps = (PermissionStep.VERIFICATION, PermissionStep.CERTIFICATES)
    fleet = tuple(one for step in steps for one in required_permissions(step, profile, namespace))
    return AccountNeeds(fleet=fleet, bootstrap=())
