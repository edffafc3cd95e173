"""One gate for two clusters: one of them drops out, or stops both (R14, R15).

The clusters have no operator yet, as before a fresh install: publishing there is making the Secret.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient

from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.control_plane import ControlPlane
from deployments.rehearsal.programs import Programs
from deployments.rehearsal.world import start_anywhere
from tasks.certificates.wave import CertificateWave
from tasks.clients.cluster import ClusterClient
from tasks.connections import load_block, open_cluster
from tasks.core.errors import DecisionError, FleetError
from tasks.core.manifests import ObjectRef
from tasks.core.settings import CertificateChoice
from tasks.target import Target, who_am_i
from tests.support.bare_clusters import make_namespace, tell_olm_version
from tests.support.certificates import deny, requests_of, write_authority
from tests.support.gates import PROFILE, OwnRun, own_run

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@flow(name="gate-of-two", persist_result=True)
def gate_of_two(clusters: list[str], namespace: str, certificate: CertificateChoice) -> None:
    """The certificate steps of install-fleet, and nothing else."""
    wave = CertificateWave(PROFILE, namespace, certificate)
    opened = {name: load_block(KubernetesCluster, name) for name in clusters}
    for name, cluster in opened.items():
        user = who_am_i(open_cluster(cluster))
        wave.csvs[name] = PROFILE.csv_name_for("1.1.9")
        wave.request(cluster, Target(name, f"uid-of-{name}", "v1.35.4", user.name, user.uid))
    wave.decide()
    problems = [problem for name, cluster in opened.items() if (problem := _carry_out(wave, cluster, name))]
    if problems:
        raise DecisionError("serve every cluster", found="; ".join(problems))


def _carry_out(wave: CertificateWave, cluster: KubernetesCluster, name: str) -> str:
    try:
        wave.carry_out(cluster, name, datetime.now(UTC) + timedelta(minutes=10))
    except FleetError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class Pair:
    """Two clusters, and a namespace on both that no other test uses."""

    prefect: SyncPrefectClient
    one: ClusterClient
    other: ClusterClient
    namespace: str

    def waiting(self, **certificate: object) -> OwnRun:
        """A run that asks for both."""
        choice = {"mode": "OWN", "authority": "pair-ca", **certificate}
        parameters = {"clusters": ["one", "other"], "namespace": self.namespace, "certificate": choice}
        run = own_run(self.prefect, gate_of_two, parameters)
        assert run.go().name == "Suspended"
        return run

    def has_certificate(self, client: ClusterClient) -> bool:
        """Whether the operator would find a Secret there."""
        return client.get(ObjectRef("v1", "Secret", PROFILE.certificate_secret, self.namespace)) is not None

    def was_asked(self, client: ClusterClient) -> bool:
        """Whether there is a request."""
        return requests_of(client, self.namespace) != []


@pytest.fixture(scope="module")
def two_control_planes(
    programs: Programs, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ControlPlane, ControlPlane]]:
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as started:
        one, other = (
            started.enter_context(start_anywhere(programs, folder / name)) for name in ("one", "other")
        )
        for control_plane in (one, other):
            tell_olm_version(control_plane.client())
        yield one, other


@pytest.fixture
def pair(
    prefect_server: SyncPrefectClient,
    two_control_planes: tuple[ControlPlane, ControlPlane],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pair:
    write_authority(tmp_path_factory.mktemp("ca"), "Pair CA").save("pair-ca", overwrite=True)
    namespace = f"pair-{uuid4().hex[:8]}"
    for name, control_plane in zip(("one", "other"), two_control_planes, strict=True):
        block = KubernetesCluster(kubeconfig_file=control_plane.kubeconfig, context="rehearsal")
        block.save(name, overwrite=True)
        make_namespace(control_plane.client(), namespace)
    one, other = (control_plane.client() for control_plane in two_control_planes)
    return Pair(prefect_server, one, other, namespace)


def test_one_approval_serves_both_clusters(pair: Pair) -> None:
    run = pair.waiting()
    assert run.shown().count("\n## ") == 2

    assert run.answer("APPROVE").name == "Completed"

    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (True, True)


def test_one_denial_is_for_both_clusters(pair: Pair) -> None:
    ended = pair.waiting().answer("DENY")

    assert ended.name == "Failed"
    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (False, False)
    assert (pair.was_asked(pair.one), pair.was_asked(pair.other)) == (False, False)


def test_a_denied_cluster_drops_out_and_the_other_goes_on(pair: Pair) -> None:
    ended = pair.waiting().answer("APPROVE", "one is frozen", denied_clusters=["one"])

    assert "a denial by Ada Lovelace (claimed): one is frozen" in str(ended.message)
    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (False, True)
    assert not pair.was_asked(pair.one)


def test_a_denied_cluster_stops_both_if_the_policy_says_so(pair: Pair) -> None:
    ended = pair.waiting(denied_cluster="STOP").answer("APPROVE", denied_clusters=["one"])

    assert "a denial of one, which stops all clusters of the gate" in str(ended.message)
    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (False, False)
    assert (pair.was_asked(pair.one), pair.was_asked(pair.other)) == (False, False)


def test_a_cluster_that_an_admin_denied_drops_out_and_the_other_is_not_asked_again(pair: Pair) -> None:
    """R15: `kubectl certificate deny` on one cluster is no other question about the other one."""
    run = pair.waiting()
    deny(pair.one, requests_of(pair.one, pair.namespace)[0])

    ended = run.answer("APPROVE")

    assert "a denial in the cluster: KubectlDeny" in str(ended.message)
    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (False, True)


def test_a_cluster_that_an_admin_denied_stops_both_if_the_policy_says_so(pair: Pair) -> None:
    run = pair.waiting(denied_cluster="STOP")
    deny(pair.one, requests_of(pair.one, pair.namespace)[0])

    ended = run.answer("APPROVE")

    assert "a denial of one, which stops all clusters of the gate" in str(ended.message)
    assert (pair.has_certificate(pair.one), pair.has_certificate(pair.other)) == (False, False)
