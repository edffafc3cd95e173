"""The installed operator held against its profile on a real cluster: what is wrong is found (R4, R9, R10)."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest
import trustme
from prefect.client.orchestration import SyncPrefectClient

from deployments.rehearsal.programs import OlmVersion
from deployments.rehearsal.world import World
from tasks.clients.cluster import PatchType
from tasks.clients.polling import deadline_after, wait_for
from tasks.connections import open_cluster
from tasks.core.manifests import Manifest, ref_of
from tasks.core.profiles import built_in_profile
from tasks.core.verification import Finding, FindingState
from tasks.verification import verify_once, verify_operator
from tests.support.small_installs import InstallSite, install_site, patiently, shortly

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.parametrize(
        "installed_world", [pytest.param(OlmVersion.V0_46_0, id="olm-0.46.0")], indirect=True
    ),
]

NAMESPACE = "oci-service-operator-system"
OSOK = built_in_profile()
MESH = "mesh-validator.servicemesh.oci.oracle.cloud.com"
INJECTOR = "proxy-injector.servicemesh.oci.oracle.com"


@pytest.fixture(scope="module")
def site(installed_world: World, prefect_server: SyncPrefectClient) -> Iterator[InstallSite]:
    with install_site(installed_world) as found:
        yield found


def wrong(findings: tuple[Finding, ...]) -> dict[str, str]:
    """What every failed check found."""
    return {one.check.value: one.found for one in findings if one.state is FindingState.FAIL}


def seen_wrong(site: InstallSite, check: str) -> dict[str, str]:
    """The same, once a check fails: the API server takes a moment to notice a changed configuration."""
    found = wait_for(
        lambda: wrong(verify_once(open_cluster(site.cluster), OSOK, NAMESPACE)),
        lambda failed: check in failed,
        deadline_after(timedelta(minutes=3)),
    )
    assert check in found
    return found


def configuration(site: InstallSite, webhook: str) -> Manifest:
    """The webhook configuration that OLM made for a webhook; its name ends in a random suffix."""
    kinds = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
    everything = [
        item for kind in kinds for item in site.client.list_objects("admissionregistration.k8s.io/v1", kind)
    ]
    found: Manifest = next(item for item in everything if item["webhooks"][0]["name"] == webhook)
    return found


def trust(site: InstallSite, of: Manifest, ca_bundle: str) -> None:
    patch = [{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": ca_bundle}]
    site.client.patch(ref_of(of), patch, PatchType.JSON)


@pytest.fixture
def distrusted(site: InstallSite, request: pytest.FixtureRequest) -> Iterator[str]:
    """The API server is told to trust another CA than the one behind the webhook's certificate."""
    before = configuration(site, request.param)
    trust(site, before, base64.b64encode(trustme.CA().cert_pem.bytes()).decode())
    yield request.param
    trust(site, before, before["webhooks"][0]["clientConfig"]["caBundle"])


def test_an_operator_as_it_should_be_passes_every_check(site: InstallSite) -> None:
    """R8-R10, under the shipped account."""
    findings = verify_operator(site.cluster, OSOK, NAMESPACE, patiently())

    assert {finding.state for finding in findings} == {FindingState.PASS}


def test_a_pod_of_somebody_else_that_the_webhook_services_select_is_found(site: InstallSite) -> None:
    """R4."""
    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "stranger",
            "namespace": NAMESPACE,
            "labels": {"control-plane": "controller-manager"},
        },
        # No node takes it, so it gets no calls while this test runs.
        "spec": {"nodeSelector": {"never": "there"}, "containers": [{"name": "x", "image": "x"}]},
    }
    site.client.create(stranger)

    findings = verify_operator(site.cluster, OSOK, NAMESPACE, shortly())
    site.client.delete(ref_of(stranger))

    assert wrong(findings) == {"SERVICE_SELECTOR": "stranger (no controller)"}


@pytest.mark.parametrize("distrusted", [MESH], indirect=True)
def test_a_validator_that_the_api_server_does_not_trust_is_found_by_calling_it(
    site: InstallSite, distrusted: str
) -> None:
    """R9, R22."""
    found = seen_wrong(site, "CALL_ALLOWED")

    assert "CA_BUNDLE" in found
    assert "certificate signed by unknown authority" in found["CALL_ALLOWED"]


@pytest.mark.parametrize("distrusted", [INJECTOR], indirect=True)
def test_an_injector_that_fails_silently_is_found_in_the_api_servers_counters(
    site: InstallSite, distrusted: str
) -> None:
    """R10: failurePolicy Ignore lets every pod pass without a sidecar."""
    found = seen_wrong(site, "INJECTOR_CALL")

    assert "CA_BUNDLE" in found
    assert found["INJECTOR_CALL"] == "0 more answered, 1 more failed open"
