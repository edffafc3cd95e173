"""The documented procedure and ours, side by side on the same kind of control plane, for both OLM versions.

`python -m benchmarks.documented_procedure` starts a control plane for each column, one after the other, has
the operator installed with OLM's certificate, and carries out either the page (R12–R20, with cfssl and
kubectl) or our tasks. A prober calls the nine validators all the time, until OLM has looked in by itself and
for a while after. Writes docs/documented-procedure.md.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient

from benchmarks.documented_observing import diagnosis_of, end_state, replaced_at
from benchmarks.documented_report import Column, Procedure, summary, write_document
from benchmarks.documented_steps import WORKING_SIGNER, DocumentedProcedure, PageStep
from benchmarks.olm_activity import read_activity
from benchmarks.rotating_world import KubeletDelay, installed_cluster, prefect_server
from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from deployments.rehearsal.programs import GoModule, OlmVersion, ensure_programs
from deployments.rehearsal.rotating import make_authority, rotate_at_once, validators_prober
from deployments.rehearsal.world import RehearsalCluster
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificates.cluster_requests import RequestState, state_of
from tasks.core.certificates.reading import read_certificates
from tasks.core.manifests import ObjectRef
from tasks.core.profiles import built_in_profile

_AUTHORITY = "documented-ca"
_PATIENCE = timedelta(minutes=5)
_SETTLED = timedelta(seconds=60)
"""A look of OLM that comes later than this after the last step is its own, and not caused by the step."""
_LOOK_WITHIN = timedelta(minutes=8)
_AFTERWARDS = timedelta(seconds=10)
_EVERY = timedelta(milliseconds=45)


@dataclass(frozen=True)
class Published:
    """What was issued and published.

    Attributes:
        signer: What the API server said to the signer's name.
        request: The conditions of the request.
        leaf: Fingerprint of the certificate.
        authority: The CA's certificate, PEM.
        at: When publishing began.
        steps: What was run by hand.
    """

    signer: str
    request: str
    leaf: str
    authority: bytes
    at: datetime
    steps: tuple[PageStep, ...] = ()


def follow_the_page(cluster: RehearsalCluster, folder: Path) -> Published:
    """R12–R20 as the page has them."""
    programs = ensure_programs(OlmVersion.V0_46_0, lambda _: None, (GoModule.CFSSL, GoModule.KUBECTL))
    page = DocumentedProcedure(programs, folder, cluster.control_plane.kubeconfig, built_in_profile())
    page.issue()
    at = datetime.now(UTC)
    page.publish()
    block = CertificateAuthority(
        kind=AuthorityKind.FILE, certificate_file=folder / "ca.pem", key_file=folder / "ca-key.pem"
    )
    block.save(_AUTHORITY, overwrite=True)
    leaf = read_certificates((folder / "server.crt").read_bytes())[0]
    return Published(
        signer=f"refused: {page.signer_refusal}" if page.signer_refusal else "accepted",
        request=page.conditions(),
        leaf=leaf.sha256,
        authority=(folder / "ca.pem").read_bytes(),
        at=at,
        steps=tuple(page.steps),
    )


def follow_ours(cluster: RehearsalCluster, folder: Path) -> Published:
    """The tasks of issue-webhook-certificate, approved at once."""
    make_authority(folder, _AUTHORITY)
    at = datetime.now(UTC)
    rotation = rotate_at_once(cluster.name, _AUTHORITY, _PATIENCE)
    name = rotation.issued.request
    request = cluster.control_plane.client().get(
        ObjectRef("certificates.k8s.io/v1", "CertificateSigningRequest", name)
    )
    issued = request is not None and state_of(request) is RequestState.ISSUED
    return Published(
        signer=f"accepted: {WORKING_SIGNER}",
        request="Approved,Issued" if issued else "not issued",
        leaf=rotation.issued.sha256,
        authority=rotation.issued.authority_pem,
        at=at,
    )


_CARRY_OUT: dict[Procedure, Callable[[RehearsalCluster, Path], Published]] = {
    Procedure.PAGE: follow_the_page,
    Procedure.OURS: follow_ours,
}


def measure(olm: OlmVersion, procedure: Procedure, delay: timedelta, client: SyncPrefectClient) -> Column:
    """One column of the table, on a control plane of its own."""
    kubelet = KubeletDelay()
    with (
        tempfile.TemporaryDirectory(prefix="osok-fleet-page-") as folder,
        installed_cluster(olm, kubelet, _say) as cluster,
    ):
        kubelet.current = delay
        offset = cluster.control_plane.audit_log.stat().st_size
        with validators_prober(cluster.control_plane, _EVERY) as prober:
            published = _CARRY_OUT[procedure](cluster, Path(folder))
            finished = datetime.now(UTC)
            looked = _wait_for_look(cluster, olm, finished + _SETTLED)
            time.sleep(_AFTERWARDS.total_seconds())
            state = end_state(cluster, published.leaf, published.authority)
            diagnosis = diagnosis_of(client, cluster.name, _AUTHORITY)
        requests = cluster.control_plane.audited_requests(offset)
        replaced = replaced_at(requests, published.at)
        return Column(
            olm=olm,
            procedure=procedure,
            signer=published.signer,
            request=published.request,
            probed=prober.result,
            installs=len(read_activity(requests, built_in_profile(), olm).installs),
            replaced_after=replaced - published.at if replaced and not state.kept else None,
            looked_after=looked - finished if looked else None,
            state=state,
            diagnosis=diagnosis,
            steps=published.steps,
        )


def _wait_for_look(cluster: RehearsalCluster, olm: OlmVersion, not_before: datetime) -> datetime | None:
    """The first look of OLM after a moment that is long enough after everything of ours."""
    offset = cluster.control_plane.audit_log.stat().st_size

    def look() -> datetime | None:
        requests = cluster.control_plane.audited_requests(offset)
        looks = read_activity(requests, built_in_profile(), olm).looks
        return next((at for at in looks if at > not_before), None)

    return wait_for(look, lambda found: found is not None, deadline_after(_LOOK_WITHIN))


def main() -> int:
    """Measure every column and write the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.documented_procedure", description=__doc__)
    parser.add_argument("--delay", type=float, default=0.0, help="of the kubelet, in seconds (default 0)")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    delay = timedelta(seconds=arguments.delay)
    command = f"python -m benchmarks.documented_procedure {' '.join(sys.argv[1:])}".rstrip()
    columns: list[Column] = []
    with (
        tempfile.TemporaryDirectory(prefix="osok-fleet-bench-") as scratch,
        prefect_server(Path(scratch)) as client,
    ):
        for olm in OlmVersion:
            for procedure in Procedure:
                columns.append(measure(olm, procedure, delay, client))
                _say(summary(columns[-1]))
                write_document(columns, command, delay)
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
