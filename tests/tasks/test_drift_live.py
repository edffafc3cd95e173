"""Verification of an untouched cluster under a running OLM, and what only live checks see (R2–R22)."""

import base64
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.clients.polling import deadline_after, wait_for
from tasks.core.drift.choice import LiveChecks
from tasks.core.drift.items import DriftKind
from tasks.drift.observing import observe_cluster
from tests.core.certificates.workshop import NAMESPACE
from tests.support.certificate_bench import OTHER_CA
from tests.support.drift_cases import webhook
from tests.support.drift_worlds import DriftBench, drift_bench
from tests.support.small_installs import tasks_outside_flows

pytestmark = [pytest.mark.cluster, pytest.mark.long]

LOOKS = int(os.environ.get("OSOK_FLEET_LOOKS", "20"))
OTHER_PEM = base64.b64encode(OTHER_CA.pem).decode()
MESH = "mesh-validator.servicemesh.oci.oracle.cloud.com"
ONE_VERSION = pytest.mark.parametrize("untouched_world", [OlmVersion.V0_46_0], indirect=True)


@pytest.fixture(scope="module")
def bench(untouched_world: World, prefect_server: SyncPrefectClient) -> Iterator[DriftBench]:
    with tasks_outside_flows(), drift_bench(untouched_world) as found:
        assert found.settled(frozenset(), LiveChecks.ALL) == frozenset()
        yield found


def test_nothing_is_reported_on_an_untouched_cluster(bench: DriftBench) -> None:
    """Single looks, without the second one that the flow takes before it reports."""
    found = [bench.drift(LiveChecks.ALL) for _ in range(LOOKS)]

    assert [one for one in found if one] == []


@ONE_VERSION
def test_a_look_takes_no_more_reads_than_said(bench: DriftBench) -> None:
    assert observe_cluster(bench.fleet, bench.expected, LiveChecks.NONE).reads <= 25


@ONE_VERSION
def test_what_is_unchanged_is_not_read_again(bench: DriftBench) -> None:
    seen = observe_cluster(bench.fleet, bench.expected, LiveChecks.NONE, bench.compared())

    assert seen.unchanged == frozenset(bench.expected.large())
    assert all("spec" not in seen.objects[ref] for ref in seen.unchanged)
    assert seen.reads <= 25


@ONE_VERSION
def test_no_value_of_a_secret_is_kept(bench: DriftBench) -> None:
    seen = observe_cluster(bench.fleet, bench.expected, LiveChecks.NONE)

    kept = {key for live in seen.of_kind("Secret") for key, value in live["data"].items() if value}

    assert kept == {"tls.crt", "olmCAKey"}


@ONE_VERSION
def test_a_webhook_that_the_api_server_does_not_trust_is_unreachable(bench: DriftBench) -> None:
    """R9, R22: the call fails, beside the caBundle that differs."""
    ref = webhook(bench, "ValidatingWebhookConfiguration", MESH)
    key = f"ValidatingWebhookConfiguration {MESH}"
    pointer = "/webhooks/0/clientConfig/caBundle"
    with bench.without_olm(), bench.stranger.patched(ref, (pointer, OTHER_PEM)):
        # The API server takes a moment to notice a changed configuration.
        found = wait_for(
            lambda: bench.drift(LiveChecks.ALL),
            lambda items: key in items,
            deadline_after(timedelta(minutes=1)),
        )

    assert found[key].kind is DriftKind.UNREACHABLE
    assert "x509" in found[key].found
    assert found[f"{ref}{pointer}"].kind is DriftKind.CHANGED
    assert bench.settled(frozenset(), LiveChecks.ALL) == frozenset()


@ONE_VERSION
def test_an_operator_without_pods_is_unreachable(bench: DriftBench) -> None:
    """R7, R21."""
    deployment = f"Deployment {NAMESPACE}/{bench.expected.profile.deployment}"
    service = f"Service {NAMESPACE}/{bench.expected.profile.olm_service}"
    ref = next(ref for ref in observe_cluster(bench.fleet, bench.expected).objects if str(ref) == deployment)
    with bench.without_olm(), bench.stranger.patched(ref, ("/spec/replicas", 0)):
        found = wait_for(
            lambda: bench.drift(LiveChecks.ALL),
            lambda items: service in items,
            deadline_after(timedelta(minutes=1)),
        )

    assert found[service].kind is DriftKind.UNREACHABLE
    assert found[f"{deployment}/spec/replicas"].kind is DriftKind.CHANGED
    assert bench.settled(frozenset(), LiveChecks.ALL) == frozenset()
