"""diagnose-certificate on a real cluster: every fault is named, the safe ones are repaired (R22)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient

from blocks.certificate_authority import AuthorityKind, CertificateAuthority
from blocks.kubernetes_cluster import KubernetesCluster
from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from flows.diagnose_certificate import DiagnosisChoice, DiagnosisMode, diagnose_certificate
from tasks.certificates.diagnoses import findings_of
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.certificates.findings import CertificateCase as Case
from tasks.core.certificates.findings import Repair, Severity
from tasks.core.errors import CertificateError, ClusterRejectedError
from tasks.core.evidence import EvidenceEvent, EvidenceState, read_records, verify
from tasks.core.manifests import Manifest, ref_of
from tests.support.artifacts import document_in, newest_artifact
from tests.support.certificate_bench import (
    BETWEEN,
    CA,
    ISSUED,
    SECRET,
    THROUGH,
    Bench,
    Spoil,
    byte_order_mark,
    documented_names,
    expired_leaf,
    intermediate_in_tls_crt,
    lost_label,
    nothing,
    older_certificate,
    other_key,
    overwritten,
    servers_certificate_as_ca,
    spoiled_bundle,
    the_cas_certificate,
    windows_line_ends,
    wrong_ca,
    wrong_ca_everywhere,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_46_0], indirect=True),
]

AS_ISSUED = (ISSUED.pem, CA.pem, {CA.pem})


@pytest.fixture(scope="module")
def lasting_bench(installed_world: World) -> Iterator[Bench]:
    cluster = installed_world.clusters[0]
    bench = Bench.on(cluster.name, cluster.control_plane.client())
    yield bench
    bench.put_back()


@pytest.fixture
def bench(lasting_bench: Bench) -> Bench:
    lasting_bench.serve_ours()
    return lasting_bench


def report(client: SyncPrefectClient, cluster: str) -> Manifest:
    """The newest JSON report of a cluster."""
    return document_in(newest_artifact(client, f"certificate-{cluster}-json"))


def diagnose(bench: Bench, mode: DiagnosisMode = DiagnosisMode.REPORT, **choice: Any) -> None:  # noqa: ANN401 - fields
    """Run the flow on the cluster."""
    diagnose_certificate([bench.name], choice=DiagnosisChoice(mode=mode, **choice))


def repair(bench: Bench, **choice: Any) -> None:  # noqa: ANN401 - fields
    """Run the flow in its repair mode."""
    diagnose(bench, DiagnosisMode.REPAIR_SAFE, **choice)


B, W, N = Severity.BROKEN, Severity.WILL_BREAK, Severity.NOTE
NEW, PUT_BACK, TRUST = Repair.ISSUE_NEW_CERTIFICATE, Repair.PUBLISH_ISSUED, Repair.WRITE_TRUST
REPLACED = (Case.OLM_WILL_REPLACE, W, NEW)
STALE = (Case.CA_BUNDLE_STALE, B, Repair.WRITE_CA_BUNDLES)
DIFFERENT = (Case.CA_BUNDLE_STALE, W, Repair.WRITE_CA_BUNDLES)
FAULTS: dict[Spoil, set[tuple[Case, Severity, Repair]]] = {
    nothing: set(),
    wrong_ca: {(Case.WRONG_CA, W, TRUST), (Case.OLM_WILL_REPLACE, W, TRUST), DIFFERENT},
    wrong_ca_everywhere: {(Case.WRONG_CA, B, TRUST), (Case.OLM_WILL_REPLACE, W, TRUST)},
    # Go takes the leaf itself for a root, so it works until the next certificate.
    servers_certificate_as_ca: {(Case.WRONG_CA, W, TRUST), DIFFERENT},
    other_key: {(Case.KEY_MISMATCH, B, NEW)},
    older_certificate: {(Case.WRONG_CERTIFICATE, W, PUT_BACK), (Case.KEY_MISMATCH, B, PUT_BACK)},
    the_cas_certificate: {
        (Case.WRONG_CERTIFICATE, B, PUT_BACK),
        (Case.KEY_MISMATCH, B, PUT_BACK),
        (Case.NAMES_MISSING, B, NEW),
        REPLACED,
    },
    documented_names: {(Case.NAMES_MISSING, B, NEW), REPLACED},
    expired_leaf: {(Case.LEAF_NOT_CURRENT, B, NEW), REPLACED},
    spoiled_bundle: {STALE},
    overwritten: {(Case.SECRET_OVERWRITTEN, B, NEW), STALE},
    windows_line_ends: {(Case.PEM_FAULT, N, Repair.NORMALISE_PEM)},
    byte_order_mark: {
        (Case.WRONG_CA, W, TRUST),
        (Case.OLM_WILL_REPLACE, W, TRUST),
        (Case.PEM_FAULT, W, Repair.NORMALISE_PEM),
        DIFFERENT,
    },
    intermediate_in_tls_crt: {(Case.INTERMEDIATE_MISPLACED, W, TRUST), (Case.OLM_WILL_REPLACE, W, TRUST)},
    lost_label: {(Case.OLM_WILL_REPLACE, W, Repair.RESTORE_LABEL)},
}
FOLLOWING = (Case.ENDPOINT_STALE, Case.SERVICES_DISAGREE)
"""Endpoints follow when the kubelet has brought the Secret: before or after the observation."""


@pytest.mark.parametrize(
    ("spoil", "expected"), FAULTS.items(), ids=lambda item: getattr(item, "__name__", "")
)
def test_every_way_to_break_it_is_named(
    bench: Bench, spoil: Spoil, expected: set[tuple[Case, Severity, Repair]]
) -> None:
    spoil(bench)

    found = {
        (one.case, one.severity, one.repair)
        for one in findings_of(bench.observe())
        if one.case not in FOLLOWING
    }

    assert found == expected


def test_an_operator_that_cannot_load_the_new_pair_serves_the_old_one(bench: Bench) -> None:
    bench.write(crt=THROUGH.pem, key=55)

    found = {one.case: one for one in findings_of(bench.observe())}

    assert ISSUED.serial in found[Case.ENDPOINT_STALE].found


def test_a_sound_cluster_is_reported_and_nothing_is_written(
    bench: Bench, prefect_server: SyncPrefectClient
) -> None:
    """R22: the runbook's questions first."""
    before = bench.client.get(SECRET)

    diagnose(bench)

    found = report(prefect_server, bench.name)
    assert [one["answer"] for one in found["answers"]] == ["YES", "YES", "YES", "YES"]
    assert (found["verdict"], found["findings"], found["next_steps"]) == ("SOUND", [], [])
    assert bench.client.get(SECRET) == before


def test_a_broken_cluster_fails_the_run_and_its_page_says_what_to_do(
    bench: Bench, prefect_server: SyncPrefectClient
) -> None:
    other_key(bench)

    with pytest.raises(
        CertificateError, match=f"{bench.name} BROKEN: KEY_MISMATCH Secret {SECRET.namespace}/"
    ):
        diagnose(bench)

    text = newest_artifact(prefect_server, f"certificate-{bench.name}")
    assert text.index("The runbook's questions (R22)") < text.index("## Findings")
    assert "| (c) | Is tls.key the key of tls.crt (server-key.pem)? | NO | " in text
    assert "- Run issue-webhook-certificate for this cluster: it makes a key and a request" in text


def test_a_request_that_waits_is_a_note(bench: Bench, prefect_server: SyncPrefectClient) -> None:
    with bench.asking():
        diagnose(bench)

    (finding,) = report(prefect_server, bench.name)["findings"]
    assert (finding["case"], finding["severity"]) == ("REQUEST_UNDECIDED", "NOTE")


SAFE: dict[str, tuple[list[Spoil], tuple[bytes, bytes, set[bytes]]]] = {
    "one caBundle, Windows line ends, label": ([windows_line_ends, lost_label, spoiled_bundle], AS_ISSUED),
    "another CA in olmCAKey": ([wrong_ca, spoiled_bundle], AS_ISSUED),
    "an older certificate, the page's (b)": ([older_certificate, servers_certificate_as_ca], AS_ISSUED),
    "an intermediate in tls.crt": (
        [intermediate_in_tls_crt],
        (THROUGH.pem + BETWEEN.pem, BETWEEN.pem + CA.pem, {BETWEEN.pem + CA.pem}),
    ),
}


@pytest.mark.parametrize(("spoils", "expected"), SAFE.values(), ids=SAFE)
def test_what_is_safe_is_repaired(
    bench: Bench,
    spoils: list[Spoil],
    expected: tuple[bytes, bytes, set[bytes]],
    prefect_server: SyncPrefectClient,
) -> None:
    for spoil in spoils:
        spoil(bench)

    repair(bench)

    assert bench.content() == expected
    assert report(prefect_server, bench.name)["verdict"] == "SOUND"


def test_a_repair_leaves_evidence(bench: Bench, tmp_path: Path, prefect_server: SyncPrefectClient) -> None:
    spoiled_bundle(bench)

    repair(bench, evidence=str(tmp_path))

    (file,) = (tmp_path / "evidence").glob("*/evidence.jsonl")
    records = read_records(file.read_text())
    assert verify(records).state is EvidenceState.INTACT
    assert [record.event for record in records] == [
        EvidenceEvent.STARTED,
        EvidenceEvent.PUBLISHED,
        EvidenceEvent.FINISHED,
    ]
    assert report(prefect_server, bench.name)["repair"]["changed"] == records[1].facts["changed"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (overwritten, "tls.crt has another certificate than was issued"),
        (wrong_ca_everywhere, "is trusted nowhere in the cluster: name its block in `authority`"),
    ],
)
def test_what_is_not_safe_is_left_with_its_reason(
    bench: Bench, spoil: Spoil, reason: str, prefect_server: SyncPrefectClient
) -> None:
    spoil(bench)
    before = bench.content()

    with pytest.raises(CertificateError, match="BROKEN"):
        repair(bench)

    (left,) = report(prefect_server, bench.name)["repair"]["left"]
    assert reason in left
    assert bench.content() == before


@contextmanager
def neighbour_with_other_plans(bench: Bench) -> Iterator[None]:
    """Somebody who writes another CA as soon as the right one is there."""
    stop = Event()

    def write() -> None:
        while not stop.is_set():
            if bench.content()[2] == {CA.pem}:
                spoiled_bundle(bench)

    with ThreadPoolExecutor(max_workers=1) as pool:
        writing = pool.submit(write)
        try:
            yield
        finally:
            stop.set()
            writing.result()


def test_nobody_is_fought_with_for_ever(bench: Bench, prefect_server: SyncPrefectClient) -> None:
    spoiled_bundle(bench)

    with neighbour_with_other_plans(bench), pytest.raises(CertificateError, match="CA_BUNDLE_STALE"):
        repair(bench)

    (left,) = report(prefect_server, bench.name)["repair"]["left"]
    assert left == "repaired 3 times, and not as written: somebody else writes the same objects"


ADMISSION = "admissionregistration.k8s.io/v1"
POLICY: Manifest = {
    "apiVersion": ADMISSION,
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "no-repairs"},
    "spec": {
        "matchConstraints": {
            "resourceRules": [
                {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["secrets"]}
            ]
        },
        "validations": [{"expression": f"object.metadata.name != '{SECRET.name}'", "message": "frozen"}],
    },
}
BINDING: Manifest = {
    "apiVersion": ADMISSION,
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "no-repairs"},
    "spec": {"policyName": "no-repairs", "validationActions": ["Deny"]},
}


def is_frozen(bench: Bench) -> bool:
    """Whether the API server refuses to write the Secret."""
    try:
        # It changes nothing, and is asked about all the same.
        bench.client.patch(SECRET, {"metadata": {"annotations": {"no-such": None}}})
    except ClusterRejectedError:
        return True
    return False


@pytest.fixture
def frozen(bench: Bench) -> Iterator[Bench]:
    """The Secret has a wrong CA, and a policy of the cluster lets nobody write it."""
    wrong_ca(bench)
    manifests = (POLICY, BINDING)
    for manifest in manifests:
        bench.client.create(manifest)
    deadline = deadline_after(timedelta(minutes=3))
    assert wait_for(lambda: is_frozen(bench), lambda seen: seen, deadline)
    yield bench
    for manifest in manifests:
        bench.client.delete(ref_of(manifest))
    deadline = deadline_after(timedelta(minutes=3))
    assert wait_for(lambda: not is_frozen(bench), lambda seen: seen, deadline)


def test_a_cluster_that_refuses_a_repair_is_told_why(
    frozen: Bench, prefect_server: SyncPrefectClient
) -> None:
    repair(frozen)

    found = report(prefect_server, frozen.name)
    (left,) = found["repair"]["left"]
    assert "ValidatingAdmissionPolicy 'no-repairs'" in left
    assert (found["verdict"], found["repair"]["changed"]) == ("WILL_BREAK", [])


@pytest.fixture
def authority(tmp_path: Path) -> str:
    """A block with our CA. Its key file does not even exist: a diagnosis has no use for it."""
    path = tmp_path / "ca.pem"
    path.write_bytes(CA.pem)
    block = CertificateAuthority(kind=AuthorityKind.FILE, certificate_file=path, key_file=tmp_path / "none")
    block.save("diagnosed-authority", overwrite=True)
    return "diagnosed-authority"


def test_with_the_ca_named_a_wrong_ca_everywhere_is_repaired(bench: Bench, authority: str) -> None:
    wrong_ca_everywhere(bench)

    repair(bench, authority=authority)

    assert bench.content() == AS_ISSUED


def test_with_the_ca_named_an_overwritten_secret_is_found_when_its_request_is_gone(
    bench: Bench, authority: str, prefect_server: SyncPrefectClient
) -> None:
    overwritten(bench)
    bench.write_bundles(bench.content()[1])
    bench.forget_request()

    diagnose(bench, authority=authority)

    (finding,) = [
        one for one in report(prefect_server, bench.name)["findings"] if "ENDPOINT" not in one["case"]
    ]
    assert (finding["case"], finding["severity"]) == ("SECRET_OVERWRITTEN", "WILL_BREAK")
    assert finding["expected"] == "a certificate by `CN=Our CA`"


def test_a_cluster_that_does_not_answer_does_not_stop_the_others(
    bench: Bench, installed_world: World, tmp_path: Path, prefect_server: SyncPrefectClient
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = installed_world.clusters[0].kubeconfig.read_text()
    address = text.partition("server: https://")[2].partition("\n")[0]
    # Nobody listens there: port 9 is for programs that discard everything.
    kubeconfig.write_text(text.replace(address, "127.0.0.1:9"))
    block = KubernetesCluster(kubeconfig_file=kubeconfig, context="osok-fleet")
    block.save("silent-cluster", overwrite=True)
    choice = DiagnosisChoice(answer_within=timedelta(seconds=1))

    with pytest.raises(CertificateError, match="silent-cluster UNANSWERED: Could not"):
        diagnose_certificate(["silent-cluster", "no-such-block", bench.name], choice=choice)

    verdicts = {
        name: report(prefect_server, name)["verdict"]
        for name in ("silent-cluster", "no-such-block", bench.name)
    }
    assert verdicts == {"silent-cluster": "UNANSWERED", "no-such-block": "UNANSWERED", bench.name: "SOUND"}
    assert f"| {bench.name} | SOUND | 0 |" in newest_artifact(prefect_server, "diagnose-certificate")


@pytest.fixture
def bench_with_olm(bench: Bench) -> Iterator[Bench]:
    bench.start_olm()
    yield bench
    bench.stop_olm()


def test_a_repair_holds_while_olm_runs(bench_with_olm: Bench, prefect_server: SyncPrefectClient) -> None:
    spoiled_bundle(bench_with_olm)

    repair(bench_with_olm)

    assert bench_with_olm.content() == AS_ISSUED
    assert report(prefect_server, bench_with_olm.name)["verdict"] == "SOUND"


def overwritten_after_a_change(bench: Bench) -> bool:
    """A change that comes while OLM starts is none to it: it takes what it finds first for what was there."""
    bench.write(trust=CA.pem)
    wrong_ca(bench)
    until = deadline_after(timedelta(seconds=20))
    return wait_for(bench.content, lambda seen: seen[0] != ISSUED.pem, until)[0] != ISSUED.pem


def test_olm_itself_overwrites_a_wrong_ca_and_the_diagnosis_says_so(bench_with_olm: Bench) -> None:
    """OLM 0.46.0 looks at the Secret whenever it changes, and has its own way to repair it."""
    assert any(overwritten_after_a_change(bench_with_olm) for _ in range(10))

    findings = {one.case: one for one in findings_of(bench_with_olm.observe())}

    assert "olm-selfsigned-" in findings[Case.SECRET_OVERWRITTEN].found
    assert findings[Case.SECRET_OVERWRITTEN].repair is NEW
