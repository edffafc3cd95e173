"""The evidence of a wave of certificates: every step once, resumed where it was, and true or named (R12–R20).

The cluster has no operator yet, as before a fresh install: publishing there is making the Secret.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments import evidence as command
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.programs import Programs
from deployments.rehearsal.running import artifacts_of
from deployments.rehearsal.world import start_anywhere
from tasks.certificates.signing import IssuedCertificate
from tasks.certificates.wave import CertificateWave
from tasks.certificates.wave_evidence import WaveEvidence
from tasks.clients.cluster import ClusterClient
from tasks.connections import load_block, open_cluster
from tasks.core.certificate_orders import PendingRequest
from tasks.core.certificates.cluster_requests import ShownRequest
from tasks.core.errors import ClusterUnavailableError, RolledBackError
from tasks.core.evidence import EvidenceEvent, EvidenceRecord, read_records
from tasks.core.manifests import ObjectRef
from tasks.core.settings import CertificateChoice
from tasks.target import Target, who_am_i
from tests.support.bare_clusters import make_namespace, tell_olm_version
from tests.support.certificates import requests_of, write_authority
from tests.support.gates import PROFILE, OwnRun, own_run

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.long,
    pytest.mark.usefixtures("prefect_server"),
]

CLUSTER = "evidence-one"


@flow(name="evidence-of-one", persist_result=True)
def evidence_of_one(namespace: str, certificate: CertificateChoice) -> None:
    """The certificate steps of install-fleet for one cluster, and nothing else."""
    wave = CertificateWave(PROFILE, namespace, certificate)
    cluster = load_block(KubernetesCluster, CLUSTER)
    user = who_am_i(open_cluster(cluster))
    wave.csvs[CLUSTER] = PROFILE.csv_name_for("1.1.9")
    wave.request(cluster, Target(CLUSTER, "uid-of-one", "v1.35.4", user.name, user.uid))
    wave.decide()
    try:
        wave.carry_out(cluster, CLUSTER, datetime.now(UTC) + timedelta(minutes=10))
    finally:
        wave.finish()


@dataclass(frozen=True)
class Room:
    """A namespace, a CA and a folder for evidence that no other test uses."""

    prefect: SyncPrefectClient
    client: ClusterClient
    namespace: str
    folder: Path

    def waiting(self) -> OwnRun:
        """A run that is suspended at the gate."""
        certificate = {"mode": "OWN", "authority": "evidence-ca", "evidence": str(self.folder)}
        parameters = {"namespace": self.namespace, "certificate": certificate}
        run = own_run(self.prefect, evidence_of_one, parameters)
        assert run.go().name == "Suspended"
        return run

    def file(self, run: OwnRun, name: str) -> Path:
        """A file of the run's evidence."""
        return self.folder / "evidence" / str(run.run_id) / name

    def records(self, run: OwnRun) -> tuple[EvidenceRecord, ...]:
        """What was kept."""
        return read_records(self.file(run, "evidence.jsonl").read_text())


@pytest.fixture(scope="module")
def place(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with start_anywhere(programs, tmp_path_factory.mktemp("evidence-plane")) as running:
        tell_olm_version(running.client())
        yield running


@pytest.fixture
def room(prefect_server: SyncPrefectClient, place: ControlPlane, tmp_path: Path) -> Room:
    write_authority(tmp_path, "Evidence CA").save("evidence-ca", overwrite=True)
    KubernetesCluster(kubeconfig_file=place.kubeconfig, context="rehearsal").save(CLUSTER, overwrite=True)
    namespace = f"evidence-{uuid4().hex[:8]}"
    make_namespace(place.client(), namespace)
    folder = tmp_path / "kept"
    folder.mkdir()
    return Room(prefect_server, place.client(), namespace, folder)


def test_every_step_is_kept_once_although_the_run_starts_twice(
    room: Room, capsys: pytest.CaptureFixture[str]
) -> None:
    run = room.waiting()

    assert run.answer("APPROVE").name == "Completed"

    shipped = command.main([str(room.file(run, "evidence.jsonl"))])
    told = capsys.readouterr().out.splitlines()
    assert shipped == command.INTACT
    assert [line.split()[2] for line in told[:-1]] == [
        "STARTED",
        "ASKED",
        "SHOWN",
        "DECIDED",
        "ISSUED",
        "PUBLISHED",
        "FINISHED",
    ]
    assert told[-1].startswith("INTACT 7 records, last digest ")


def test_the_records_say_who_claimed_to_decide_and_what_was_issued(room: Room) -> None:
    run = room.waiting()
    (live,) = requests_of(room.client, room.namespace)
    run.answer("APPROVE", "planned change")

    facts = {record.event: record.facts for record in room.records(run)}

    digest = live["metadata"]["annotations"]["osok-fleet.io/request-sha256"]
    decided, issued = facts[EvidenceEvent.DECIDED], facts[EvidenceEvent.ISSUED]
    assert (decided["claimed_approver"], decided["reason"]) == ("Ada Lovelace", "planned change")
    assert decided["bound_to"] == facts[EvidenceEvent.SHOWN]["bound_to"]
    assert facts[EvidenceEvent.SHOWN]["requests_sha256"] == {CLUSTER: digest}
    assert facts[EvidenceEvent.ASKED]["authority"].startswith("FILE: CN=Evidence CA, SHA-256 ")
    assert issued["approval"] == "approved by the pipeline on behalf of the person at the gate"
    assert facts[EvidenceEvent.PUBLISHED] == {"serial": issued["serial"], "sha256": issued["sha256"]}


def test_the_run_shows_its_evidence(room: Room) -> None:
    run = room.waiting()
    run.answer("APPROVE")

    shown = artifacts_of(room.prefect, run.run_id)

    assert "7 records, last digest" in shown["evidence"]
    assert room.file(run, "evidence.jsonl").read_text() in shown["evidence-records"]


def test_a_denial_is_kept_with_its_reason(room: Room) -> None:
    """R15."""
    run = room.waiting()

    run.answer("DENY", "the freeze has begun")

    records = room.records(run)
    refused = next(one for one in records if one.event is EvidenceEvent.REFUSED)
    assert "a denial by Ada Lovelace (claimed): the freeze has begun" in refused.facts["found"]
    assert records[-1].facts == {CLUSTER: "REFUSED"}


def test_an_answer_that_cannot_be_carried_out_is_kept(room: Room) -> None:
    run = room.waiting()

    run.answer("APPROVE", denied_clusters=["nobody"])

    *_, refused, finished = room.records(run)
    assert (refused.event, refused.subject) == (EvidenceEvent.REFUSED, "gate")
    assert "expected names of clusters that were shown; found nobody" in refused.facts["found"]
    assert finished.facts == {CLUSTER: "ASKED"}


def test_records_that_somebody_changed_are_named(room: Room, capsys: pytest.CaptureFixture[str]) -> None:
    run = room.waiting()
    run.answer("APPROVE", "planned change")
    file = room.file(run, "evidence.jsonl")
    file.write_text(file.read_text().replace("Ada Lovelace", "Grace Hopper"))

    shipped = command.main([str(file)])

    assert (shipped, capsys.readouterr().out.split(":")[0]) == (command.CHANGED, "CHANGED at record 3")


def test_a_run_whose_records_were_changed_while_it_waited_signs_nothing(room: Room) -> None:
    run = room.waiting()
    file = room.file(run, "0002.json")
    file.write_text(file.read_text().replace("bound_to", "bound_by"))

    ended = run.answer("APPROVE")

    secret = ObjectRef("v1", "Secret", PROFILE.certificate_secret, room.namespace)
    assert (ended.name, "Somebody changed them" in str(ended.message)) == ("Failed", True)
    assert room.client.get(secret) is None


def test_a_run_that_goes_on_where_its_storage_is_not_takes_the_records_from_its_artifact(room: Room) -> None:
    """A worker's own folder, and another worker after the decision."""
    run = room.waiting()
    rmtree(room.folder / "evidence")

    assert run.answer("APPROVE").name == "Completed"

    assert [record.position for record in room.records(run)] == list(range(7))


def test_a_publication_that_was_not_recorded_is_caught_up_with(tmp_path: Path) -> None:
    """Killed between the two: the next start finds the certificate in use and asks for nothing."""

    def steps() -> None:
        killed = WaveEvidence(str(tmp_path))
        killed.asked("ca", PENDING)
        killed.issued("fra-1", ISSUED)
        for _ in range(2):
            resumed = WaveEvidence(str(tmp_path))
            resumed.catch_up("fra-1", lambda: ISSUED.sha256)
            resumed.proven("fra-1")
            resumed.finish()

    assert kept_by(steps, tmp_path) == ["STARTED", "ASKED", "ISSUED", "PUBLISHED", "PROVEN", "FINISHED"]


def test_another_certificate_in_use_is_no_publication(tmp_path: Path) -> None:
    def steps() -> None:
        evidence = WaveEvidence(str(tmp_path))
        evidence.issued("fra-1", ISSUED)
        evidence.catch_up("fra-1", lambda: "another")

    assert kept_by(steps, tmp_path) == ["ISSUED"]


def test_a_rollback_is_kept_and_what_may_pass_by_itself_is_not(tmp_path: Path) -> None:
    def steps() -> None:
        evidence = WaveEvidence(str(tmp_path))
        evidence.failed("fra-1", ClusterUnavailableError("publish the certificate", found="HTTP 503"))
        evidence.failed("fra-1", RolledBackError("publish the certificate", found="no proof"))

    assert kept_by(steps, tmp_path) == ["ROLLED_BACK"]


def test_an_answer_that_is_refused_again_after_a_start_from_the_top_is_kept_once(tmp_path: Path) -> None:
    def steps() -> None:
        for told in ("now 10:00", "now 10:05"):
            evidence = WaveEvidence(str(tmp_path))
            evidence.not_accepted(f"expired, {told}")
            evidence.not_accepted("nothing pasted")

    assert kept_by(steps, tmp_path) == ["REFUSED", "REFUSED"]


def test_a_run_that_asks_for_nothing_keeps_nothing(tmp_path: Path) -> None:
    def steps() -> None:
        evidence = WaveEvidence(str(tmp_path))
        evidence.catch_up("fra-1", lambda: "in use")
        evidence.finish()

    assert kept_by(steps, tmp_path) == []


def kept_by(steps: Callable[[], None], folder: Path) -> list[str]:
    """The events that a flow run with these steps keeps."""
    flow(name="keeps-evidence-of-a-wave")(steps)()
    texts = [path.read_text() for path in sorted(folder.glob("evidence/*/*.json"))]
    return [record.event.value for record in read_records("".join(texts))]


PENDING = PendingRequest(
    cluster="fra-1",
    cluster_uid="c-1",
    shown=ShownRequest("osok.mesh.1", "o-1", "d" * 64, "oci.com/osok", (), "osok-fleet", "", 600),
    subject="CN=kube.operator.cert",
    dns_names=("manager.mesh.svc",),
    key="ECDSA secp256r1",
    spki_sha256="e" * 64,
    validity=timedelta(days=397),
)
_NOW = datetime(2026, 11, 25, tzinfo=UTC)
ISSUED = IssuedCertificate(
    request="osok.mesh.1",
    certificate_pem=b"",
    authority_pem=b"",
    serial="1f",
    sha256="a" * 64,
    spki_sha256="e" * 64,
    not_before=_NOW,
    not_after=_NOW + timedelta(days=397),
    decided="approved in the cluster",
)
