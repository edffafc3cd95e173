"""Diagnosis and repairs where OLM 0.20.0 runs: it looks at no certificate, and recreates Services (R22)."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.certificates.diagnoses import ClusterDiagnosis, Verdict, findings_of
from tasks.certificates.observing import read_certificate_state
from tasks.certificates.repairing import Repairing
from tasks.clients.polling import deadline_after
from tasks.core.certificates.findings import CertificateCase as Case
from tasks.core.manifests import ObjectRef
from tests.core.certificates.workshop import NAMESPACE
from tests.support.certificate_bench import (
    CA,
    ISSUED,
    PROFILE,
    Bench,
    Spoil,
    expired_leaf,
    lost_label,
    older_certificate,
    spoiled_bundle,
    windows_line_ends,
    wrong_ca,
)

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.olm020,
    pytest.mark.parametrize("installed_world", [OlmVersion.V0_20_0], indirect=True),
]

AS_ISSUED = (ISSUED.pem, CA.pem, {CA.pem})
SERVICE = ObjectRef("v1", "Service", PROFILE.olm_service, NAMESPACE)


@pytest.fixture(scope="module")
def lasting_bench(installed_world: World) -> Iterator[Bench]:
    """OLM has taken our certificate over, and runs."""
    cluster = installed_world.clusters[0]
    bench = Bench.on(cluster.name, cluster.control_plane.client())
    bench.serve_ours()
    bench.start_olm()
    yield bench
    bench.put_back()


@pytest.fixture
def bench(lasting_bench: Bench) -> Bench:
    lasting_bench.serve_ours()
    # Where OLM saw what the test before had spoiled, it installs anew: that Service is not the last one.
    lasting_bench.start_olm()
    return lasting_bench


def test_what_olm_installs_by_itself_is_sound(installed_world: World) -> None:
    """Its certificate names one Service, and its CA has no common name."""
    observed = read_certificate_state(installed_world.clusters[0].control_plane.client(), PROFILE, NAMESPACE)

    assert findings_of(observed) == ()


def repaired(bench: Bench) -> ClusterDiagnosis:
    return Repairing(bench.client, PROFILE, NAMESPACE).run(deadline_after(timedelta(minutes=3)))


def service_uid(bench: Bench) -> str:
    service = bench.client.get(SERVICE)
    assert service is not None
    return str(service["metadata"]["uid"])


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (expired_leaf, {Case.LEAF_NOT_CURRENT}),
        (wrong_ca, {Case.WRONG_CA, Case.CA_BUNDLE_STALE}),
        (lost_label, {Case.OLM_WILL_REPLACE}),
    ],
)
def test_olm_keeps_what_is_broken_and_the_diagnosis_names_it(
    bench: Bench, spoil: Spoil, expected: set[Case]
) -> None:
    spoil(bench)

    found = {one.case for one in findings_of(bench.observe())}

    assert found - {Case.ENDPOINT_STALE} == expected


@pytest.mark.parametrize("spoil", [spoiled_bundle, wrong_ca, older_certificate])
def test_a_repair_puts_back_what_was_issued_and_the_service_stays(bench: Bench, spoil: Spoil) -> None:
    before = service_uid(bench)
    spoil(bench)

    diagnosis = repaired(bench)

    assert bench.content() == AS_ISSUED
    assert diagnosis.verdict is Verdict.SOUND
    assert service_uid(bench) == before


def test_nothing_is_rewritten_for_its_looks(bench: Bench) -> None:
    """Other bytes of the same CA make OLM reinstall, and this one deletes the Service for it."""
    windows_line_ends(bench)

    diagnosis = repaired(bench)

    assert diagnosis.repair is not None
    assert diagnosis.repair.changed == ()
    assert "would delete and recreate the Service" in diagnosis.repair.left[0]
